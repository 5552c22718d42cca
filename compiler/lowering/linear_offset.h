// Where an element lies in its tensor, as a sum of axes.
#pragma once

#include <cstddef>
#include <span>

#include "ir/dim.h"
#include "ir/scalar/affine.h"

namespace weir {

// The number of elements before the one at `indices` of a tensor of this shape, in row-major order:
// in terms of the axes and of those parts of the indices that are no axis.
scalar::Affine linear_offset(scalar::Arena& arena, const Shape& shape,
                             std::span<const scalar::Id> indices);

// Whether dimension `inner` of a shape has contiguous elements.
bool is_innermost(const Shape& shape, std::size_t inner);

}  // namespace weir
