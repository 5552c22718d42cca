// Sizes for estimates.
#pragma once

#include <cstdint>

#include "compiler/lowering/kernel.h"
#include "ir/dim.h"

namespace weir {

// What stands for a dimension that is known only at the call, where a pass has no reason for
// another.
constexpr std::int64_t kSymbolEstimate = 16;

// With `symbol` in the place of each symbol, and `symbol` where that has no value.
double estimated_size(const Dim& dim, std::int64_t symbol = kSymbolEstimate);

// How many elements a shape has, also where that is beyond 64 bits.
double estimated_elements(const Shape& shape);

// How often a fold of the kernel reads each element of an operand of that shape.
double reads_of_each(const Kernel& kernel, const Stage& fold, const Shape& shape);

}  // namespace weir
