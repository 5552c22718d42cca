// Panels: copies that a kernel makes, while it runs, of what all rows of its register tiles share.
//
// A product reads its right side row by row, a tile's columns of each: rows that lie far apart
// share few sets of the caches, and each is on a page of its own. Weights are cut into panels ahead
// of all runs (pack_operands.h). Another operand is copied by the kernel itself: a worker that
// begins a block of columns copies what the block's tiles share of all steps into memory of its
// own, as they will read it, and then all groups of rows of that block read the copy.
//
// The copy costs as much as one group of rows or two, so it takes several groups to pay, and an
// operand that the second cache does not hold as it lies. Both are sizes, which may be known only
// at the call: one loop serves both ways, for where it reads and how far apart are numbers in
// registers.
//
// An operand that lies along the steps, as the weights of a layer do in x * transpose(w), has to be
// turned to be read in vectors. Where all steps of a block of columns fit the first cache, or the
// second and those of all columns would not, the kernel does it, too, and always: that saves a
// transposed copy of the whole operand, what was turned is near, and no worker waits for what
// another one has turned (turns_in_panel).
#pragma once

#include <cstdint>
#include <optional>

#include "compiler/lowering/program.h"
#include "compiler/lowering/schedule.h"
#include "compiler/lowering/target.h"

namespace weir {

// Whether the kernel itself turns what such a load reads in its fold, whose last row axis vectors
// run along; no weight.
bool turns_in_panel(const Kernel& kernel, scalar::Id load, const Processor& processor);

// Sets `panel` of a schedule that has its tile, where there is something to copy and sizes at which
// that pays.
void choose_panel(Schedule& schedule, const Core& core);

// The bytes of the panel that a worker needs under these sizes; 0 if none pays.
std::uint64_t panel_bytes(const Schedule& schedule, const Dim::Bindings& bindings);

// The part of a program's workspace that each worker has: its largest panel on that target, or band.
std::uint64_t bytes_per_worker(const Program& program, const Target& target,
                               const Dim::Bindings& bindings);

// Whether a program may need a workspace, at some sizes: for values, bands, or panels of a worker.
bool may_need_workspace(const Program& program);

}  // namespace weir
