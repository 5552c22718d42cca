#include "compiler/rematerialize/recompute.h"

#include <algorithm>
#include <unordered_set>

#include "ir/notes.h"
#include "ir/op.h"
#include "ir/registry.h"

namespace weir {

using scalar::Arena;
using scalar::Id;

Recomputer::Recomputer(const Graph& graph, bool fuse, const Dim::Bindings& sizes,
                       std::span<const Dim> bytes)
    : boundary_(graph, fuse), graph_(graph), sizes_(sizes), kept_(boundary_.kept()) {
  std::vector<std::pair<double, ValueId>> by_price;
  for (std::uint32_t i = 0; i < graph.value_count(); ++i) {
    ValueId value{i};
    if (!kept_[i]) continue;
    const double freed = number(bytes[i]);
    if (freed > 0) by_price.emplace_back(work_of(value) / freed, value);
  }
  std::sort(by_price.begin(), by_price.end());
  for (const auto& [price, value] : by_price) candidates_.push_back(value);
}

Graph Recomputer::run(std::size_t count, bool own_layout) {
  own_layout_ = own_layout;
  dropped_.assign(graph_.value_count(), false);
  for (std::size_t i = 0; i < count; ++i) dropped_[candidates_[i].index] = true;
  again_.clear();
  find_stale();
  emitted_.assign(graph_.nodes().size(), false);
  GraphRewriter rewriter(graph_);
  rewriter_ = &rewriter;
  for (std::uint32_t i = 0; i < graph_.nodes().size(); ++i)
    if (!boundary_.backward[i]) rewriter.copy(graph_.nodes()[i]);
  ValueId token;
  for (std::uint32_t i = 0; i < graph_.nodes().size(); ++i) {
    if (!boundary_.backward[i] || boundary_.plan.group_of[i] < 0) continue;
    boundary_.each_load({i}, [&](ValueId load) {
      if (boundary_.is_backward(load) && boundary_.group(load) >= 0 &&
          (!token.valid() || boundary_.group(load) > boundary_.group(token)))
        token = load;
    });
    emit({i}, token);
  }
  for (const Graph::Output& output : graph_.outputs())
    if (boundary_.is_backward(output.value)) emit(graph_.value(output.value).producer, token);
  return std::move(rewriter).finish();
}

std::vector<std::string> Recomputer::result_names(const Node& node) const {
  std::vector<std::string> names;
  for (ValueId result : node.results) names.push_back(graph_.value(result).name);
  return names;
}

double Recomputer::number(const Dim& dim) const {
  return static_cast<double>(dim.evaluate(sizes_).value());
}

double Recomputer::work_of(ValueId value) const {
  double work = 0;
  std::vector<ValueId> open{value};
  std::unordered_set<ValueId> seen;
  while (!open.empty()) {
    ValueId now = open.back();
    open.pop_back();
    const Node* node = boundary_.producer(now);
    if (!node || node->op->data || !seen.insert(now).second) continue;
    if (now != value && kept_[now.index]) continue;
    work += work_of(*node);
    for (ValueId operand : node->operands) open.push_back(operand);
  }
  return work;
}

double Recomputer::work_of(const Node& node) const {
  std::vector<TensorType> types = types_of(graph_, node.operands);
  OpInstance instance{node.op, types, node.attributes};
  double work = number(element_count(graph_.type(node.results[0]).shape));
  if (node.op->pointwise) {
    Arena arena;
    Id root = pointwise_expression(arena, instance).id();
    int cost = 0;
    for (Id id : scalar::reachable(arena, std::span(&root, 1)))
      cost += scalar::info(arena[id].primitive).cost;
    return work * cost;
  }
  if (node.op->comprehension)
    for (const Dim& extent : node.op->comprehension(instance).reduce_extents)
      work *= std::max(1.0, number(extent));
  return work;
}

void Recomputer::find_stale() {
  is_stale_.assign(graph_.value_count(), false);
  for (std::size_t i = 0; i < graph_.nodes().size(); ++i) {
    const Node& node = graph_.nodes()[i];
    if (node.op->data || boundary_.backward[i]) continue;
    bool reads_stale = std::any_of(node.operands.begin(), node.operands.end(),
                                   [&](ValueId operand) { return is_stale_[operand.index]; });
    for (ValueId result : node.results)
      is_stale_[result.index] = boundary_.is_inline(result)
                                    ? reads_stale
                                    : !kept_[result.index] || dropped_[result.index];
  }
}

ValueId Recomputer::known(ValueId value) const {
  if (!is_stale_[value.index]) return rewriter_->mapped(value);
  auto again = again_.find(value);
  return again == again_.end() ? ValueId{} : again->second;
}

ValueId Recomputer::recovered(ValueId value, ValueId token) {
  std::vector<ValueId> open{value};
  while (!open.empty()) {
    ValueId now = open.back();
    if (known(now).valid()) {
      open.pop_back();
      continue;
    }
    // Its operands come first, in their order.
    const std::vector<ValueId>& operands = boundary_.producer(now)->operands;
    std::size_t behind = open.size();
    for (auto operand = operands.rbegin(); operand != operands.rend(); ++operand)
      if (!known(*operand).valid()) open.push_back(*operand);
    if (open.size() == behind) compute_again(*boundary_.producer(now), token);
  }
  return known(value);
}

void Recomputer::compute_again(const Node& node, ValueId token) {
  std::vector<ValueId> operands;
  bool waits = false;
  for (ValueId operand : node.operands) {
    operands.push_back(known(operand));
    waits = waits || is_stale_[operand.index];
  }
  Location location = node.location.derived(kRecomputationOf);
  Attributes waiting;
  if (own_layout_) waiting.set("own_layout", true);
  for (std::size_t i = 0; i < operands.size() && !waits && token.valid(); ++i) {
    const Node* from = boundary_.producer(node.operands[i]);
    if (from && from->op->data) continue;
    operands[i] = rewriter_->add(get_op("after"), {operands[i], rewriter_->mapped(token)}, waiting,
                                 location, "");
    waits = true;
  }
  NodeId id = rewriter_->target().add_node(*node.op, std::move(operands), node.attributes, location,
                                           result_names(node));
  for (std::size_t i = 0; i < node.results.size(); ++i)
    again_.emplace(node.results[i], rewriter_->target().node(id).results[i]);
}

void Recomputer::emit(NodeId id, ValueId token) {
  struct Open {
    NodeId node;
    std::vector<ValueId> operands;  // those that are there already
  };
  std::vector<Open> open;
  auto enter = [&](NodeId node) {
    if (!emitted_[node.index]) open.push_back({node, {}});
    emitted_[node.index] = true;
  };
  enter(id);
  while (!open.empty()) {
    const Node& node = graph_.node(open.back().node);
    std::vector<ValueId>& operands = open.back().operands;
    if (operands.size() < node.operands.size()) {
      ValueId next = node.operands[operands.size()];
      if (!boundary_.is_backward(next)) {
        operands.push_back(recovered(next, token));
      } else if (NodeId from = graph_.value(next).producer; emitted_[from.index]) {
        operands.push_back(rewriter_->mapped(next));
      } else {
        enter(from);
      }
      continue;
    }
    NodeId made = rewriter_->target().add_node(*node.op, std::move(operands), node.attributes,
                                               node.location, result_names(node));
    for (std::size_t i = 0; i < node.results.size(); ++i)
      rewriter_->replace(node.results[i], rewriter_->target().node(made).results[i]);
    open.pop_back();
  }
}

}  // namespace weir
