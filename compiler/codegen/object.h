// Programs as LLVM IR, assembly and object code. One code path: what the JIT loads and what goes to
// a file come from the same emitters, passes and code generator.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/lowering/program.h"
#include "compiler/lowering/target.h"
#include "runtime/abi.h"

namespace weir {

// As a CPU's name: the processor of this machine, with the features that it reports.
inline constexpr std::string_view kNativeCpu = "native";

// What code generation needs to know about the wanted machine. Error if LLVM does not know the
// target, the CPU or a feature, with what is near or available, if one does not fit the target, or
// if the target is of another architecture than this machine and the CPU is kNativeCpu.
Target resolve_target(const TargetSpec& spec);

// Whether every x86-64 processor that runs code for `processor` runs code for `other`, too: by the
// instructions that are asked for before code is run.
bool runs_code_of(const Target& processor, const Target& other);

// What generates the code, with its version.
std::string code_generator();

struct CodegenOptions {
  bool debug_lines = true;  // model lines as debug info
  bool sections = false;    // a section for every function, as the files for linkers have them
  // Gives the threads on which compile_for_loading works. Null: the calling thread does it all.
  const weir_executor* executor = nullptr;
  // Called after each step with its name and duration in milliseconds.
  std::function<void(std::string_view step, double milliseconds)> timing;
};

// An object file for a linker.
struct ObjectCode {
  std::string bytes;             // of the target's format
  std::string program_symbol;    // a weir_program
  std::string workspace_symbol;  // a weir_workspace_size
};

ObjectCode compile_object(const Program& program, const Target& target,
                          const CodegenOptions& options = {});

// Object files to be loaded together: the same functions as in compile_object's one file, parted
// among several, so that threads can share the work. How they are parted depends on the program
// alone.
struct LoadableCode {
  std::vector<std::string> objects;
  std::string program_symbol;
  std::string workspace_symbol;
};

LoadableCode compile_for_loading(const Program& program, const Target& target,
                                 const CodegenOptions& options = {});

// The same code as text: LLVM IR after LLVM's passes, with model lines as comments, and assembly.
std::string ir_text(const Program& program, const Target& target,
                    const CodegenOptions& options = {});
std::string assembly_text(const Program& program, const Target& target,
                          const CodegenOptions& options = {});

}  // namespace weir
