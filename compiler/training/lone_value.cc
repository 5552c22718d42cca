#include "compiler/training/lone_value.h"

#include <fmt/format.h>

#include "compiler/autodiff/training_form.h"
#include "ir/op.h"

namespace weir {

std::optional<Diagnostic> find_lone_value(const Graph& model, const Dim::Bindings& sizes) {
  const TrainedModel trained = training_form(model);
  const Graph& graph = trained.graph;
  for (const Node& node : graph.nodes()) {
    if (!node.op->values_of_statistic) continue;
    std::vector<TensorType> operands;
    for (ValueId operand : node.operands) operands.push_back(graph.type(operand));
    if (node.op->values_of_statistic({node.op, operands, node.attributes}).evaluate(sizes) == 1)
      return Diagnostic{node.location,
                        fmt::format("one value for each channel of {}", to_string(operands[0])),
                        node.location.source_line()};
  }
  return std::nullopt;
}

}  // namespace weir
