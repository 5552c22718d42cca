// From LLVM IR to machine code: LLVM's code generator without the passes that have nothing to do
// here.
#pragma once

#include <string>

#include <llvm/ADT/STLFunctionalExtras.h>
#include <llvm/Support/CodeGen.h>

#include "compiler/codegen/llvm_headers.h"

namespace llvm {
class TargetMachine;
}

namespace weir {

// Does a step in which a back end may look at the module. Error with what it refuses, such as
// registers that are reserved and needed: LLVM would print that and end the process.
void refuse_faults(llvm::Module& module, const llvm::TargetMachine& machine,
                   llvm::function_ref<void()> step);

// An object file or assembly text of the module, which is used up.
std::string generate_code(llvm::Module& module, llvm::TargetMachine& machine,
                          llvm::CodeGenFileType type);

}  // namespace weir
