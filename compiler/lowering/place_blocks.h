// Blocks of memory beside each other, so that those that are alive together lie apart, whatever
// their sizes.
//
// Sizes depend on symbols, and are known for a few values of these. A plan is an order, not
// addresses: of two blocks that are alive together one is the upper one, and begins where the lower
// one ends. It is enough to say so of neighbours.
//
// A few plans are made, and weighed with all sizes: what a plan needs is compared with what is
// alive at once, and the one is taken where that is the least at worst. By the calls, each block
// goes, when it is written, into the smallest gap between those that are alive, or on top of them,
// with each of the sizes; and an order of the blocks is searched for (search_order.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace weir {

// How many sizes the symbols have at most.
inline constexpr std::size_t kMostSymbolSizes = 4;

struct BlockLife {
  std::size_t first, last;  // calls
};

struct PlacedBlock {
  std::vector<std::uint32_t> below;  // blocks that have to end before it begins
  std::uint64_t address = 0;         // of all blocks, those below have lower ones
};

// `bytes`: for each of the sizes of all symbols, those of each block, none of which is 0. As many
// as kMostSymbolSizes.
std::vector<PlacedBlock> place_blocks(std::span<const BlockLife> lives,
                                      std::span<const std::vector<std::uint64_t>> bytes);

}  // namespace weir
