// First values of params that are to be trained.
#pragma once

#include <cstdint>
#include <random>

#include "ir/builder.h"
#include "ir/initializer.h"
#include "ir/tensor.h"

namespace weir {

// A tensor of a type whose dimensions are integers. Error without a location if the initializer is
// unknown or does not fit the type.
Tensor initial_value(const TensorType& type, const Initializer& initializer,
                     std::mt19937_64& random);

// Gives values to params that have none, in the order of the graph's params: by the initializer
// that is declared with the param. Where there is none, a matrix or filter is initialized by
// `otherwise`, and any other param of floating point is zeros; Error for a param of another type,
// and for one whose dimensions are not integers.
void initialize(Model& model, const Initializer& otherwise, std::uint64_t seed);

}  // namespace weir
