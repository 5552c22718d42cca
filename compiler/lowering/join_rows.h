// Rows that a kernel goes through as one: of single positions, as those of a 1 x 1 convolution, an
// image is one row. A schedule collapses such axes by itself (schedule.h); here they become one
// axis of the kernel, where something is to be said of it.
#pragma once

#include <cstdint>
#include <optional>

#include "compiler/lowering/kernel.h"

namespace weir {

// The kernel with row axes `outer` and `outer` + 1 as one, which is `outer` then; nothing where
// they are more than a part of addresses, each of which walks through both in one stride.
std::optional<Kernel> join_rows(const Kernel& kernel, std::uint32_t outer);

}  // namespace weir
