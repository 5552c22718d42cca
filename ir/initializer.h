// Initializers: how a param that is to be trained gets its first value.
//
//   param %w: f32[64, 32] = he {negative_slope = 0.05}
//
// An initializer is declared with the param and travels with it through every pass; it takes no
// part in what the graph computes. One row of a table is an initializer: its attributes, which
// params may have it, and a source of elements.
//
// Numbers come from a 64-bit Mersenne twister, as equally distributed ones with 53 bits. Those of
// uniform distributions are the same bits everywhere; normal ones go through the platform's log and
// cos.
//
// The fans of a matrix or filter are those of [out, in] and [out, in, kernel ...]: the inputs are
// the product of all dimensions but the first, the outputs that of all but the second. With
// `transposed` the first two change places: the right operand of matmul, and the filter of
// conv_transpose.
#pragma once

#include <functional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "ir/attribute.h"
#include "ir/type.h"

namespace weir {

// {"he", {{"negative_slope", 0.05}}}; attributes that are left out have their defaults.
struct Initializer {
  std::string name = "he";
  Attributes attributes = {};
};

struct InitializerDef {
  std::string name;
  std::string summary;
  std::vector<AttributeSpec> attributes;
  // Error without a location if the attributes make no sense for a param of this type.
  std::function<void(const TensorType&, const Attributes&)> check;
  // What gives one element after the other, row-major, for a type whose dimensions are integers.
  using Source = std::function<double(std::mt19937_64&)>;
  std::function<Source(const TensorType&, const Attributes&)> source;
};

// All of them: zeros, constant, uniform, normal, xavier, he.
std::span<const InitializerDef> initializers();
// The row of the table. Error without a location if there is none of that name.
const InitializerDef& find_initializer(std::string_view name);
// The initializer with all of its attributes. Error without a location if it is unknown, or does
// not fit a param of this type.
Initializer completed(Initializer initializer, const TensorType& type);

}  // namespace weir
