// LLVM's view of a target.
#pragma once

#include <memory>

#include "compiler/codegen/llvm_headers.h"
#include "compiler/codegen/object.h"
#include "compiler/lowering/target.h"

namespace weir {

// Names of the architectures that this build generates code for.
std::string available_targets();

// Makes LLVM's backends known; any number of times, from any thread.
void initialize_backends();

// A machine at code generation level O2, position independent, without global LLVM options. With `sections` every
// function and constant has a section of its own, so that a linker can leave out what nobody uses.
std::unique_ptr<llvm::TargetMachine> make_target_machine(const Target& target,
                                                         bool sections = false);

}  // namespace weir
