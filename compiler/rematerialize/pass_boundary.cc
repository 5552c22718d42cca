#include "compiler/rematerialize/pass_boundary.h"

#include <algorithm>
#include <utility>

#include "compiler/lowering/check_indices.h"
#include "ir/notes.h"

namespace weir {

bool has_note(const Node& node, std::string_view note) {
  return std::string_view(node.location.note).starts_with(note);
}

bool has_backward_pass(const Graph& graph) {
  return std::any_of(graph.nodes().begin(), graph.nodes().end(),
                     [](const Node& node) { return has_note(node, kGradientOf); });
}

std::vector<bool> backward_nodes(const Graph& graph) {
  std::vector<bool> backward(graph.nodes().size());
  auto is_backward = [&](ValueId value) {
    const Value& info = graph.value(value);
    return info.kind == Value::Kind::result && backward[info.producer.index];
  };
  for (std::size_t i = 0; i < backward.size(); ++i) {
    const Node& node = graph.nodes()[i];
    backward[i] = has_note(node, kGradientOf) || has_note(node, kUpdateOf) ||
                  has_note(node, kRecomputationOf) ||
                  std::any_of(node.operands.begin(), node.operands.end(), is_backward);
  }
  return backward;
}

PassBoundary::PassBoundary(const Graph& of, bool fuse)
    : graph(of),
      plan(plan_fusion(graph, {.fuse = fuse, .checked = checked_values(plan_index_checks(graph))})),
      backward(backward_nodes(graph)),
      visited_(graph.nodes().size()) {}

const Node* PassBoundary::producer(ValueId value) const {
  const Value& info = graph.value(value);
  return info.kind == Value::Kind::result ? &graph.node(info.producer) : nullptr;
}

bool PassBoundary::is_backward(ValueId value) const {
  return producer(value) && backward[graph.value(value).producer.index];
}

int PassBoundary::group(ValueId value) const {
  return producer(value) ? plan.group_of[graph.value(value).producer.index] : FusionPlan::kSource;
}

void PassBoundary::each_load(NodeId node, const std::function<void(ValueId)>& visit,
                             const Enters& enters) {
  std::uint32_t stamp = ++stamp_;
  std::vector<NodeId> open{node};
  while (!open.empty()) {
    NodeId now = open.back();
    open.pop_back();
    const Node& made = graph.node(now);
    for (std::size_t i = 0; i < made.operands.size(); ++i) {
      ValueId operand = made.operands[i];
      if (enters && !enters(now, i)) continue;
      if (!is_inline(operand)) {
        visit(operand);
        continue;
      }
      NodeId from = graph.value(operand).producer;
      if (std::exchange(visited_[from.index], stamp) != stamp) open.push_back(from);
    }
  }
}

std::vector<bool> PassBoundary::kept(const Enters& enters) {
  std::vector<bool> result(graph.value_count());
  for (std::uint32_t i = 0; i < backward.size(); ++i) {
    int own = plan.group_of[i];
    if (!backward[i] || own < 0) continue;
    auto mark = [&](ValueId value) {
      if (group(value) >= 0 && group(value) != own && !is_backward(value))
        result[value.index] = true;
    };
    each_load({i}, mark, enters);
  }
  return result;
}

std::vector<ValueId> PassBoundary::loads_of(ValueId value) {
  std::vector<ValueId> loads;
  if (!is_inline(value)) return {value};
  each_load(graph.value(value).producer, [&](ValueId load) {
    if (group(load) >= 0) loads.push_back(load);
  });
  return loads;
}

}  // namespace weir
