#include "compiler/codegen/object.h"

#include <chrono>

#include <fmt/format.h>
#include <llvm/IR/AssemblyAnnotationWriter.h>
#include <llvm/Support/FormattedStream.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm-c/Core.h>

#include "compiler/codegen/entry_emitter.h"
#include "compiler/codegen/generate_code.h"
#include "compiler/codegen/llvm_versions.h"
#include "compiler/codegen/partition.h"
#include "compiler/codegen/program_module.h"
#include "compiler/codegen/run_tasks.h"
#include "compiler/codegen/target_machine.h"

namespace weir {
namespace {

class Stopwatch {
 public:
  explicit Stopwatch(const CodegenOptions& options) : options_(options) {}
  void lap(std::string_view step) {
    auto now = std::chrono::steady_clock::now();
    if (options_.timing)
      options_.timing(step, std::chrono::duration<double, std::milli>(now - last_).count());
    last_ = now;
  }

 private:
  const CodegenOptions& options_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// Prints the model line before the first instruction that comes from it.
class LineWriter : public llvm::AssemblyAnnotationWriter {
 public:
  void emitFunctionAnnot(const llvm::Function*, llvm::formatted_raw_ostream&) override {
    last_.clear();
  }
  void emitInstructionAnnot(const llvm::Instruction* instruction,
                            llvm::formatted_raw_ostream& stream) override {
    const llvm::DebugLoc& location = instruction->getDebugLoc();
    if (!location || location.getLine() == 0) return;
    std::string line = location->getFilename().str() + ":" + std::to_string(location.getLine()) +
                       ":" + std::to_string(location.getCol());
    if (line == last_) return;
    stream << "  ; " << line << "\n";
    last_ = std::move(line);
  }

 private:
  std::string last_;
};

}  // namespace

std::string code_generator() {
  unsigned major = 0, minor = 0, patch = 0;
  LLVMGetVersion(&major, &minor, &patch);
  return fmt::format("LLVM {}.{}.{}", major, minor, patch);
}

ObjectCode compile_object(const Program& program, const Target& target,
                          const CodegenOptions& options) {
  Stopwatch stopwatch(options);
  std::unique_ptr<llvm::TargetMachine> machine = make_target_machine(target, options.sections);
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module =
      emit_module(program, target, context, *machine, {.debug_lines = options.debug_lines});
  stopwatch.lap("emit LLVM IR");
  optimize(*module, *machine);
  stopwatch.lap("LLVM passes");
  ObjectCode object{generate_code(*module, *machine, llvm::CodeGenFileType::ObjectFile),
                    program_symbol(program), workspace_symbol(program)};
  stopwatch.lap("LLVM code generation");
  return object;
}

LoadableCode compile_for_loading(const Program& program, const Target& target,
                                 const CodegenOptions& options) {
  struct Part {
    KernelRange range;
    ModuleNumber place;
    std::unique_ptr<llvm::TargetMachine> machine;
    std::unique_ptr<llvm::LLVMContext> context;
    std::unique_ptr<llvm::Module> module;
    std::string object;
  };
  Stopwatch stopwatch(options);
  std::vector<Schedule> schedules = schedules_of(program, target);
  std::vector<Part> parts;
  std::vector<KernelRange> ranges = partition_kernels(program);
  for (std::size_t i = 0; i < ranges.size(); ++i)
    parts.push_back({ranges[i], {i, ranges.size()}, {}, {}, {}, {}});
  // Step by step, so that each can be timed; a part stays whole in each of them.
  auto each = [&](std::string_view step, auto&& work) {
    run_tasks(options.executor, parts.size(), [&](std::size_t i) { work(parts[i]); });
    stopwatch.lap(step);
  };
  each("emit LLVM IR", [&](Part& part) {
    part.machine = make_target_machine(target, options.sections);
    part.context = std::make_unique<llvm::LLVMContext>();
    part.module = emit_module(program, target, schedules, part.range, part.place, *part.context,
                              *part.machine, {.debug_lines = options.debug_lines});
  });
  each("LLVM passes", [](Part& part) { optimize(*part.module, *part.machine); });
  each("LLVM code generation", [](Part& part) {
    part.object = generate_code(*part.module, *part.machine, llvm::CodeGenFileType::ObjectFile);
    part.module.reset();
  });
  LoadableCode code{{}, program_symbol(program), workspace_symbol(program)};
  for (Part& part : parts) code.objects.push_back(std::move(part.object));
  return code;
}

std::string ir_text(const Program& program, const Target& target) {
  std::unique_ptr<llvm::TargetMachine> machine = make_target_machine(target);
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module = emit_module(program, target, context, *machine, {});
  optimize(*module, *machine);
  LineWriter lines;
  return text_of(*module, &lines);
}

std::string assembly_text(const Program& program, const Target& target) {
  std::unique_ptr<llvm::TargetMachine> machine = make_target_machine(target);
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module = emit_module(program, target, context, *machine, {});
  optimize(*module, *machine);
  return generate_code(*module, *machine, llvm::CodeGenFileType::AssemblyFile);
}

}  // namespace weir
