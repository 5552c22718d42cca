#include "compiler/training/target_fault.h"

#include <array>
#include <cmath>
#include <string_view>

#include <fmt/format.h>

#include "ir/op.h"

namespace weir {
namespace {

// What a loss takes as targets of floating point.
struct TargetRule {
  std::string_view loss;
  double least, most;
  bool ends_alone;  // nothing between the two
  std::string_view text;
};

constexpr std::array<TargetRule, 3> kRules{{
    {"binary_cross_entropy", 0, 1, false, "those of binary_cross_entropy are from 0 to 1"},
    {"cross_entropy", 0, 1, false,
     "those of cross_entropy are labels, or probabilities from 0 to 1"},
    {"hinge_loss", -1, 1, true, "those of the hinge loss are -1 and 1"},
}};

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
    if (node.operands.size() < 2 || node.operands[1] != input) continue;
    for (const TargetRule& rule : kRules) {
      if (node.op->name != rule.loss) continue;
      auto takes = [&](double target) {
        return rule.ends_alone ? target == rule.least || target == rule.most
                               : target >= rule.least && target <= rule.most;
      };
      if (std::optional<TargetFault> fault = find_fault(targets, rule.text, takes)) return fault;
    }
  }
  return std::nullopt;
}

}  // namespace weir
