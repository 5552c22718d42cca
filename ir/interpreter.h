// The interpreter: the slow, obvious reference that everything compiled is compared with.
//
// It evaluates a node from its op's declaration alone, one element at a time, in the order that the
// declaration documents. In mathematical mode elementary functions are rounded once from a wider
// result; in expanded mode they are evaluated as they are compiled, and the results equal compiled
// code bit for bit.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ir/builder.h"
#include "ir/dim.h"
#include "ir/graph.h"
#include "ir/scalar/evaluate.h"
#include "ir/tensor.h"

namespace weir {

using Inputs = std::map<std::string, Tensor, std::less<>>;

struct InterpretOptions {
  scalar::Numerics numerics;
};

// The values of the graph's symbols, from the sizes of inputs and params. A dimension that is a
// symbol binds it; one that is linear in a single unknown symbol, such as 4*N + 1, is solved for
// it. Error if a tensor is missing, is unknown to the graph or does not have its declared type, if
// two sizes bind one symbol differently, or if a symbol stays unknown.
Dim::Bindings bind_symbols(const Graph& graph, const Inputs& inputs, const Weights& weights);

// The outputs in order. Errors are those of bind_symbols, and a result that has no size under the
// bindings.
std::vector<Tensor> interpret(const Graph& graph, const Weights& weights, const Inputs& inputs,
                              const InterpretOptions& options = {});

}  // namespace weir
