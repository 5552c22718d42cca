// Folds whose chunk results are kept in memory, and merged by a function of their own.
//
// A fold whose kernel has too few rows to share is shared among threads by its chunks. And where a
// register tile reads both operands along its rows and columns, as in the gradient of a filter over
// many images, or far more columns than its few rows are worth, all rows go through one chunk
// before the next: what a chunk reads stays near, where whole sums would have read it again for
// each tile (codegen/chunk_emitter.cc).
//
// The result does not depend on it: chunk results are what a fold is made of (Reduction in
// ir/op.h), so they may be computed by any thread, kept, and merged afterwards in the same tree. A
// split fold names parameters that its chunk results go to, in the workspace.
#pragma once

#include <vector>

#include "compiler/lowering/kernel.h"
#include "compiler/lowering/target.h"

namespace weir {

// Whether all rows had better go through a chunk before the next, because what a tile reads in all
// steps of a fold over windows does not stay near until the next tile reads it.
bool goes_by_chunks(const Kernel& kernel, const Stage& stage, const Processor& processor);

// Marks the folds of the kernel that are worth splitting, and appends the parameters for their
// chunk results. Returns how large each of those has to be, in order. `sums_rows`: what it stores
// is to be summed across its rows (fold_across.h), which it does only where its folds are whole, so
// they are split for threads alone.
std::vector<SlotSize> split_folds(Kernel& kernel, const Processor& processor, bool sums_rows);

}  // namespace weir
