// The kernels that make copies of operands (pack_operands.h), with their frames.
#pragma once

#include <vector>

#include "compiler/lowering/kernel.h"
#include "compiler/lowering/pack_operands.h"

namespace weir {

// The kernel that makes a copy: parameter 0 is the source, 1 the copy.
Kernel build_pack_kernel(const TensorType& source, const PackedCopy& copy);

// The kernels that leave zeros in a copy's frame, one or two for each dimension that has one:
// parameter 0 is the copy.
std::vector<Kernel> build_frame_kernels(const TensorType& source, const PackedCopy& copy);

}  // namespace weir
