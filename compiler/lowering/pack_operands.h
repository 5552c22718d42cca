// Copies of contraction operands in the order in which the contraction reads them.
//
// A fold in chain order runs along the last row axis in vectors. An operand in which that axis is not
// the innermost dimension (the right side of x * transpose(w)) would be gathered element by element, so
// it is copied once, transposed, before the kernel runs. Weights are laid out that way ahead of all runs.
#pragma once

#include <vector>

#include "compiler/lowering/build_kernel.h"

namespace weir {

struct PackedCopy {
  ValueId source;
  std::uint32_t parameter;          // of the contraction that now reads the copy
  TensorType type;                  // of the copy
  std::vector<std::uint32_t> order;  // source dimension of each dimension of the copy
};

// Redirects such loads of `built` to new parameters, one for each copy returned. The new parameters are
// appended to the kernel's; BuiltKernel::values gets an invalid id for each.
std::vector<PackedCopy> pack_operands(BuiltKernel& built);

// The kernel that makes a copy: parameter 0 is the source, 1 the copy.
Kernel build_pack_kernel(const TensorType& source, const PackedCopy& copy);

}  // namespace weir
