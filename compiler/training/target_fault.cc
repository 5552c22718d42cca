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

}  // namespace

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

}  // namespace weir
