#include "compiler/codegen/program_module.h"

#include <algorithm>
#include <map>
#include <vector>

#include <llvm/Analysis/CGSCCPassManager.h>
#include <llvm/Analysis/LoopAnalysisManager.h>
#include <llvm/IR/PassManager.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Passes/PassBuilder.h>
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
#include "compiler/codegen/store_single_lanes.h"
#include "compiler/lowering/choose_streams.h"
#include "ir/diagnostic.h"

namespace weir {

void set_attributes(llvm::Module& module, const Target& target) {
  for (llvm::Function& function : module) {
    if (function.isDeclaration() || function.hasFnAttribute("target-cpu")) continue;
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

std::string text_of(const llvm::Module& module, llvm::AssemblyAnnotationWriter* writer) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream, writer);
  return text;
}

namespace {

// Whether the buffer is an output that only one call works on.
bool leaves(const Program& program, std::uint32_t buffer) {
  if (program.buffers[buffer].place != Buffer::Place::output) return false;
  return std::ranges::count_if(program.calls, [&](const KernelCall& call) {
           return std::ranges::count(call.buffers, buffer) > 0;
         }) == 1;
}

// Error, at the kernel's place in the model, if sizes of it leave 64 bits.
Schedule schedule_of(const Kernel& kernel, const Target& target) try {
  return make_schedule(kernel, target.processor());
} catch (const Error& error) {
  for (const Location& location : kernel.locations)
    if (location.known()) throw Error(location, error.diagnostic().message);
  throw;
}

}  // namespace

std::vector<Schedule> schedules_of(const Program& program, const Target& target) {
  std::vector<Schedule> schedules;
  schedules.reserve(program.kernels.size());
  for (std::uint32_t i = 0; i < program.kernels.size(); ++i) {
    const Kernel& kernel = program.kernels[i];
    Schedule& schedule = schedules.emplace_back(schedule_of(kernel, target));
    if (!schedule.streams) continue;
    const std::uint32_t result = kernel.stages[0].stores[0].parameter;
    const bool all_leave = std::ranges::all_of(program.calls, [&](const KernelCall& call) {
      return call.kernel != i || leaves(program, call.buffers[result]);
    });
    if (all_leave) let_result_leave(schedule, target.core, program.outputs_leave);
  }
  return schedules;
}

std::unique_ptr<llvm::Module> emit_module(const Program& program, const Target& target,
                                          const std::vector<Schedule>& schedules, KernelRange range,
                                          ModuleNumber place, llvm::LLVMContext& context,
                                          const llvm::TargetMachine& machine,
                                          const ModuleOptions& options) {
  auto module = std::make_unique<llvm::Module>(program.name, context);
  set_triple(*module, llvm::Triple(target.triple));
  module->setDataLayout(machine.createDataLayout());
  module->setPICLevel(llvm::PICLevel::BigPIC);
  DebugInfo debug(*module, options.debug_lines, options.bare_file_names);
  std::map<std::size_t, std::vector<KernelPhase>> declared;
  PhasesOf phases_of = [&](std::size_t i) {
    auto [found, is_new] = declared.try_emplace(i);
    if (!is_new) return found->second;
    std::string name = "k" + std::to_string(i) + "_" + program.kernels[i].name;
    found->second = declare_phases(*module, schedules[i].kernel, name);
    for (const KernelPhase& phase : found->second) {
      if (place.whole())
        phase.function->setLinkage(llvm::GlobalValue::InternalLinkage);
      else
        phase.function->setVisibility(llvm::GlobalValue::HiddenVisibility);
    }
    return found->second;
  };
  for (std::size_t i = range.first; i < range.last; ++i)
    KernelEmitter(*module, target, schedules[i], debug).emit(phases_of(i));
  emit_entry(*module, program, target, phases_of, schedules, place, debug, options.shapes);
  debug.finish();
  set_attributes(*module, target);
  verify_module(*module);
  return module;
}

std::unique_ptr<llvm::Module> emit_module(const Program& program, const Target& target,
                                          llvm::LLVMContext& context,
                                          const llvm::TargetMachine& machine,
                                          const ModuleOptions& options) {
  std::vector<Schedule> schedules = schedules_of(program, target);
  return emit_module(program, target, schedules, {0, schedules.size()}, {}, context, machine,
                     options);
}

void verify_module(const llvm::Module& module) {
  std::string problems;
  llvm::raw_string_ostream stream(problems);
  if (llvm::verifyModule(module, &stream)) WEIR_CHECK(false, problems + "\n" + text_of(module));
}

namespace {

// Whether thousands of instructions use one place on the stack, as they do where a program makes
// calls without end. InstCombine goes through all of them again for each that it changes.
bool has_busy_memory(const llvm::Function& function) {
  constexpr unsigned kMost = 4096;
  return std::ranges::any_of(function.getEntryBlock(), [](const llvm::Instruction& instruction) {
    return llvm::isa<llvm::AllocaInst>(instruction) && instruction.hasNUsesOrMore(kMost);
  });
}

}  // namespace

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
  llvm::FunctionPassManager passes, passes_of_many_calls;
  for (llvm::FunctionPassManager* each : {&passes, &passes_of_many_calls}) {
    each->addPass(llvm::SROAPass(llvm::SROAOptions::ModifyCFG));
    each->addPass(llvm::EarlyCSEPass());
    if (each == &passes) each->addPass(llvm::InstCombinePass());
    each->addPass(llvm::SimplifyCFGPass());
  }
  refuse_faults(module, machine, [&] {
    for (llvm::Function& function : module) {
      if (function.isDeclaration()) continue;
      (has_busy_memory(function) ? passes_of_many_calls : passes).run(function, functions);
      store_single_lanes(function);
    }
  });
}

}  // namespace weir
