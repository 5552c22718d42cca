// The element that a kernel stores at a point of its rows, and what lies at the same place of other
// values: of these a sum is that the kernel is to make (fold_across.h).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "compiler/lowering/kernel.h"
#include "compiler/lowering/program.h"
#include "compiler/lowering/row_sum.h"

namespace weir {

// The parameter by which the kernel that stores reads, or writes, a value that a sum is of, too, and
// how that lies in memory.
struct SumOperand {
  std::uint32_t parameter;
  MemoryLayout layout;
};
using SumOperands = std::map<std::uint32_t, SumOperand>;  // by parameter of the sum

// The one store of a map over the rows that writes a parameter; null if there is none or another.
const Store* only_store(const Kernel& kernel, std::uint32_t parameter);

// By dimension of the value: its index where the kernel stores it, in the order of declaration.
std::vector<scalar::Id> declared_indices(Kernel& stores, const Store& store,
                                         const MemoryLayout& layout);

// What is added up, at a point of the kernel that stores the value: in place of what is loaded of
// that, what is stored, and of others what lies at the same element, or is spread over it. Nothing
// if something lies otherwise, or not side by side along the columns.
std::optional<scalar::Id> summed_element(Kernel& stores, const Store& store,
                                         const MemoryLayout& layout, const Kernel& folds,
                                         const RowSum& sum, const SumOperands& operands);

}  // namespace weir
