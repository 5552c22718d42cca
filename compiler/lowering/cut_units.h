// Units of kernels that fold across an axis outside of their tiles: all that lies within that axis
// is one thread's, so where it is the outermost, as where vectors run along the images of a batch,
// there would be work for one. Parts of another axis then go outside of all.
#pragma once

#include <cstdint>
#include <optional>

#include "compiler/lowering/kernel.h"
#include "compiler/lowering/target.h"

namespace weir {

// The kernel with so many parts or more, outside of all rows, of an axis within that of the
// elements, which go to `lanes` sums in turn; or of these sums. Nothing where no such axis is known
// to divide, or where the axis of the elements is the tile's.
std::optional<Kernel> cut_units(const Kernel& stores, std::uint32_t elements, std::int64_t lanes,
                                std::int64_t least_parts, const VectorRegisters& vectors);

}  // namespace weir
