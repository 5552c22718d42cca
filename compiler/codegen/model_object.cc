#include "compiler/codegen/model_object.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <llvm/Bitcode/BitcodeWriter.h>
#include <llvm/IR/GlobalValue.h>
#include <llvm/Linker/Linker.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Transforms/IPO/MergeFunctions.h>

#include "compiler/codegen/face_emitter.h"
#include "compiler/codegen/generate_code.h"
#include "compiler/codegen/llvm_versions.h"
#include "compiler/codegen/program_module.h"
#include "compiler/codegen/step_times.h"
#include "compiler/codegen/target_machine.h"
#include "compiler/lowering/choose_panel.h"
#include "ir/diagnostic.h"
#include "runtime/abi.h"

namespace weir {
namespace {

// Each program is a module of its own, as it is when it is compiled to be loaded; they are joined
// before code is generated, and only what the face shows keeps its name.
std::unique_ptr<llvm::Module> emit_model(const ModelObject& model, llvm::LLVMContext& context,
                                         llvm::TargetMachine& machine, bool debug_lines) {
  auto module = std::make_unique<llvm::Module>(model.name, context);
  set_triple(*module, llvm::Triple(model.base.triple));
  module->setDataLayout(machine.createDataLayout());
  module->setPICLevel(llvm::PICLevel::BigPIC);
  emit_face(*module, model);
  set_attributes(*module, model.base);
  std::set<std::string> shown;
  for (const llvm::GlobalValue& value : module->global_values())
    if (!value.isDeclaration()) shown.insert(value.getName().str());
  ModuleOptions options{.debug_lines = debug_lines, .bare_file_names = true, .shapes = true};
  for (const Target& target : model.variants) {
    KeptMachine own = make_target_machine(target, true);
    for (const ModelObject::Entry& entry : model.programs) {
      Program program = entry.program;
      program.name = variant_name(model, program, target);
      bool failed =
          llvm::Linker::linkModules(*module, emit_module(program, target, context, *own, options));
      WEIR_CHECK(!failed, "modules of one model do not fit together");
    }
  }
  std::vector<llvm::Function*> own;
  for (llvm::GlobalValue& value : module->global_values())
    if (!value.isDeclaration() && !shown.contains(value.getName().str())) {
      value.setVisibility(llvm::GlobalValue::DefaultVisibility);
      value.setLinkage(llvm::GlobalValue::InternalLinkage);
      // Nobody compares addresses of functions, so one may stand for another.
      value.setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
      if (auto* function = llvm::dyn_cast<llvm::Function>(&value)) own.push_back(function);
    }
  // What programs have in common, the kernels of the forward pass above all, is there once.
  llvm::MergeFunctionsPass::runOnFunctions(own);
  verify_module(*module);
  return module;
}

// How the assembler finds the weights that a text does not hold.
std::string included_weights(const ModelObject& model) {
  if (model.weights_file.empty()) return {};
  return fmt::format(
      "\t.section\t.rodata.weir_weights,\"a\",%progbits\n\t.balign\t{0}\n\t.globl\t{1}_weights\n"
      "\t.hidden\t{1}_weights\n{1}_weights:\n\t.incbin\t\"{2}\"\n",
      WEIR_ALIGNMENT, model.name, model.weights_file);
}

std::string code_of(llvm::Module& module, llvm::TargetMachine& machine, const ModelObject& model,
                    CodeForm form) {
  switch (form) {
    case CodeForm::object:
      return generate_code(module, machine, llvm::CodeGenFileType::ObjectFile);
    case CodeForm::assembly:
      return generate_code(module, machine, llvm::CodeGenFileType::AssemblyFile) +
             included_weights(model);
    case CodeForm::llvm_ir:
      module.appendModuleInlineAsm(included_weights(model));
      return text_of(module);
    case CodeForm::bitcode:
      break;
  }
  std::string bytes;
  llvm::raw_string_ostream stream(bytes);
  llvm::WriteBitcodeToFile(module, stream);
  return bytes;
}

}  // namespace

std::uint64_t ModelObject::bytes_per_worker(const Program& program,
                                            const Dim::Bindings& bindings) const {
  std::uint64_t most = 0;
  for (const Target& variant : variants)
    most = std::max(most, weir::bytes_per_worker(program, variant, bindings));
  return most;
}

std::string generate_model(const ModelObject& model, CodeForm form, const CodegenOptions& options) {
  WEIR_CHECK(!model.programs.empty() && !model.variants.empty(), "a model without programs");
  Stopwatch stopwatch;
  KeptMachine machine = make_target_machine(model.base, true);
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module = emit_model(model, context, *machine, options.debug_lines);
  report(options, kSteps[0], stopwatch.lap());
  optimize(*module, *machine);
  report(options, kSteps[1], stopwatch.lap());
  std::string code = code_of(*module, *machine, model, form);
  report(options, kSteps[2], stopwatch.lap());
  return code;
}

}  // namespace weir
