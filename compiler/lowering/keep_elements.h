// Elements that a fold and the map behind it both need are computed once, and kept where the map's
// result goes.
//
// A softmax adds up exponentials and then divides each of them by the sum. Fusion writes an element
// out wherever it is needed, which is right while computing it again costs less than memory; an
// exponential costs more. The result of the map has a place for every one of them, which nobody has
// read before, so no memory is needed: a map in front of the fold leaves them there, the fold reads
// them, and the last map reads each at the place that it then overwrites. A row, or a few of them
// (rows_by_stage.h), are done before the next, so what is kept is in the cache. Bits are what they
// were: only what has the type of the result is kept.
#pragma once

#include "compiler/lowering/kernel.h"

namespace weir {

// Changes the stages of kernels to which this applies. Where other functions work on the chunks of a
// fold (Fold::partials), what it and the folds in front of it read is left alone.
void keep_elements(Kernel& kernel);

}  // namespace weir
