// Expansions of the elementary functions: exp, log, tanh ... written in the exact primitives.
//
// The expansion is what gets compiled, so a compiled program needs no math library, and gives the
// same bits on every target that agrees on FMA.
#pragma once

#include <span>
#include <vector>

#include "ir/scalar/arena.h"

namespace weir::scalar {

// The expansion of one elementary primitive on f32 or f64 operands.
Id expand(Arena& arena, Primitive primitive, std::span<const Id> operands);

// The same expressions with every elementary node expanded.
std::vector<Id> expand_all(Arena& arena, std::span<const Id> roots);

}  // namespace weir::scalar
