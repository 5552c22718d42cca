#include "compiler/training/target_fault.h"

#include <cmath>
#include <string_view>

#include <fmt/format.h>

#include "ir/op.h"

namespace weir {
namespace {

// `takes` is asked for every element.
template <class Takes>
std::optional<TargetFault> find_fault(const Tensor& targets, std::string_view rule, Takes takes) {
  for (std::int64_t i = 0; i < targets.element_count(); ++i) {
    double target = scalar::to_double(targets.dtype(), targets.bits(i));
    if (!takes(target)) return TargetFault{i, fmt::format("{}; {}", target, rule)};
  }
  return std::nullopt;
}

// Whether the elements of the first row add up to 1 along an axis, wherever on the others.
bool adds_up(const Tensor& targets, int axis) {
  constexpr double kNear = 0.02;  // bf16 has three digits
  const Tensor::Sizes& sizes = targets.sizes();
  std::int64_t row = 1, inner = 1;
  for (int i = 1; i < targets.rank(); ++i) {
    row *= sizes[static_cast<std::size_t>(i)];
    if (i > axis) inner *= sizes[static_cast<std::size_t>(i)];
  }
  const std::int64_t count = sizes[static_cast<std::size_t>(axis)];
  for (std::int64_t i = 0; i < row; ++i) {
    if (i / inner % count != 0) continue;
    double sum = 0;
    for (std::int64_t k = 0; k < count; ++k)
      sum += scalar::to_double(targets.dtype(), targets.bits(i + k * inner));
    if (!(std::abs(sum - 1) < kNear)) return false;
  }
  return true;
}

}  // namespace

std::int64_t classes_of_labels(const Graph& graph, ValueId input) {
  for (const Node& node : graph.nodes()) {
    if (!node.op->is_loss || !node.op->index_operands) continue;
    std::vector<TensorType> types;
    for (ValueId operand : node.operands) types.push_back(graph.type(operand));
    for (const IndexOperand& indices : node.op->index_operands({node.op, types, node.attributes}))
      if (node.operands[indices.operand] == input && indices.sizes.size() == 1 &&
          indices.sizes[0].is_constant())
        return indices.sizes[0].value();
  }
  return 0;
}

std::optional<TargetFault> find_label_fault(const Tensor& targets, std::int64_t classes) {
  return find_fault(
      targets, fmt::format("the classes of the model are 0 to {}", classes - 1),
      [&](double label) { return label >= 0 && label < static_cast<double>(classes); });
}

std::optional<TargetFault> find_fraction(const Tensor& targets) {
  return find_fault(targets, "a whole number is wanted", [](double target) {
    return target == std::floor(target) && std::abs(target) < 0x1p53;
  });
}

std::optional<TargetFault> find_target_fault(const Graph& graph, ValueId input,
                                             const Tensor& targets) {
  if (!is_float(graph.type(input).dtype)) return std::nullopt;
  for (const Node& node : graph.nodes()) {
    if (!node.op->targets || node.operands[1] != input) continue;
    const TargetRange& range = *node.op->targets;
    auto takes = [&](double target) { return range.takes(target); };
    if (std::optional<TargetFault> fault = find_fault(targets, range.text, takes)) return fault;
  }
  return std::nullopt;
}

std::optional<AxisFault> find_axis_fault(const Graph& graph, ValueId input, const Tensor& targets) {
  if (!is_float(targets.dtype()) || targets.element_count() == 0) return std::nullopt;
  for (const Node& node : graph.nodes()) {
    if (!node.op->is_loss || !node.op->index_operands || node.operands[1] != input) continue;
    const std::vector<TensorType> types{graph.type(node.operands[0])};
    const int axis = OpInstance{node.op, types, node.attributes}.axis(targets.rank());
    if (axis == 0 || adds_up(targets, axis)) continue;
    for (int other = 1; other < targets.rank(); ++other)
      if (targets.sizes()[static_cast<std::size_t>(other)] > 1 && adds_up(targets, other))
        return AxisFault{axis, other};
  }
  return std::nullopt;
}

}  // namespace weir
