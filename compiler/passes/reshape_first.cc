#include "compiler/passes/reshape_first.h"

#include <map>
#include <utility>
#include <vector>

#include "compiler/passes/graph_rewriter.h"
#include "ir/op.h"

namespace weir {
namespace {

// By value that is reshaped, and the shape: the reshapes.
using Reshapes = std::multimap<ValueId, NodeId>;

Reshapes reshapes_of(const Graph& graph) {
  Reshapes result;
  for (std::uint32_t i = 0; i < graph.nodes().size(); ++i)
    if (graph.nodes()[i].op->keeps_order) result.emplace(graph.nodes()[i].operands[0], NodeId{i});
  return result;
}

std::vector<int> count_uses(const Graph& graph) {
  std::vector<int> uses(graph.value_count());
  for (const Node& node : graph.nodes())
    for (ValueId operand : node.operands) ++uses[operand.index];
  for (const Graph::Output& output : graph.outputs()) ++uses[output.value.index];
  return uses;
}

}  // namespace

Graph reshape_first(Graph graph) {
  const Reshapes reshapes = reshapes_of(graph);
  const std::vector<int> uses = count_uses(graph);
  // The pointwise node that a reshape is to go before.
  auto moves_before = [&](const Node& reshape) -> const Node* {
    const Value& value = graph.value(reshape.operands[0]);
    if (value.kind != Value::Kind::result || uses[reshape.operands[0].index] != 1) return nullptr;
    const Node& node = graph.node(value.producer);
    if (!node.op->pointwise || node.operands.size() != 1) return nullptr;
    const auto [first, last] = reshapes.equal_range(node.operands[0]);
    for (auto other = first; other != last; ++other)
      if (graph.type(graph.node(other->second).results[0]).shape ==
          graph.type(reshape.results[0]).shape)
        return &node;
    return nullptr;
  };
  GraphRewriter rewriter(graph);
  bool changed = false;
  for (const Node& node : graph.nodes()) {
    const Node* pointwise = node.op->keeps_order ? moves_before(node) : nullptr;
    if (pointwise == nullptr) {
      rewriter.copy(node);
      continue;
    }
    const ValueId x = rewriter.add(*node.op, {rewriter.mapped(pointwise->operands[0])},
                                   node.attributes, node.location, "");
    rewriter.replace(node.results[0],
                     rewriter.add(*pointwise->op, {x}, pointwise->attributes, pointwise->location,
                                  graph.value(node.results[0]).name));
    changed = true;
  }
  return changed ? std::move(rewriter).finish() : std::move(graph);
}

}  // namespace weir
