// Forward-mode differentiation of scalar expressions.
#pragma once

#include <span>

#include "ir/scalar/arena.h"

namespace weir::scalar {

// The directional derivative of `root` when argument i moves at the rate tangents[i]; an invalid id
// stands for a rate of zero, and an invalid result for a derivative that is zero everywhere.
//
// Through `select` the derivative is selected, never multiplied by a mask. At the kinks: abs has
// derivative 0 at 0; where min or max tie, half of each operand's; floor, ceil, trunc, round,
// integer and bit operations have derivative 0.
Id differentiate(Arena& arena, Id root, std::span<const Id> tangents);

}  // namespace weir::scalar
