// Modules of LLVM IR from programs, and the passes that all of them go through.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <llvm/IR/AssemblyAnnotationWriter.h>

#include "compiler/codegen/entry_emitter.h"
#include "compiler/codegen/llvm_headers.h"
#include "compiler/codegen/partition.h"
#include "compiler/lowering/program.h"
#include "compiler/lowering/schedule.h"
#include "compiler/lowering/target.h"

namespace weir {

struct ModuleOptions {
  bool debug_lines = true;       // model lines as debug info
  bool bare_file_names = false;  // in debug info: without folders
  bool shapes = false;           // the program's weir_shapes, too
};

std::vector<Schedule> schedules_of(const Program& program, const Target& target);

// One of the modules of a program: some of its kernels, and a share of the entry. What is defined
// here for other modules of the same program is hidden, what is not is internal.
std::unique_ptr<llvm::Module> emit_module(const Program& program, const Target& target,
                                          const std::vector<Schedule>& schedules, KernelRange range,
                                          ModuleNumber place, llvm::LLVMContext& context,
                                          const llvm::TargetMachine& machine,
                                          const ModuleOptions& options);
// The whole program.
std::unique_ptr<llvm::Module> emit_module(const Program& program, const Target& target,
                                          llvm::LLVMContext& context,
                                          const llvm::TargetMachine& machine,
                                          const ModuleOptions& options);

// What every function of a program promises, and the subtarget it is compiled for; functions that
// have been told so before are left alone.
void set_attributes(llvm::Module& module, const Target& target);

// A fault of ours if the module breaks a rule of LLVM's.
void verify_module(const llvm::Module& module);

// LLVM's passes: few, since vectors are explicit already; which ones, and what each costs, stands
// in docs/decisions.
void optimize(llvm::Module& module, llvm::TargetMachine& machine);

std::string text_of(const llvm::Module& module, llvm::AssemblyAnnotationWriter* writer = nullptr);

}  // namespace weir
