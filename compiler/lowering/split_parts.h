// Concats along what vectors run along.
//
// Each point of a concat is a choice between its parts. Where vectors run along the axis of which
// the parts are, as along the channels of an image that has these last, a vector of the result reads
// all parts under masks. So where each part has a vector and more, and there are some, that axis is
// no row axis any longer, but the axis of a stage for each part, in which nothing is left to choose.
//
// The points that are computed, and how, stay as they are.
#pragma once

#include "compiler/lowering/kernel.h"
#include "compiler/lowering/target.h"

namespace weir {

// Of a kernel that is one map of its rows, with these in order, cuts the last row axis where
// comparisons of it with constants change.
void split_parts(Kernel& kernel, const VectorRegisters& vectors);

}  // namespace weir
