// Programs as LLVM IR, assembly and object code. One code path: the JIT loads what compile_object gives.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/lowering/program.h"
#include "compiler/lowering/target.h"

namespace weir {

// What code generation needs to know about the wanted machine. Error if LLVM does not know the target, the
// CPU or a feature: with what is near, or available.
Target resolve_target(const TargetSpec& spec);

struct CodegenOptions {
  bool debug_lines = true;  // model lines as debug info
  // Called after each step with its name and duration in milliseconds.
  std::function<void(std::string_view step, double milliseconds)> timing;
};

struct ObjectCode {
  std::string bytes;                // an object file of the target's format
  std::string program_symbol;       // a weir_program
  std::string workspace_symbol;     // a weir_workspace_size
};

ObjectCode compile_object(const Program& program, const Target& target,
                          const CodegenOptions& options = {});

// The same code as text: LLVM IR after LLVM's passes, with model lines as comments, and assembly.
std::string ir_text(const Program& program, const Target& target);
std::string assembly_text(const Program& program, const Target& target);

}  // namespace weir
