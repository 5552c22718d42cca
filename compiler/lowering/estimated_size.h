// The size of a dimension for estimates.
#pragma once

#include <cstdint>

#include "ir/dim.h"

namespace weir {

// With `symbol` in the place of each symbol, and `symbol` where that has no value.
double estimated_size(const Dim& dim, std::int64_t symbol);

}  // namespace weir
