#include "compiler/verify/double_precision.h"

#include <algorithm>

#include <fmt/format.h>

#include "ir/notes.h"

namespace weir::verification {
namespace {

DType in_double_precision(DType type) { return type == DType::f32 ? DType::f64 : type; }

Attribute in_double_precision(const Attribute& attribute) {
  if (const DType* type = std::get_if<DType>(&attribute)) return in_double_precision(*type);
  if (const auto* tensor = std::get_if<std::shared_ptr<const Tensor>>(&attribute))
    return std::make_shared<const Tensor>(verification::in_double_precision(**tensor));
  return attribute;
}

bool is_of_backward_pass(const Node& node) { return node.location.note.starts_with(kGradientOf); }

}  // namespace

std::vector<ValueId> read_by_backward_pass(const Graph& graph) {
  std::vector<ValueId> result;
  std::vector<bool> is_forward(graph.value_count()), seen(graph.value_count());
  for (const Node& node : graph.nodes()) {
    if (!is_of_backward_pass(node)) {
      for (ValueId value : node.results) is_forward[value.index] = true;
      continue;
    }
    for (ValueId operand : node.operands) {
      if (!is_forward[operand.index] || seen[operand.index]) continue;
      seen[operand.index] = true;
      result.push_back(operand);
    }
  }
  return result;
}

std::string given_name(std::size_t i) { return fmt::format("given {}", i); }

Tensor in_double_precision(const Tensor& tensor) {
  if (tensor.dtype() != DType::f32) return tensor;
  Tensor result(DType::f64, tensor.sizes());
  std::ranges::copy(tensor.elements<float>(), result.mutable_elements<double>().begin());
  return result;
}

std::map<std::string, Tensor, std::less<>> in_double_precision(
    const std::map<std::string, Tensor, std::less<>>& tensors) {
  std::map<std::string, Tensor, std::less<>> result;
  for (const auto& [name, tensor] : tensors) result.emplace(name, in_double_precision(tensor));
  return result;
}

Graph in_double_precision(const Graph& graph, std::span<const ValueId> given) {
  Graph result(graph.name());
  std::vector<ValueId> map(graph.value_count()), inputs(graph.value_count());
  for (std::size_t i = 0; i < given.size(); ++i) {
    const TensorType& type = graph.type(given[i]);
    inputs[given[i].index] =
        result.add_input(given_name(i), {in_double_precision(type.dtype), type.shape});
  }
  for (std::uint32_t i = 0; i < graph.value_count(); ++i) {
    const Value& value = graph.value({i});
    if (value.kind == Value::Kind::result) continue;
    map[i] = result.add_input(value.name, {in_double_precision(value.type.dtype), value.type.shape},
                              value.location);
  }
  for (const Node& node : graph.nodes()) {
    std::vector<ValueId> operands;
    std::vector<std::string> names;
    for (ValueId operand : node.operands) {
      bool is_given = is_of_backward_pass(node) && inputs[operand.index].valid();
      operands.push_back((is_given ? inputs : map)[operand.index]);
    }
    for (ValueId value : node.results) names.push_back(graph.value(value).name);
    Attributes attributes;
    for (const auto& [name, attribute] : node.attributes)
      attributes.set(name, in_double_precision(attribute));
    NodeId made =
        result.add_node(*node.op, std::move(operands), std::move(attributes), node.location, names);
    for (std::size_t i = 0; i < node.results.size(); ++i)
      map[node.results[i].index] = result.node(made).results[i];
  }
  for (const Graph::Output& output : graph.outputs())
    result.add_output(map[output.value.index], output.name);
  return result;
}

}  // namespace weir::verification
