// Where a path that leads to the outputs loses its derivative: at an op whose results are integers
// or truth values, at stop_gradient, or where the derivative is zero everywhere.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace weir {

// Of a graph that is differentiated, by value: whether it is of floating point and made of what the
// gradient is asked for, along values of floating point; and whether a cotangent has come to it.
struct GradientFlow {
  const std::vector<bool>& depends;
  const std::vector<bool>& reached;
};

// The last node in the graph at which such a path ends on its way to the outputs, and why:
// "arg_max at model.weir:7:3, whose result is i64[N]". Empty if no path leads there at all.
std::string find_gradient_cut(const Graph& graph, std::span<const ValueId> outputs,
                              const GradientFlow& flow);

}  // namespace weir
