// Operands of which a register tile reads a few neighbours at each step, far apart from one step to
// the next.
//
// The gradient of a filter is a sum over all positions of the images, and with channels innermost a
// tile reads a line or two of each position, from both operands: lines a power of two apart, which
// share few sets of the caches. So such an operand is copied in panels of as many channels as a
// tile has columns, or of a line of memory where they are its rows; each panel is one run of
// memory. The row axis is cut likewise, and the panels become the outermost axes, those of the rows
// before those of the columns: what a panel of the rows has stays near while the panels of the
// columns pass by.
#pragma once

#include <functional>
#include <vector>

#include "compiler/lowering/pack_operands.h"

namespace weir {

// Makes `built` read such operands in panels. `copies` are those that it reads already: they are
// cut as they are made, or returned with others. `is_weight` tells which values are laid out ahead
// of all runs.
std::vector<PackedCopy> cut_copies(BuiltKernel& built,
                                   const std::function<bool(ValueId)>& is_weight,
                                   const VectorRegisters& vectors, std::vector<PackedCopy> copies);

}  // namespace weir
