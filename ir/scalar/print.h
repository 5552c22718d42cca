// Scalar expressions as text.
//
//   select(x > 0.0, x, 0.05 * x)
//
// Operators are those of C with C's precedence, and no parentheses but the needed ones. A constant
// on the left of a comparison goes to the right. Casts read `f64(x)`, loads `x[i0, i1]`, guarded
// loads
// `(guard ? x[i0] : otherwise)`.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "ir/scalar/arena.h"

namespace weir::scalar {

// What leaves are called; a function that is empty gives a letter and the number: a0, i0, l0, b0.
struct Names {
  using Name = std::function<std::string(std::uint32_t number)>;
  Name argument;
  Name axis;
  Name local;
  Name buffer;
};

// One expression written out in full. Its length grows with every path through the expression, so
// this is for expressions that share little; otherwise use `list`.
std::string to_string(const Arena& arena, Id root, const Names& names);

// Expressions with what they share written once: definitions "t0 = a * b", in order, for the nodes
// that have more than one use, and the roots in terms of them.
struct Listing {
  std::vector<std::string> definitions;
  std::vector<std::string> roots;
};
Listing list(const Arena& arena, std::span<const Id> roots, const Names& names);

}  // namespace weir::scalar
