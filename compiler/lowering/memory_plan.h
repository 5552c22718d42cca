// Where values live: slots of the workspace, shared by values that are never alive together.
#pragma once

#include "compiler/lowering/program.h"

namespace weir {

struct MemoryPlanOptions {
  bool reuse = true;  // false: a slot for each value
};

// Gives every workspace buffer a slot. Buffers are visited in the order of the calls that write them; a
// buffer takes over the slot of one that the same call reads for the last time, element by element at
// the place that it writes (in place), or else a free slot - of the same size, if there is one - or
// else a new one.
void plan_memory(Program& program, const MemoryPlanOptions& options = {});

// Whether a kernel reads parameter `source` only at the very element that it then overwrites through
// parameter `target`, and never after: the two may then be the same memory.
bool can_overwrite(const Kernel& kernel, std::uint32_t source, std::uint32_t target);

// The bytes of all slots under bindings of the program's symbols, each aligned; nothing on overflow.
std::optional<std::uint64_t> workspace_bytes(const Program& program, const Dim::Bindings& bindings);

}  // namespace weir
