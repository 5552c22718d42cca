// A function that tells whether the processor it runs on has the instructions that code for a
// target may use: asked of the processor and the operating system, never concluded from a name.
// x86-64 and aarch64 are asked; code for other machines is for what their triple and CPU name
// promise, and so is code for aarch64 under a system that does not let programs ask.
//
// Of x86-64: LLVM has no instruction for cpuid, and text of assembly would need a parser, so two
// small functions are bytes of machine code: the data that LLVM lays in front of a function's first
// instruction ends with a return.
#pragma once

#include <string>

#include "compiler/codegen/llvm_headers.h"

namespace weir {

// int NAME(void): WEIR_OK, or WEIR_WRONG_CPU. `machine` is that of the code that is to run; names
// of what the function calls begin with `prefix`.
llvm::Function* emit_cpu_check(llvm::Module& module, const std::string& name,
                               const std::string& prefix, const llvm::TargetMachine& machine);

}  // namespace weir
