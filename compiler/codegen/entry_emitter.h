// Emits the function that a caller of a program calls, the entry: it checks the call, lays out the
// workspace, fills a frame for each kernel call, and runs the kernel, here or through the executor.
// Where one kernel is the whole program, it is inlined, and there is no frame.
#pragma once

#include <functional>
#include <vector>

#include "compiler/codegen/debug_info.h"
#include "compiler/codegen/kernel_emitter.h"
#include "compiler/codegen/llvm_headers.h"
#include "compiler/lowering/program.h"
#include "compiler/lowering/schedule.h"
#include "compiler/lowering/target.h"

namespace weir {

// The functions of a kernel, by its place in Program::kernels; declared in the module where they
// are not yet.
using PhasesOf = std::function<std::vector<KernelPhase>(std::size_t)>;

// Which of the modules that a program is parted among; each has a share of the calls, the last one
// the entry.
struct ModuleNumber {
  std::size_t number = 0;
  std::size_t count = 1;
  bool whole() const { return count == 1; }
  bool last() const { return number + 1 == count; }
};

// Emits a module's share of the entry. `schedules` stand in the order of Program::kernels. With
// `shapes` there is a third function, which tells the sizes of inputs and outputs.
void emit_entry(llvm::Module& module, const Program& program, const Target& target,
                const PhasesOf& phases_of, const std::vector<Schedule>& schedules,
                ModuleNumber place, DebugInfo& debug, bool shapes);

// weir_call of runtime/abi.h: the fields are pointers, in the order of CallField.
llvm::StructType* call_type(llvm::LLVMContext& context);
enum CallField : unsigned {
  kCallInputs,
  kCallOutputs,
  kCallWeights,
  kCallWorkspace,
  kCallDims,
  kCallExecutor,
  kCallState,
  kCallFields
};

// Names of the emitted functions.
std::string program_symbol(const Program& program);
std::string workspace_symbol(const Program& program);
std::string shapes_symbol(const Program& program);

}  // namespace weir
