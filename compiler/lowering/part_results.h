// Results that would be scattered are turned in a kernel of their own.
//
// A contraction runs in vectors along the axis that costs least, and its results may lie apart
// along it: the channels of an image, the filters of a gradient. Stored from there, with all that
// the epilogue reads, they go element by element, which takes longer than a short sum itself. So
// such a kernel is parted: it leaves its sums in memory in the order of its own axes, and a map,
// which works on squares that are transposed in registers (schedule.h), makes the results of them.
#pragma once

#include <functional>
#include <optional>

#include "compiler/lowering/build_kernel.h"
#include "compiler/lowering/target.h"

namespace weir {

// Whether the maps of a kernel may be taken out of it: behind one sum that is not so long that it
// hides what they cost.
bool may_part_results(const Kernel& kernel);

// Takes the maps out of a kernel where that pays, and gives the kernel that makes the results. The
// last parameter of both is then the sums, a parameter without a value. `may_copy`
// and `moved` are as for order_rows.
std::optional<BuiltKernel> part_results(
    BuiltKernel& built, const std::function<bool(std::uint32_t parameter)>& may_copy, bool moved,
    const Processor& processor);

}  // namespace weir
