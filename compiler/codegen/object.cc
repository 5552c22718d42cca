#include "compiler/codegen/object.h"

#include <chrono>

#include <llvm/Analysis/CGSCCPassManager.h>
#include <llvm/Analysis/LoopAnalysisManager.h>
#include <llvm/IR/AssemblyAnnotationWriter.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/OptBisect.h>
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
#include "compiler/codegen/kernel_emitter.h"
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

std::unique_ptr<llvm::Module> emit_module(const Program& program, const Target& target,
                                          llvm::LLVMContext& context,
                                          const llvm::TargetMachine& machine, bool debug_lines) {
  auto module = std::make_unique<llvm::Module>(program.name, context);
  module->setTargetTriple(llvm::Triple(target.triple));
  module->setDataLayout(machine.createDataLayout());
  module->setPICLevel(llvm::PICLevel::BigPIC);
  DebugInfo debug(*module, debug_lines);
  std::vector<Schedule> schedules;
  std::vector<std::vector<KernelEmitter::Phase>> kernels;
  schedules.reserve(program.kernels.size());
  for (std::size_t i = 0; i < program.kernels.size(); ++i) {
    schedules.push_back(make_schedule(program.kernels[i], target));
    std::string name = "k" + std::to_string(i) + "_" + program.kernels[i].name;
    kernels.push_back(KernelEmitter(*module, target, schedules.back(), debug).emit(name));
  }
  emit_entry(*module, program, target, kernels, schedules, debug);
  debug.finish();
  set_attributes(*module, target);
  std::string problems;
  llvm::raw_string_ostream stream(problems);
  if (llvm::verifyModule(*module, &stream)) WEIR_CHECK(false, problems + "\n" + text_of(*module));
  return module;
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

// Turns loop strength reduction off for one context; the other way would be a global option. On x86 the
// addressing modes do its work; see docs/decisions/light-llvm-pipeline.md.
class NoStrengthReduction : public llvm::OptPassGate {
 public:
  bool isEnabled() const override { return true; }
  bool shouldRunPass(llvm::StringRef pass, llvm::StringRef) const override {
    return pass != "Loop Strength Reduction";
  }
};

std::string generate(llvm::Module& module, llvm::TargetMachine& machine,
                     llvm::CodeGenFileType type) {
  static NoStrengthReduction gate;
  if (machine.getTargetTriple().isX86()) module.getContext().setOptPassGate(gate);
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager passes;
  bool unsupported = machine.addPassesToEmitFile(passes, stream, nullptr, type);
  WEIR_CHECK(!unsupported, "the target cannot emit this kind of file");
  passes.run(module);
  return {bytes.begin(), bytes.end()};
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
  ObjectCode object{generate(*module, *machine, llvm::CodeGenFileType::ObjectFile),
                    program_symbol(program), workspace_symbol(program)};
  stopwatch.lap("LLVM code generation");
  return object;
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
  return generate(*module, *machine, llvm::CodeGenFileType::AssemblyFile);
}

}  // namespace weir
