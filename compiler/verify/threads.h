// Whether a compiled model gives the same bits on one thread and on several.
#pragma once

#include <cstddef>
#include <span>

#include "compiler/verify/comparison.h"
#include "compiler/verify/runner.h"

namespace weir::verification {

// Runs on other threads than those that `results` come from, and compares the last `count` of them
// element by element: they have to be identical, whatever the tolerance. Interpreted models are
// passed over.
void compare_threads(const Runner& runner, const Inputs& inputs, std::span<const Tensor> results,
                     std::size_t count, Comparison& comparison);

}  // namespace weir::verification
