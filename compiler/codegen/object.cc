#include "compiler/codegen/object.h"

#include <chrono>

#include <fmt/format.h>
#include <llvm-c/Core.h>
#include <llvm/Analysis/CGSCCPassManager.h>
#include <llvm/Analysis/LoopAnalysisManager.h>
#include <llvm/IR/AssemblyAnnotationWriter.h>
#include <llvm/IR/PassManager.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/FormattedStream.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Transforms/InstCombine/InstCombine.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Scalar/SROA.h>
#include <llvm/Transforms/Scalar/SimplifyCFG.h>

#include "compiler/codegen/debug_info.h"
#include "compiler/codegen/entry_emitter.h"
#include "compiler/codegen/generate_code.h"
#include "compiler/codegen/kernel_emitter.h"
#include "compiler/codegen/llvm_versions.h"
#include "compiler/codegen/partition.h"
#include "compiler/codegen/run_tasks.h"
#include "compiler/codegen/target_machine.h"
#include "compiler/lowering/schedule.h"

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

// What every function of a program promises, and the subtarget it is compiled for.
void set_attributes(llvm::Module& module, const Target& target) {
  for (llvm::Function& function : module) {
    if (function.isDeclaration()) continue;
    function.addFnAttr(llvm::Attribute::NoUnwind);
    function.addFnAttr("no-builtins");
    function.addFnAttr("target-cpu", target.cpu);
    if (!target.features.empty()) function.addFnAttr("target-features", target.features);
    if (target.vector_bytes == 64) {
      // Without these LLVM splits 512-bit vectors in two.
      function.addFnAttr("prefer-vector-width", "512");
      function.addFnAttr("min-legal-vector-width", "512");
    }
  }
}

std::string text_of(const llvm::Module& module, llvm::AssemblyAnnotationWriter* writer = nullptr) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream, writer);
  return text;
}

std::vector<Schedule> schedules_of(const Program& program, const Target& target) {
  std::vector<Schedule> schedules;
  schedules.reserve(program.kernels.size());
  for (const Kernel& kernel : program.kernels) schedules.push_back(make_schedule(kernel, target));
  return schedules;
}

// A module with some of the program's kernels and, if it has the last ones, the entry.
std::unique_ptr<llvm::Module> emit_module(const Program& program, const Target& target,
                                          const std::vector<Schedule>& schedules, KernelRange range,
                                          llvm::LLVMContext& context,
                                          const llvm::TargetMachine& machine, bool debug_lines) {
  auto module = std::make_unique<llvm::Module>(program.name, context);
  set_triple(*module, llvm::Triple(target.triple));
  module->setDataLayout(machine.createDataLayout());
  module->setPICLevel(llvm::PICLevel::BigPIC);
  DebugInfo debug(*module, debug_lines);
  bool whole = range.first == 0 && range.last == schedules.size();
  bool has_entry = range.last == schedules.size();
  std::vector<std::vector<KernelPhase>> kernels;
  for (std::size_t i = 0; i < schedules.size(); ++i) {
    bool ours = i >= range.first && i < range.last;
    kernels.emplace_back();
    if (!ours && !has_entry) continue;
    std::string name = "k" + std::to_string(i) + "_" + program.kernels[i].name;
    kernels.back() = declare_phases(*module, schedules[i].kernel, name);
    if (ours) KernelEmitter(*module, target, schedules[i], debug).emit(kernels.back());
    for (const KernelPhase& phase : kernels.back()) {
      if (whole)
        phase.function->setLinkage(llvm::GlobalValue::InternalLinkage);
      else
        phase.function->setVisibility(llvm::GlobalValue::HiddenVisibility);
    }
  }
  if (has_entry) emit_entry(*module, program, target, kernels, schedules, debug);
  debug.finish();
  set_attributes(*module, target);
  std::string problems;
  llvm::raw_string_ostream stream(problems);
  if (llvm::verifyModule(*module, &stream)) WEIR_CHECK(false, problems + "\n" + text_of(*module));
  return module;
}

std::unique_ptr<llvm::Module> emit_module(const Program& program, const Target& target,
                                          llvm::LLVMContext& context,
                                          const llvm::TargetMachine& machine, bool debug_lines) {
  std::vector<Schedule> schedules = schedules_of(program, target);
  return emit_module(program, target, schedules, {0, schedules.size()}, context, machine, debug_lines);
}

// The vectors are explicit already, so few passes are left to pay for themselves; which ones, and what
// each costs, stands in docs/decisions.
void optimize(llvm::Module& module, llvm::TargetMachine& machine) {
  llvm::PassBuilder builder(&machine);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  llvm::FunctionPassManager passes;
  passes.addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
  passes.addPass(llvm::EarlyCSEPass());
  passes.addPass(llvm::InstCombinePass());
  passes.addPass(llvm::SimplifyCFGPass());
  for (llvm::Function& function : module)
    if (!function.isDeclaration()) passes.run(function, functions);
}

// Prints the model line before the first instruction that comes from it.
class LineWriter : public llvm::AssemblyAnnotationWriter {
 public:
  void emitFunctionAnnot(const llvm::Function*, llvm::formatted_raw_ostream&) override { last_.clear(); }
  void emitInstructionAnnot(const llvm::Instruction* instruction,
                            llvm::formatted_raw_ostream& stream) override {
    const llvm::DebugLoc& location = instruction->getDebugLoc();
    if (!location || location.getLine() == 0) return;
    std::string line = location->getFilename().str() + ":" + std::to_string(location.getLine()) + ":" +
                       std::to_string(location.getCol());
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
  std::unique_ptr<llvm::TargetMachine> machine = make_target_machine(target);
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module =
      emit_module(program, target, context, *machine, options.debug_lines);
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
    std::unique_ptr<llvm::TargetMachine> machine;
    std::unique_ptr<llvm::LLVMContext> context;
    std::unique_ptr<llvm::Module> module;
    std::string object;
  };
  Stopwatch stopwatch(options);
  std::vector<Schedule> schedules = schedules_of(program, target);
  std::vector<Part> parts;
  for (KernelRange range : partition_kernels(program)) parts.push_back({range, {}, {}, {}, {}});
  // Step by step, so that each can be timed; a part stays whole in each of them.
  auto each = [&](std::string_view step, auto&& work) {
    run_tasks(options.executor, parts.size(), [&](std::size_t i) { work(parts[i]); });
    stopwatch.lap(step);
  };
  each("emit LLVM IR", [&](Part& part) {
    part.machine = make_target_machine(target);
    part.context = std::make_unique<llvm::LLVMContext>();
    part.module = emit_module(program, target, schedules, part.range, *part.context, *part.machine,
                              options.debug_lines);
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
  std::unique_ptr<llvm::Module> module = emit_module(program, target, context, *machine, true);
  optimize(*module, *machine);
  LineWriter lines;
  return text_of(*module, &lines);
}

std::string assembly_text(const Program& program, const Target& target) {
  std::unique_ptr<llvm::TargetMachine> machine = make_target_machine(target);
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module = emit_module(program, target, context, *machine, true);
  optimize(*module, *machine);
  return generate_code(*module, *machine, llvm::CodeGenFileType::AssemblyFile);
}

}  // namespace weir
