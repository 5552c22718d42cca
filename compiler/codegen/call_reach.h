// How far away what a call of a kernel touches is, at run time.
#pragma once

#include "compiler/codegen/kernel_emitter.h"
#include "compiler/codegen/llvm_headers.h"
#include "compiler/codegen/size_arithmetic.h"
#include "compiler/lowering/schedule.h"

namespace weir {

llvm::ConstantInt* reach_value(llvm::IRBuilder<>& b, Reach reach);

// The Reach of a call, an i64, by the bytes of all parameters; `shared`, an i1, is whether several
// threads have parts of it.
llvm::Value* reach_of(llvm::IRBuilder<>& b, SizeArithmetic& sizes, const Schedule& schedule,
                      llvm::Value* shared);

// The same of a call that is known not to be near.
llvm::Value* far_reach_of(llvm::IRBuilder<>& b, SizeArithmetic& sizes, const Schedule& schedule,
                          llvm::Value* shared);

}  // namespace weir
