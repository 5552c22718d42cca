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

// The part of a block that does not start as zeros; both ends are multiples of WEIR_ALIGNMENT.
struct FirstValues {
  std::uint64_t offset = 0;
  std::string bytes;
};

// Error if a value is missing or has another type; with `some_only` a missing one is zeros.
FirstValues first_values(const StateLayout& layout, const Weights& values, bool some_only);

}  // namespace weir
