#include "compiler/codegen/object.h"

#include <numeric>

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
#include "compiler/codegen/step_times.h"
#include "compiler/codegen/target_machine.h"

namespace weir {
namespace {

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
  Stopwatch stopwatch;
  KeptMachine machine = make_target_machine(target, options.sections);
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module =
      emit_module(program, target, context, *machine, {.debug_lines = options.debug_lines});
  report(options, kSteps[0], stopwatch.lap());
  optimize(*module, *machine);
  report(options, kSteps[1], stopwatch.lap());
  ObjectCode object{generate_code(*module, *machine, llvm::CodeGenFileType::ObjectFile),
                    program_symbol(program), workspace_symbol(program)};
  report(options, kSteps[2], stopwatch.lap());
  return object;
}

LoadableCode compile_for_loading(const Program& program, const Target& target,
                                 const CodegenOptions& options) {
  struct Part {
    std::string object;
    std::array<double, kSteps.size()> milliseconds{};
  };
  Stopwatch whole;
  std::vector<Schedule> schedules = schedules_of(program, target);
  double scheduling = whole.lap();
  std::vector<KernelRange> ranges = partition_kernels(program);
  std::vector<Part> parts(ranges.size());
  // A part goes through all steps at once and leaves nothing but its object, so that the next one
  // finds memory that is still in the caches. The last has the entry besides, so it is begun first.
  run_tasks(options.executor, parts.size(), [&](std::size_t task) {
    std::size_t i = parts.size() - 1 - task;
    Part& part = parts[i];
    Stopwatch stopwatch;
    KeptMachine machine = make_target_machine(target, options.sections);
    llvm::LLVMContext context;
    std::unique_ptr<llvm::Module> module =
        emit_module(program, target, schedules, ranges[i], {i, ranges.size()}, context, *machine,
                    {.debug_lines = options.debug_lines});
    part.milliseconds[0] = stopwatch.lap();
    optimize(*module, *machine);
    part.milliseconds[1] = stopwatch.lap();
    part.object = generate_code(*module, *machine, llvm::CodeGenFileType::ObjectFile);
    part.milliseconds[2] = stopwatch.lap();
  });
  double compiling = whole.lap();
  LoadableCode code{{}, program_symbol(program), workspace_symbol(program)};
  std::array<double, kSteps.size()> spent{};
  for (Part& part : parts) {
    code.objects.push_back(std::move(part.object));
    for (std::size_t step = 0; step < kSteps.size(); ++step) spent[step] += part.milliseconds[step];
  }
  // Threads overlap; each step has its share of the time that passed.
  double shared = compiling / std::accumulate(spent.begin(), spent.end(), 0.0);
  spent = {spent[0] * shared + scheduling, spent[1] * shared, spent[2] * shared};
  for (std::size_t step = 0; step < kSteps.size(); ++step)
    report(options, kSteps[step], spent[step]);
  return code;
}

std::string ir_text(const Program& program, const Target& target, const CodegenOptions& options) {
  Stopwatch stopwatch;
  KeptMachine machine = make_target_machine(target);
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module = emit_module(program, target, context, *machine, {});
  report(options, kSteps[0], stopwatch.lap());
  optimize(*module, *machine);
  report(options, kSteps[1], stopwatch.lap());
  LineWriter lines;
  std::string text = text_of(*module, &lines);
  report(options, "printing", stopwatch.lap());
  return text;
}

std::string assembly_text(const Program& program, const Target& target,
                          const CodegenOptions& options) {
  Stopwatch stopwatch;
  KeptMachine machine = make_target_machine(target);
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module = emit_module(program, target, context, *machine, {});
  report(options, kSteps[0], stopwatch.lap());
  optimize(*module, *machine);
  report(options, kSteps[1], stopwatch.lap());
  std::string text = generate_code(*module, *machine, llvm::CodeGenFileType::AssemblyFile);
  report(options, kSteps[2], stopwatch.lap());
  return text;
}

}  // namespace weir
