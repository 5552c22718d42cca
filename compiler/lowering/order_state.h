// The order of dimensions in which a program keeps the params that it updates.
//
// A training step reads a weight in kernels whose vectors run along one dimension of it or another,
// and each that does not find that dimension innermost has a transposed copy made in every run
// (pack_operands.h). The kernel that writes the next value can write it in any order. So where a
// program is free to choose, each param lies as that costs least: what its kernels cost, by
// KernelCost, and the copies that remain. What an optimizer remembers of a param lies as the param
// does, for one kernel reads and writes both.
//
// A large param lies in panels besides, as wide as a register tile, if all of its kernels run along
// its last dimension in vectors: what a tile reads, and updates, is then one run of memory.
#pragma once

#include <functional>
#include <vector>

#include "compiler/lowering/build_kernel.h"
#include "compiler/lowering/layouts.h"
#include "compiler/lowering/target.h"

namespace weir {

struct StateUpdate {
  ValueId param, next;
};

// The layouts of those params and of their next values that do not lie as they are declared.
// `layouts` are those of other values; `is_weight` is as for choose_layouts, `processor` as
// for pack_operands.
Layouts order_state(const std::vector<const BuiltKernel*>& kernels,
                    const std::vector<StateUpdate>& updates, const Layouts& layouts,
                    const std::function<bool(ValueId)>& is_weight, const Processor& processor);

}  // namespace weir
