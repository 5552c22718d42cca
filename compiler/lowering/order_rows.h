// The order of a kernel's rows.
//
// A fold in chain order runs along the last row axis in vectors. In a convolution with strides, or
// into a small image, that axis fills no vectors or reads x element by element, while the filters
// beside it would do: so the axis that costs least comes last. Before it comes the axis that a
// register tile has as its rows: one along which an operand that is read in vectors stays the same.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "compiler/lowering/kernel.h"
#include "compiler/lowering/target.h"

namespace weir {

// Moves row axes of a kernel with one fold in chain order behind the others where that is certainly
// cheaper (KernelCost); the order of the others stays. In a kernel that only stores, the others get
// the order in which memory holds what it writes. `may_copy` is as for KernelCost; `moved` says
// that some parameter has its dimensions in another order than its value.
void order_rows(Kernel& kernel, const std::function<bool(std::uint32_t parameter)>& may_copy,
                bool moved, const Processor& processor);

// Puts row axes into another order: those that they have now, outermost first.
void reorder_rows(Kernel& kernel, const std::vector<std::uint32_t>& order);

}  // namespace weir
