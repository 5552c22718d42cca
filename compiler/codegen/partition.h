// How a program's kernels are parted among modules that are compiled side by side.
#pragma once

#include <cstddef>
#include <vector>

#include "compiler/lowering/program.h"

namespace weir {

// Kernels first <= k < last of Program::kernels.
struct KernelRange {
  std::size_t first = 0;
  std::size_t last = 0;
};

// All kernels in order, in ranges of about equal work for the code generator: as many as the work
// is worth, each of them with a kernel if there is any. Depends on the program alone, so that the
// code does not change with the number of threads that compile it.
std::vector<KernelRange> partition_kernels(const Program& program);

}  // namespace weir
