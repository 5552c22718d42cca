// The block of weights that a compiled program reads: params and constants, each at its place and
// laid out as the kernels want it.
#pragma once

#include <span>

#include "compiler/lowering/program.h"
#include "ir/builder.h"

namespace weir {

// Error that lists the params without a value, or if one has a value of another type.
void check_weights(std::span<const WeightEntry> entries, const Weights& weights);

// Lays out every entry that has a place. What no entry covers stays as it is.
void fill_weight_block(std::span<const WeightEntry> entries, const Weights& weights,
                       std::span<char> block);

}  // namespace weir
