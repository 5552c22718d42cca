// What is said of an op without a gradient that one would have to pass.
#pragma once

#include <span>

#include "compiler/autodiff/gradient_cut.h"
#include "ir/graph.h"

namespace weir {

// The error, at the node, with its op's reason and the whole path from an output to what the
// gradient is asked for.
[[noreturn]] void refuse_gradient(const Graph& graph, const Node& node,
                                  std::span<const ValueId> outputs, const GradientFlow& flow);

}  // namespace weir
