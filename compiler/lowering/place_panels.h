// Where the loop over panels of weights (pack_operands.h) stands.
//
// As the outermost one it reads the weights once, and all of the image once for each panel. An
// image that the second cache does not hold comes from afar each time, and a tile, which takes a
// line of each of its pixels in turn, waits for it. Inside the loops over all rows of the image it
// reads the image once, and the weights once for each row of it, as one run of memory, which is
// read ahead. Of the two the one is taken that waits less; for a batch that is known only at the call
// inside, if many images wait less so, and a single one no longer. The order of additions is the
// same.
#pragma once

#include "compiler/lowering/kernel.h"
#include "compiler/lowering/target.h"

namespace weir {

// Moves row axis 0 of a kernel, the panel, in front of the axis that a tile's rows are of.
void place_panels(Kernel& kernel, const Core& core);

}  // namespace weir
