// The block of weights that a compiled program reads: params and constants, each at its place and
// laid out as the kernels want it.
#pragma once

#include <span>

#include "compiler/lowering/program.h"
#include "ir/builder.h"
#include "runtime/abi.h"

namespace weir {

// Copies a tensor's elements to memory that has its dimensions in another order, outermost first,
// and back; an empty order is that of the tensor. The last of them is in panels of so many elements
// if `panel` is not 0.
void put_in_order(char* to, const Tensor& tensor, std::span<const std::uint32_t> order,
                  std::int64_t panel = 0);
void take_in_order(Tensor& tensor, const char* from, std::span<const std::uint32_t> order,
                   std::int64_t panel = 0);

// The sums along a dimension of a tensor of f32 of its elements' products with zero, from -0 on, in
// any order: -0 where all elements are negative, NaN where one is not finite, and 0 otherwise.
Tensor sums_with_zero(const Tensor& tensor, std::uint32_t dimension);

// Error that lists the params without a value, or if one has a value of another type.
void check_weights(std::span<const WeightEntry> entries, const Weights& weights);

// Lays out every entry that has a place, in pieces that the executor's threads share. What no entry
// covers stays as it is.
void fill_weight_block(std::span<const WeightEntry> entries, const Weights& weights,
                       std::span<char> block, const weir_executor* executor = nullptr);

}  // namespace weir
