// Which processors and features a target takes. LLVM's back ends end the process at one that does
// not fit the target, and nothing can be thrown out of them, as they are built without exceptions:
// so what ends there is found here, by asking a description of the processor, before any code is
// made.
#pragma once

#include <llvm/MC/TargetRegistry.h>
#include <llvm/TargetParser/Triple.h>

#include "compiler/lowering/target.h"

namespace weir {

// Error if the processor or a feature that `spec` names does not exist, or does not fit the target.
// `target` has the triple, and the processor and the features that were made of the spec.
void check_target(const llvm::Target& backend, const TargetSpec& spec, const Target& target);

// The processor that a triple stands for by itself; empty where LLVM has none by a name.
const char* plain_cpu(const llvm::Triple& triple);

}  // namespace weir
