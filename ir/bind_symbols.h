// What the symbols of a graph stand for, found from the sizes of the tensors given.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "ir/builder.h"
#include "ir/diagnostic.h"
#include "ir/dim.h"
#include "ir/graph.h"
#include "ir/tensor.h"

namespace weir {

using Inputs = std::map<std::string, Tensor, std::less<>>;

// A declared input or param and the tensor given for it.
struct GivenTensor {
  std::string_view kind;  // "input" or "param", for messages
  std::string_view name;
  const TensorType* type;
  const Tensor* tensor;
  Location location;
};

// The values of the symbols in the declared types. A dimension that is a symbol binds it; one that
// is linear in a single unknown symbol, such as 4*N + 1, is solved for it; and every dimension is
// then checked. Error if a tensor does not have its declared type, if two sizes bind one symbol
// differently, or if a symbol stays unknown.
Dim::Bindings bind_symbols(std::span<const GivenTensor> given);

// Those of the symbols that it would learn; nothing is checked, but that the ranks are as declared.
Dim::Bindings known_symbols(std::span<const GivenTensor> given);

// The same for a graph. Error, too, if a tensor is missing or an input is unknown to the graph.
Dim::Bindings bind_symbols(const Graph& graph, const Inputs& inputs, const Weights& weights);

}  // namespace weir
