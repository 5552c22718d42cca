// Parallel folds: a fold whose kernel has too few rows to share is shared among threads by its chunks.
//
// The result does not depend on it: chunk results are what a fold is made of (Reduction in ir/op.h), so
// they may be computed by any thread, kept, and merged afterwards in the same tree. A split fold names
// parameters that its chunk results go to, in the workspace.
#pragma once

#include <vector>

#include "compiler/lowering/kernel.h"

namespace weir {

// Marks the folds of the kernel that are worth splitting, and appends the parameters for their chunk
// results. Returns how large each of those has to be, in order.
std::vector<SlotSize> split_folds(Kernel& kernel);

}  // namespace weir
