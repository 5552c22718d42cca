// Targets that their loss does not take: what a data set is looked through for before it is trained
// on. A loss computes with such numbers, and gives what means nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ir/graph.h"
#include "ir/tensor.h"

namespace weir {

struct TargetFault {
  std::int64_t element = 0;  // its number among all elements of the targets
  std::string message;       // "11; the classes of the model are 0 to 9"
};

// Of how many classes labels that go to this input are numbers: of a loss of the graph that reads
// them as they are. 0 if none does.
std::int64_t classes_of_labels(const Graph& graph, ValueId input);
// The first target that is not the number of a class.
std::optional<TargetFault> find_label_fault(const Tensor& targets, std::int64_t classes);
// The first that is no whole number.
std::optional<TargetFault> find_fraction(const Tensor& targets);
// The first that a loss of the graph which reads this input as its targets does not take:
// probabilities from 0 to 1 for a cross-entropy, -1 and 1 for the hinge loss.
std::optional<TargetFault> find_target_fault(const Graph& graph, ValueId input,
                                             const Tensor& targets);

// Probabilities of which those of the first row add up to 1 along another axis than that in which
// the loss of the graph that reads them has its classes, and not along that one.
struct AxisFault {
  int axis = 0, other = 0;  // that of the loss, and the one of the targets
};
std::optional<AxisFault> find_axis_fault(const Graph& graph, ValueId input, const Tensor& targets);

}  // namespace weir
