// First values of params that are to be trained.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "ir/builder.h"
#include "ir/initializer.h"
#include "ir/tensor.h"

namespace weir {

// A tensor of a type whose dimensions are integers. Error without a location if the initializer is
// unknown or does not fit the type.
Tensor initial_value(const TensorType& type, const Initializer& initializer,
                     std::mt19937_64& random);

// A param that has no value, and what draws its first one.
struct DrawnParam {
  std::string name;
  TensorType type;  // of integers as dimensions
  Initializer initializer;
};

// What initialize() draws, in its order: params of the graph that `weights` has no value for. Error
// for a param whose dimensions are not integers. Those that nothing draws are left out.
std::vector<DrawnParam> drawn_params(const Graph& graph, const Weights& weights,
                                     const Initializer& otherwise);

// Draws the values of params one after the other, by one generator that starts with the seed.
Weights draw(std::span<const DrawnParam> params, std::uint64_t seed);

// Gives values to params that have none, in the order of the graph's params: by the initializer
// that is declared with the param. Where there is none, a matrix or filter is initialized by
// `otherwise`, and any other param of floating point is zeros; Error for a param of another type,
// and for one whose dimensions are not integers.
void initialize(Model& model, const Initializer& otherwise, std::uint64_t seed);

}  // namespace weir
