// LLVM's view of a target.
#pragma once

#include <memory>
#include <string>

#include "compiler/codegen/llvm_headers.h"
#include "compiler/codegen/object.h"
#include "compiler/lowering/target.h"

namespace weir {

// Names of the architectures that this build generates code for.
std::string available_targets();

// Makes LLVM's backends known; any number of times, from any thread.
void initialize_backends();

// Keeps a machine for the next that asks for such a one.
struct KeepMachine {
  std::string kind;
  void operator()(llvm::TargetMachine* machine) const;
};
using KeptMachine = std::unique_ptr<llvm::TargetMachine, KeepMachine>;

// A machine at code generation level O2, position independent, without global LLVM options. With
// `sections` every function and constant has a section of its own, so that a linker can leave out
// what nobody uses.
//
// To set one up takes as long as to compile a few dozen instructions, and each lowers any number of
// modules, one at a time. So a few of them outlive their users; from any thread.
KeptMachine make_target_machine(const Target& target, bool sections = false);

}  // namespace weir
