// Which kernels do nothing but sum what another one stores (row_sum.h), before any is prepared.
#pragma once

#include <vector>

#include "compiler/lowering/build_kernel.h"
#include "compiler/lowering/row_sum.h"

namespace weir {

// A sum across the rows of a value, as a kernel of its own with the parameters of the one that has
// it, perhaps among others.
struct SumKernel {
  Kernel kernel;
  RowSum sum;
};

// By kernel, in the order in which they run: its sums, all of one value, if it does nothing else. A
// sum of an expression is one of that of its values which is stored last.
std::vector<std::vector<SumKernel>> find_sums(const std::vector<const BuiltKernel*>& kernels);

}  // namespace weir
