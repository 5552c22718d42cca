// How much there is to do for a call of a kernel, at run time.
#pragma once

#include "compiler/codegen/llvm_headers.h"
#include "compiler/codegen/size_arithmetic.h"
#include "compiler/lowering/schedule.h"

namespace weir {

// The units of a kernel (docs/decisions/register-tiles.md): groups of rows, and blocks of the
// vector axis.
llvm::Value* unit_count(llvm::IRBuilder<>& b, SizeArithmetic& sizes, const Schedule& schedule);

// Parts of `divisor` each, and one for what is left.
llvm::Value* quotient_up(llvm::IRBuilder<>& b, llvm::Value* value, std::int64_t divisor);

}  // namespace weir
