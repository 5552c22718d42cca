// The order of dimensions in which intermediate values lie in memory.
//
// A kernel reads and writes its values by index maps, so any order of a value's dimensions costs
// nothing by itself, and no kernel has to convert one into another: whoever reads or writes a value
// that the caller gives or takes has its order on one side and another on the other. In a chain of
// convolutions the order decides what a vector is: with channels last a window's guards are the
// same in all lanes, a stride in the image is none in a vector, and 1x1 convolutions are products
// of matrices; with rows of the image last, few channels are no waste.
//
// Three states are compared, by the sum of what all kernels cost (KernelCost): all values as they
// are declared; all with the second dimension last, which is where window ops have their channels;
// and each as the kernels around it would have it if all values were one or the other. From each of
// them on, single values move where that makes it cheaper, one after the other.
#pragma once

#include <functional>
#include <unordered_map>
#include <vector>

#include "compiler/lowering/build_kernel.h"
#include "compiler/lowering/program.h"
#include "compiler/lowering/target.h"

namespace weir {

// By value. One that is not in it lies as it is declared; one with panels has its order spelled
// out.
using Layouts = std::unordered_map<ValueId, MemoryLayout>;

// `is_free` tells which values nobody but these kernels reads or writes, `is_weight` which are laid
// out ahead of all runs. `again` has values that are computed a second time, and lie as what they
// are again: the same kernels read them that would read that, and cost what they cost. Programs
// without windows are left alone.
Layouts choose_layouts(const std::vector<const BuiltKernel*>& kernels,
                       const std::function<bool(ValueId)>& is_free,
                       const std::function<bool(ValueId)>& is_weight,
                       const std::unordered_map<ValueId, ValueId>& again,
                       const VectorRegisters& vectors);

// The type that a value has in the order of its layout, and in memory, which is another one where
// it lies in panels.
TensorType type_in_order(const TensorType& type, ValueId value, const Layouts& layouts);
TensorType type_in_memory(const TensorType& type, ValueId value, const Layouts& layouts);

// Makes the kernel read and write its values in the order of their layouts; whether it has any that
// differs. Panels are applied last of all (apply_panels.h), to what the kernel has become.
bool apply_layouts(BuiltKernel& built, const Layouts& layouts);

}  // namespace weir
