// The order of a contraction's rows.
//
// A fold in chain order runs along the last row axis in vectors. In a convolution with strides, or
// into a small image, that axis fills no vectors or reads x element by element, while the filters
// beside it would do: so the axis that costs least comes last. Before it comes the axis that a register
// tile has as its rows: one along which an operand that is read in vectors stays the same.
#pragma once

#include "compiler/lowering/kernel.h"

namespace weir {

// Moves one or two row axes of a kernel with one fold, over several axes in chain order, behind the
// others where that is certainly cheaper; the order of the others stays.
void order_rows(Kernel& kernel);

}  // namespace weir
