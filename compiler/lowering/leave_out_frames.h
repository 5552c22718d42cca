// Steps in a frame of zeros, which are taken together.
//
// At the border of an image taps of a window lie in the frame around it (frame_windows.h), and all
// of their channels multiply zeros: a tenth of all steps, under 3x3 in an image of 13 x 13. Such a
// product is 0 or -0, or NaN where the filter is not finite, so it changes an accumulator only if
// that is -0, or into NaN. What all channels of a tap do is therefore one addition, of their sum
// from -0 on: -0 where all filters are negative, NaN where one is not finite, and 0 otherwise. It
// has no order, and the bits are those of the steps one by one.
//
// Filters that are weights have these sums in the block of weights (sums_with_zero in
// weight_block.h), as a copy of theirs without the dimension of the channels.
#pragma once

#include <functional>
#include <vector>

#include "compiler/lowering/build_kernel.h"
#include "compiler/lowering/pack_operands.h"

namespace weir {

// Gives folds over windows what they need for it (Fold::frame), where the frame has enough of their
// steps. The kernel has its copies, and one more of each such weight is appended to them.
void leave_out_frames(BuiltKernel& built, std::vector<PackedCopy>& copies,
                      const std::function<bool(ValueId)>& is_weight);

}  // namespace weir
