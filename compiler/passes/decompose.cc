#include "compiler/passes/decompose.h"

#include <algorithm>

#include <fmt/format.h>

#include "compiler/passes/graph_rewriter.h"
#include "ir/builder.h"
#include "ir/op.h"

namespace weir {
namespace {

using Names = std::vector<std::string>;
using Choice = std::function<bool(const OpDef&)>;

bool is_composite(const Graph& graph, const Node& node) {
  if (!node.op->composite) return false;
  std::vector<TensorType> types = types_of(graph, node.operands);
  return node.op->composite_for({node.op, types, node.attributes});
}

// The body of a composite on operands of these types: its inputs are the operands, its outputs the
// results.
Graph body_of(const Node& node, std::span<const TensorType> types) {
  GraphBuilder builder(node.op->name);
  std::vector<Var> operands;
  for (std::size_t i = 0; i < types.size(); ++i)
    operands.push_back(builder.input(fmt::format("operand{}", i), types[i].dtype, types[i].shape));
  std::vector<Var> results = composite_results(*node.op, builder, operands, node.attributes);
  for (std::size_t i = 0; i < results.size(); ++i)
    builder.output(fmt::format("result{}", i), results[i]);
  return std::move(builder.graph());
}

// Adds the body of a composite node to `target`. Its locations, which are lines of Weir itself,
// give way to the node's.
std::vector<ValueId> inline_body(Graph& target, const Graph& body,
                                 std::span<const ValueId> operands, const Location& location,
                                 const Names& result_names, const Choice& inner) {
  std::vector<ValueId> map(body.value_count());
  std::vector<std::string> names(body.value_count());
  for (std::size_t i = 0; i < operands.size(); ++i) map[body.inputs()[i].index] = operands[i];
  for (std::size_t i = 0; i < result_names.size(); ++i)
    names[body.outputs()[i].value.index] = result_names[i];
  for (const Node& node : body.nodes()) {
    std::vector<ValueId> node_operands;
    Names node_names;
    for (ValueId operand : node.operands) node_operands.push_back(map[operand.index]);
    for (ValueId result : node.results) node_names.push_back(names[result.index]);
    std::vector<ValueId> results;
    if (is_composite(body, node) && inner(*node.op)) {
      Graph nested = body_of(node, types_of(target, node_operands));
      results = inline_body(target, nested, node_operands, location, node_names, inner);
    } else {
      NodeId id = target.add_node(*node.op, std::move(node_operands), node.attributes, location,
                                  node_names);
      results = target.node(id).results;
    }
    for (std::size_t i = 0; i < results.size(); ++i) map[node.results[i].index] = results[i];
  }
  std::vector<ValueId> results;
  for (const Graph::Output& output : body.outputs()) results.push_back(map[output.value.index]);
  return results;
}

}  // namespace

Graph decompose_if(const Graph& graph, const std::function<bool(NodeId)>& chosen,
                   const Choice& inner) {
  GraphRewriter rewriter(graph);
  for (std::uint32_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    if (!is_composite(graph, node) || !chosen(NodeId{i})) {
      rewriter.copy(node);
      continue;
    }
    Names names;
    for (ValueId result : node.results) names.push_back(graph.value(result).name);
    std::vector<ValueId> operands = rewriter.mapped(node.operands);
    Graph body = body_of(node, types_of(graph, node.operands));
    std::vector<ValueId> results =
        inline_body(rewriter.target(), body, operands, node.location, names, inner);
    for (std::size_t k = 0; k < results.size(); ++k) rewriter.replace(node.results[k], results[k]);
  }
  return std::move(rewriter).finish();
}

Graph decompose(Graph graph) {
  std::span<const Node> nodes = graph.nodes();
  if (std::none_of(nodes.begin(), nodes.end(),
                   [&](const Node& node) { return is_composite(graph, node); }))
    return graph;
  return decompose_if(graph, [](NodeId) { return true; }, [](const OpDef&) { return true; });
}

}  // namespace weir
