// A first look at many errors at once: a loop without branches, in vectors.
#pragma once

#include <cstddef>

#include "tests/numerics/functions.h"

namespace weir::numerics {

// Whether no result is further from the exact one than `known` ulp, and nothing else is odd: NaN,
// infinity or, if signs count, the sign of a zero where the exact result has another.
bool nothing_new(const Exact<double>* exact, const float* results, std::size_t count, double known,
                 bool signs_count);

}  // namespace weir::numerics
