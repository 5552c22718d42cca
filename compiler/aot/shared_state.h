// One block of state for several programs of a model.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "compiler/lowering/program.h"
#include "ir/builder.h"

namespace weir {

struct StateLayout {
  std::vector<StateEntry> entries;  // in the order of their offsets
  std::uint64_t bytes = 0;
};

// Gives everything that some program updates, or reads from the state, a place in one block, and
// tells the programs: what has the same name in two of them is the same memory.
StateLayout share_state(std::span<Program* const> programs);

// The first values of a block, up to the last byte that is not zero, in a multiple of
// WEIR_ALIGNMENT. Error if one is missing or has another type; with `some_only` a missing one is
// zeros.
std::string first_values(const StateLayout& layout, const Weights& values, bool some_only);

}  // namespace weir
