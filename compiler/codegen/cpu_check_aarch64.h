// The check of an aarch64 processor: compiler/codegen/cpu_check.h.
#pragma once

#include "compiler/codegen/llvm_headers.h"

namespace llvm {
class MCSubtargetInfo;
}

namespace weir {

// Whether programs may read the registers that tell of instructions: the processor leaves that to
// the operating system, and Linux lets them, as does a machine without one.
bool can_ask_aarch64(const llvm::Triple& triple);

// Gives a function of type int(void) its body: WEIR_OK, or WEIR_WRONG_CPU.
void emit_aarch64_check(llvm::Function& function, const llvm::MCSubtargetInfo& info);

}  // namespace weir
