#include "compiler/passes/only_outputs.h"

#include <algorithm>
#include <string>
#include <unordered_set>
#include <vector>

#include "compiler/passes/graph_rewriter.h"

namespace weir {
namespace {

bool is_needed(const Node& node, const std::vector<bool>& needed) {
  return std::any_of(node.results.begin(), node.results.end(),
                     [&](ValueId result) { return needed[result.index]; });
}

// Which values the outputs need.
std::vector<bool> needed_values(const Graph& graph,
                                const std::function<bool(const Graph::Output&)>& keeps) {
  std::vector<bool> needed(graph.value_count());
  for (const Graph::Output& output : graph.outputs())
    if (keeps(output)) needed[output.value.index] = true;
  // Users stand behind their operands.
  for (std::size_t i = graph.nodes().size(); i-- > 0;)
    if (is_needed(graph.nodes()[i], needed))
      for (ValueId operand : graph.nodes()[i].operands) needed[operand.index] = true;
  for (ValueId param : graph.params()) needed[param.index] = true;
  return needed;
}

class SymbolSet {
 public:
  // Whether the type names one that is new.
  bool add(const TensorType& type) {
    bool is_new = false;
    for (const Dim& dim : type.shape) {
      std::vector<std::string> symbols;
      dim.collect_symbols(symbols);
      for (std::string& symbol : symbols)
        is_new = known_.insert(std::move(symbol)).second || is_new;
    }
    return is_new;
  }

 private:
  std::unordered_set<std::string> known_;
};

}  // namespace

Graph only_outputs(const Graph& graph, const std::function<bool(const Graph::Output&)>& keeps) {
  std::vector<bool> needed = needed_values(graph, keeps);
  SymbolSet bound;
  for (ValueId input : graph.inputs())
    if (needed[input.index]) bound.add(graph.type(input));
  for (ValueId param : graph.params()) bound.add(graph.type(param));
  GraphRewriter rewriter(
      graph, [&](ValueId input) { return needed[input.index] || bound.add(graph.type(input)); });
  for (const Node& node : graph.nodes())
    if (is_needed(node, needed)) rewriter.copy(node);
  for (const Graph::Output& output : graph.outputs())
    if (keeps(output))
      rewriter.target().add_output_like(
          output, rewriter.mapped(output.value),
          output.updates.valid() ? rewriter.mapped(output.updates) : ValueId{});
  return std::move(rewriter.target());
}

}  // namespace weir
