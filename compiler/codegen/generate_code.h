// From LLVM IR to machine code: LLVM's code generator without the passes that have nothing to do
// here.
#pragma once

#include <string>

#include <llvm/Support/CodeGen.h>

#include "compiler/codegen/llvm_headers.h"

namespace llvm {
class TargetMachine;
}

namespace weir {

// An object file or assembly text of the module, which is used up.
std::string generate_code(llvm::Module& module, llvm::TargetMachine& machine,
                          llvm::CodeGenFileType type);

}  // namespace weir
