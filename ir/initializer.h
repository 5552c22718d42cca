// Initializers: how a param that is to be trained gets its first value.
//
//   param %w: f32[64, 32] = he {negative_slope = 0.05}
//
// An initializer is declared with the param and travels with it through every pass; it takes no
// part in what the graph computes. One row of a table is an initializer: its attributes, which
// params may have it, and the expression of an element.
//
// The expression is of numbers that are equally distributed in 0 <= u < 1, with 53 bits. They come
// from a 64-bit Mersenne twister, one after the other: the elements row-major, the numbers of an
// element in the order of its arguments. It is expanded, and evaluated in f64 without FMA, so that
// every machine draws the same bits, here and in compiled code.
//
// The fans of a matrix or filter are those of [out, in] and [out, in, kernel ...]: the inputs are
// the product of all dimensions but the first, the outputs that of all but the second. With
// `transposed` the first two change places: the right operand of matmul, and the filter of
// conv_transpose.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "ir/attribute.h"
#include "ir/scalar/expr.h"
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
  // Gives one equally distributed number more.
  using Draw = std::function<scalar::Expr()>;
  // An element of a type whose dimensions are integers, as f64 or of the param's type.
  std::function<scalar::Expr(scalar::Arena&, const Draw&, const TensorType&, const Attributes&)>
      element;
};

// An element as it is evaluated: of the param's type.
struct InitialElement {
  scalar::Arena arena;
  scalar::Id value;
  std::uint32_t draws = 0;  // arguments, of f64
};

// All of them: zeros, constant, uniform, normal, xavier, he.
std::span<const InitializerDef> initializers();
// The row of the table. Error without a location if there is none of that name.
const InitializerDef& find_initializer(std::string_view name);
// The initializer with all of its attributes. Error without a location if it is unknown, or does
// not fit a param of this type.
Initializer completed(Initializer initializer, const TensorType& type);
// What the initializer gives to a param of a type whose dimensions are integers. Error as of
// completed().
InitialElement initial_element(const Initializer& initializer, const TensorType& type);

}  // namespace weir
