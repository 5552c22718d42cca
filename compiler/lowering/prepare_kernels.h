// The last steps of a group's kernel before it becomes part of a program: it reads and writes its
// values in their layouts, turns results in a kernel of its own, has its rows in order, and reads
// packed copies.
#pragma once

#include <functional>
#include <vector>

#include "compiler/lowering/build_kernel.h"
#include "compiler/lowering/layouts.h"
#include "compiler/lowering/pack_operands.h"

namespace weir {

struct PreparedKernel {
  // Of its parameters without a value, those that `copies` name are copies; another one is the sums
  // that two kernels hand over.
  BuiltKernel built;
  std::vector<PackedCopy> copies;
};

// One kernel, or two, the second of which turns the results of the first (part_results.h); then
// `sums` is the type of what they hand over.
struct PreparedKernels {
  std::vector<PreparedKernel> kernels;
  TensorType sums;
};

// `is_weight` tells which values are laid out ahead of all runs; it may be asked about parameters
// without a value.
PreparedKernels prepare_kernels(BuiltKernel built, const Layouts& layouts,
                                const std::function<bool(ValueId)>& is_weight,
                                const Processor& processor);

// Values that one product alone reads, copied in panels (cut_copies.h), as the upstream gradient of
// a network's first layer: they lie in such panels from the start, and nothing is copied. `kernels`
// are all that run, in order, and `is_free` tells which values nobody but these reads or writes.
Layouts choose_panels(const std::vector<const BuiltKernel*>& kernels, const Layouts& layouts,
                      const std::function<bool(ValueId)>& is_free,
                      const std::function<bool(ValueId)>& is_weight, const Processor& processor);

}  // namespace weir
