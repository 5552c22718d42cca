// How far away what a call of a kernel touches is, at run time.
#pragma once

#include "compiler/codegen/kernel_emitter.h"
#include "compiler/codegen/llvm_headers.h"
#include "compiler/codegen/size_arithmetic.h"
#include "compiler/lowering/schedule.h"

namespace weir {

// Who has parts of a call, as i1s.
struct Sharing {
  llvm::Value* shared;  // several threads
  llvm::Value* apart;   // and their processors are far from each other; read if has_reach_apart()
};

// Whether the reach of any call of a kernel depends on whether threads are apart.
bool has_reach_apart(const Schedule& schedule);

// Whether that of a call does, an i1: it is not near for all.
llvm::Value* asks_apart(llvm::IRBuilder<>& b, SizeArithmetic& sizes, const Schedule& schedule);

llvm::ConstantInt* reach_value(llvm::IRBuilder<>& b, Reach reach);

// The Reach of a call, an i64, by the bytes of all parameters.
llvm::Value* reach_of(llvm::IRBuilder<>& b, SizeArithmetic& sizes, const Schedule& schedule,
                      const Sharing& sharing);

// The same of a call that is known not to be near.
llvm::Value* far_reach_of(llvm::IRBuilder<>& b, SizeArithmetic& sizes, const Schedule& schedule,
                          const Sharing& sharing);

}  // namespace weir
