// The order of a contraction's rows.
//
// A fold in chain order runs along the last row axis in vectors. In a convolution with strides, or
// into a small image, that axis fills no vectors or reads x element by element, while the filters
// beside it would do: so the axis that costs least comes last.
#pragma once

#include "compiler/lowering/kernel.h"

namespace weir {

// Moves a row axis of a kernel with one fold, over several axes in chain order, behind the others
// where that is certainly cheaper; their order stays.
void order_rows(Kernel& kernel);

}  // namespace weir
