// Where values live: places in the workspace, shared by values that are never alive together.
//
// A buffer that takes over another's place - its values are written, element by element, where a
// call reads the other's for the last time - is one block with it. How blocks lie beside each other
// is decided with the sizes that they have where all symbols are 8, 16, 64 or 512
// (compiler/lowering/place_blocks.h). What is exact for any symbols is the order that comes of it:
// of two blocks that are alive together, the upper one begins behind the lower one's end, wherever
// that is. A slot is one place that follows from this, and blocks that begin behind the same ends
// have the same.
#pragma once

#include "compiler/lowering/program.h"

namespace weir {

struct MemoryPlanOptions {
  bool reuse = true;  // false: no two values share memory
};

// Gives every workspace buffer a slot, and the workspace its end.
void plan_memory(Program& program, const MemoryPlanOptions& options = {});

// Whether a kernel reads parameter `source` only at the very element that it then overwrites
// through parameter `target`, and never after: the two may then be the same memory.
bool can_overwrite(const Kernel& kernel, std::uint32_t source, std::uint32_t target);

// The bytes of the workspace under bindings of the program's symbols; nothing on overflow.
std::optional<std::uint64_t> workspace_bytes(const Program& program, const Dim::Bindings& bindings);

}  // namespace weir
