// The size of a dimension for estimates.
#pragma once

#include <cstdint>

#include "ir/dim.h"

namespace weir {

// What stands for a dimension that is known only at the call, where a pass has no reason for
// another.
constexpr std::int64_t kSymbolEstimate = 16;

// With `symbol` in the place of each symbol, and `symbol` where that has no value.
double estimated_size(const Dim& dim, std::int64_t symbol = kSymbolEstimate);

}  // namespace weir
