// Sums over all but the channels of images, as a bias's gradient is, in an order that a kernel may
// have that stores the images: it then sums what it stores, in the same pass over memory.
#pragma once

#include <optional>

#include "ir/ops/helpers.h"

namespace weir::ops {

// Of `value`, the gradient of an op's result. Of images that are rows, as behind a layer of
// features, in the order of these. The gradient of a loss may be stored by the kernel of the forward
// pass. What a map stores is summed row by row, wherever channels lie, and of few channels, which
// lie apart, along memory, image by image.
Var sum_of_channels(GraphBuilder& builder, const Var& result, const Var& value);

// Of `value`, which is pointwise in the gradient of a result. Nothing if that is stored by no kernel
// that moves windows over images.
std::optional<Var> sum_behind_windows(const Var& result, const Var& gradient, const Var& value);

}  // namespace weir::ops
