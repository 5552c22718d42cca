// One block of weights for several programs of a model.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "compiler/lowering/program.h"

namespace weir {

struct WeightLayout {
  std::vector<WeightEntry> entries;  // those that have a place, in its order
  std::uint64_t bytes = 0;
};

// Gives every weight that some program reads a place in one block, and tells the programs. The
// first program's weights stay where they are; what another one reads in the same order of
// dimensions is there once.
WeightLayout share_weights(std::span<Program* const> programs);

}  // namespace weir
