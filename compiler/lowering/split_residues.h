// Rows by their residue.
//
// Where windows are strides apart, as in the gradient of a convolution with strides, a position of
// x lies under every stride-th tap alone, and which those are depends on the position's residue by
// the stride. So such a row axis is cut in two: the residue, which becomes an outer axis, and the
// quotient. For one residue the taps that take part are the same at all positions: a register tile
// has one condition for all of its rows, and what does not take part is passed over
// (KernelEmitter).
//
// The points that are computed, and each in what order, stay as they are.
#pragma once

#include "compiler/lowering/kernel.h"

namespace weir {

// Cuts the row axes on whose residues by a constant, which divides their extent, it depends whether
// a step of a fold in chain order takes part.
void split_residues(Kernel& kernel);

}  // namespace weir
