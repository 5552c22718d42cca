// First values of params that are to be trained.
//
// Numbers come from a 64-bit Mersenne twister, as equally distributed ones with 53 bits; those of
// the uniform kinds are the same bits everywhere. Fans are those of [out, in] and [out, in, kernel
// ...]: the inputs are the product of all dimensions but the first, the outputs that of all but the
// second.
#pragma once

#include <cstdint>
#include <random>

#include "ir/builder.h"
#include "ir/tensor.h"

namespace weir {

struct Initializer {
  enum class Kind : std::uint8_t {
    zeros,
    uniform,  // within -scale and scale
    normal,   // with the standard deviation `scale`
    xavier,   // uniform within sqrt(6 / (inputs + outputs)) (Glorot and Bengio, 2010)
    he,       // uniform within sqrt(6 / ((1 + slope^2) * inputs)) (He et al., 2015): for LeakyReLU
  };
  Kind kind = Kind::he;
  double scale = 1;
  double slope = 0.01;  // of the LeakyReLU behind it
};

// A tensor of a floating-point type whose dimensions are integers.
Tensor initial_value(const TensorType& type, const Initializer& initializer,
                     std::mt19937_64& random);

// Gives values to params that have none: matrices and filters by `initializer`, all others zeros,
// in the order of the graph's params. Error for one of another type than floating point.
void initialize(Model& model, const Initializer& initializer, std::uint64_t seed);

}  // namespace weir
