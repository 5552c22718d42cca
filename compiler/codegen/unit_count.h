// How much there is to do for a call of a kernel, at run time.
#pragma once

#include <functional>

#include "compiler/codegen/llvm_headers.h"
#include "compiler/lowering/schedule.h"

namespace weir {

// What a size is at run time.
using DimensionValue = std::function<llvm::Value*(const Dim&)>;

// The units of a kernel (docs/decisions/register-tiles.md): groups of rows, and blocks of the
// vector axis.
llvm::Value* unit_count(llvm::IRBuilder<>& b, const DimensionValue& dimension,
                        const Schedule& schedule);

// Where a unit has all that lies within an axis (Schedule::folds_outside): how many of these.
llvm::Value* parts_of_unit(llvm::IRBuilder<>& b, const DimensionValue& dimension,
                           const Schedule& schedule);

// Parts of `divisor` each, and one for what is left.
llvm::Value* quotient_up(llvm::IRBuilder<>& b, llvm::Value* value, std::int64_t divisor);

}  // namespace weir
