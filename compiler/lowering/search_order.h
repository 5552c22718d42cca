// The order in which blocks of memory take their places, found by trying many.
//
// In an order each block goes into the smallest gap that has room for it, with all sizes of the
// symbols, between those before it that are alive with it, or above them. The first order has the
// largest blocks first, or those that are alive where most is; from it on one block at a time gets
// another turn, at times an earlier one for what has come out on top. What needs less, or so little
// more that it is within a threshold, which falls to nothing, is where the next one starts from:
// Dueck and Scheuer, Threshold accepting (1990). The numbers that are drawn are the same in every
// run.
//
// Blocks that are small with all sizes take the last turns, and are no part of the search.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "compiler/lowering/place_blocks.h"

namespace weir {

struct OrderedPlaces {
  std::size_t size = 0;                  // which of the symbols' sizes the addresses are for
  std::vector<std::uint64_t> addresses;  // by block
};

// Lives and bytes are as place_blocks() has them, without any size that has no block; `alive` is
// the most at once, by size.
OrderedPlaces search_order(std::span<const BlockLife> lives,
                           std::span<const std::vector<std::uint64_t>> bytes,
                           std::span<const std::uint64_t> alive);

}  // namespace weir
