// Emits the function that a caller of a program calls: it lays out the workspace, fills a frame for each
// kernel call, and runs the kernel, here or through the executor.
#pragma once

#include <vector>

#include "compiler/codegen/debug_info.h"
#include "compiler/codegen/kernel_emitter.h"
#include "compiler/codegen/llvm_headers.h"
#include "compiler/lowering/program.h"
#include "compiler/lowering/schedule.h"
#include "compiler/lowering/target.h"

namespace weir {

// `kernels`, the functions of each kernel, and `schedules` stand in the order of Program::kernels. With `shapes`
// there is a third function, which tells the sizes of inputs and outputs.
void emit_entry(llvm::Module& module, const Program& program, const Target& target,
                const std::vector<std::vector<KernelPhase>>& kernels,
                const std::vector<Schedule>& schedules, DebugInfo& debug, bool shapes);

// Names of the emitted functions.
std::string program_symbol(const Program& program);
std::string workspace_symbol(const Program& program);
std::string shapes_symbol(const Program& program);

}  // namespace weir
