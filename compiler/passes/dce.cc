#include "compiler/passes/dce.h"

#include <algorithm>

#include "compiler/passes/graph_rewriter.h"

namespace weir {

Graph dce(Graph graph) {
  std::vector<bool> needed(graph.value_count());
  std::vector<bool> live(graph.nodes().size());
  for (const Graph::Output& output : graph.outputs()) needed[output.value.index] = true;
  // Users stand behind their operands, so one sweep from the end sees every use before the
  // definition.
  for (std::size_t i = graph.nodes().size(); i-- > 0;) {
    const Node& node = graph.nodes()[i];
    for (ValueId result : node.results) live[i] = live[i] || needed[result.index];
    if (!live[i]) continue;
    for (ValueId operand : node.operands) needed[operand.index] = true;
  }
  if (std::find(live.begin(), live.end(), false) == live.end()) return graph;

  GraphRewriter rewriter(graph);
  for (std::size_t i = 0; i < graph.nodes().size(); ++i)
    if (live[i]) rewriter.copy(graph.nodes()[i]);
  return std::move(rewriter).finish();
}

}  // namespace weir
