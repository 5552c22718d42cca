// The interpreter: the slow, obvious reference that everything compiled is compared with.
//
// It evaluates a node from its op's declaration alone, one element at a time, in the order that the
// declaration documents. In mathematical mode elementary functions are rounded once from a wider
// result; in expanded mode they are evaluated as they are compiled, and the results equal compiled
// code bit for bit.
#pragma once

#include <vector>

#include "ir/bind_symbols.h"
#include "ir/graph.h"
#include "ir/scalar/evaluate.h"
#include "ir/tensor.h"

namespace weir {

struct InterpretOptions {
  scalar::Numerics numerics;
};

// The outputs in order. Errors are those of bind_symbols, and a result that has no size under the
// bindings.
std::vector<Tensor> interpret(const Graph& graph, const Weights& weights, const Inputs& inputs,
                              const InterpretOptions& options = {});

}  // namespace weir
