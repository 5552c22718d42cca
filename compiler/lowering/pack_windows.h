// Copies of operands that a fold reads through windows, across its vectors.
//
// Where a fold in chain order runs in vectors along the channels of an image that lies channel by
// channel, as the gradient of a depthwise filter does, each element would be gathered as often as
// windows have taps. The operand is copied once, with the dimension along the vectors innermost,
// and with a frame where that makes guards unnecessary (frame_windows.h).
#pragma once

#include <vector>

#include "compiler/lowering/frame_windows.h"
#include "compiler/lowering/pack_operands.h"

namespace weir {

// The copy that a framed parameter is, with its source's dimensions in that order, or as they are if
// there is none.
PackedCopy framed_copy(const BuiltKernel& built, const FramedWindow& window,
                       std::vector<std::uint32_t> order);

// Makes `built` read its copy in the place of each such operand, one for each copy returned;
// BuiltKernel::values gets an invalid id for it. A weight's copy has no frame: it is made once.
std::vector<PackedCopy> pack_windows(BuiltKernel& built,
                                     const std::function<bool(ValueId)>& is_weight);

}  // namespace weir
