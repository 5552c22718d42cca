// Copies whose rows do not share the sets of the first cache.
//
// What the rows of a register tile read of a framed image with channels innermost are its pixels
// side by side. Of 1024 channels they lie 4 KB apart, a way of the first cache, so a line of each
// is in one set, which holds no more of them than it has ways; a high tile comes back for the rest
// of a line when it is gone. The copy is ours, so each of its runs has one line more, which nothing
// reads, and the rows go round all sets.
#pragma once

#include "compiler/lowering/kernel.h"
#include "compiler/lowering/pack_operands.h"
#include "compiler/lowering/target.h"

namespace weir {

// Gives the copy a line more in each run of its last dimension if it has a frame, no frame along
// that, the steps of the kernel's folds run along it, and the rows of the highest tile would share
// too few sets.
void spread_rows(Kernel& kernel, PackedCopy& copy, const Processor& processor);

}  // namespace weir
