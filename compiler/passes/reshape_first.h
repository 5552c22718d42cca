// Activations in the shape in which their gradients are.
#pragma once

#include "ir/graph.h"

namespace weir {

// reshape(f(x)) becomes f(reshape(x)), for a pointwise f of one operand, if nothing else reads f(x)
// and the backward pass asks for reshape(x): between a layer of images and one of features. What
// lies in memory, f of it, then tells its sign where the gradient of f asks for that.
Graph reshape_first(Graph graph);

}  // namespace weir
