#include "compiler/autodiff/gradient_cut.h"

#include <algorithm>

#include <fmt/format.h>

#include "ir/op.h"

namespace weir {
namespace {

std::string described(const Graph& graph, const Node& node) {
  std::string place = node.location.to_string();
  std::string text = place.empty() ? node.op->name : fmt::format("{} at {}", node.op->name, place);
  if (node.op->gradient.kind == GradientRule::Kind::stops) return text;
  const TensorType& type = graph.type(node.results[0]);
  return is_float(type.dtype) ? text + ", whose derivative is 0"
                              : fmt::format("{}, whose result is {}", text, to_string(type));
}

}  // namespace

std::string find_gradient_cut(const Graph& graph, std::span<const ValueId> outputs,
                              const GradientFlow& flow) {
  std::vector<bool> leads(graph.value_count());
  for (ValueId output : outputs) leads[output.index] = true;
  auto depends = [&](ValueId id) { return flow.depends[id.index]; };
  auto reached = [&](ValueId id) { return flow.reached[id.index]; };
  for (std::size_t i = graph.nodes().size(); i-- > 0;) {
    const Node& node = graph.nodes()[i];
    if (std::none_of(node.results.begin(), node.results.end(),
                     [&](ValueId result) { return leads[result.index]; }))
      continue;
    bool arrives = std::any_of(node.operands.begin(), node.operands.end(), depends);
    bool passes_on = std::any_of(node.results.begin(), node.results.end(), depends);
    bool has_cotangent = std::any_of(node.results.begin(), node.results.end(), reached);
    bool hands_back = std::any_of(node.operands.begin(), node.operands.end(), reached);
    if (arrives && (!passes_on || (has_cotangent && !hands_back))) return described(graph, node);
    for (ValueId operand : node.operands) leads[operand.index] = true;
  }
  return "";
}

}  // namespace weir
