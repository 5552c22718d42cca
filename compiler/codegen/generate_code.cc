#include "compiler/codegen/generate_code.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <llvm/IR/DiagnosticHandler.h>
#include <llvm/IR/DiagnosticInfo.h>
#include <llvm/IR/DiagnosticPrinter.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/Pass.h>
#include <llvm/Target/TargetMachine.h>

#include "ir/diagnostic.h"
#include "ir/escape.h"

namespace weir {
namespace {

// Passes that cost more than they bring, by the names that they print; what each costs stands in
// docs/decisions/light-llvm-pipeline.md. A name that this version of LLVM does not have drops
// nothing.
constexpr std::array<llvm::StringRef, 11> kDropped{
    // There are no variables in the debug info, only lines.
    "Live DEBUG_VALUE analysis",
    // Nothing that they look for is ever emitted: library calls, garbage collection, exceptions,
    // protected stacks, chains of comparisons of bytes.
    "Merge contiguous icmps into a memcmp",
    "Expand memcmp() to load/stores",
    "Partially inline calls to library functions",
    "Shadow Stack GC Lowering",
    "Lower Garbage Collection Instructions",
    "ObjC ARC contraction",
    "Safe Stack instrumentation pass",
    // Constants stand outside the loops already, and loops are laid out as they are to run.
    "Constant Hoisting",
    "Interleaved Access Pass",
    "Early Tail Duplication",
};

// On x86 a base, a scaled index and a displacement are one operand, so rewriting loops gains
// nothing. Other targets, without scaled addresses, keep these.
constexpr std::array<llvm::StringRef, 44> kDroppedOnX86{
    "Loop Strength Reduction",
    "Canonicalize Freeze Instructions in Loops",
    // Tile registers, hardening against side channels, instrumentation, landing pads, thread-local
    // variables and the like: nothing of it is ever asked for, and each of these looks at all of
    // the code to find that out.
    "Argument Stack Rebase",
    "Contiguously Lay Out Funclets",
    "Exception handling preparation",
    "Expand Atomic instructions",
    "Expand indirectbr instructions",
    "Fixup Statepoint Caller Saved",
    "Implement the 'patchable-function' attribute",
    "Insert KCFI indirect call checks",
    "Insert XRay ops",
    "Insert fentry calls",
    "Insert stack protectors",
    "Instrument function entry/exit with calls to e.g. mcount() (post inlining)",
    "Local Dynamic TLS Access Clean-up",
    "Lower AMX intrinsics",
    "Lower AMX type for load/store",
    "Machine Sanitizer Binary Metadata",
    "Prepare callbr",
    "Pseudo Probe Inserter",
    "Register Allocation Pass Scoring",
    "Remove Loads Into Fake Uses",
    "Remove Redundant DEBUG_VALUE analysis",
    "Replace intrinsics with calls to vector library",
    "Stack Frame Layout Analysis",
    "StackMap Liveness Analysis",
    "Tile Register Configure",
    "Tile Register Pre-configure",
    "X86 Atom pad short functions",
    "X86 Indirect Branch Tracking",
    "X86 Indirect Thunks",
    "X86 Load Value Injection (LVI) Load Hardening",
    "X86 Load Value Injection (LVI) Ret-Hardening",
    "X86 Lower Tile Copy",
    "X86 Return Thunks",
    "X86 Speculative Execution Side Effect Suppression",
    "X86 Suppress APX features for relocation",
    "X86 insert wait instruction",
    "X86 speculative load hardening",
    // These change nothing in loops such as ours.
    "Early If-Conversion",
    "Tail Duplication",
    "X86 Avoid Store Forwarding Blocks",
    "X86 Domain Reassignment Pass",
    "X86 cmov Conversion",
};

// Leaves out passes while the code generator adds its own; a global option would be the other way.
class LightPassManager : public llvm::legacy::PassManager {
 public:
  explicit LightPassManager(bool x86) : x86_(x86) {}

  void add(llvm::Pass* pass) override {
    llvm::StringRef name = pass->getPassName();
    auto listed = [&](const auto& names) {
      return std::find(names.begin(), names.end(), name) != names.end();
    };
    if (listed(kDropped) || (x86_ && listed(kDroppedOnX86))) {
      delete pass;
      return;
    }
    llvm::legacy::PassManager::add(pass);
  }

 private:
  bool x86_;
};

// Keeps what a back end refuses; without this LLVM prints it and ends the process.
class KeepFaults : public llvm::DiagnosticHandler {
 public:
  explicit KeepFaults(std::string& first) : first_(first) {}

  bool handleDiagnostics(const llvm::DiagnosticInfo& info) override {
    if (info.getSeverity() != llvm::DS_Error || !first_.empty()) return true;
    llvm::raw_string_ostream stream(first_);
    llvm::DiagnosticPrinterRawOStream printer(stream);
    info.print(printer);
    return true;
  }

 private:
  std::string& first_;
};

}  // namespace

void refuse_faults(llvm::Module& module, const llvm::TargetMachine& machine,
                   llvm::function_ref<void()> step) {
  llvm::LLVMContext& context = module.getContext();
  std::string fault;
  std::unique_ptr<llvm::DiagnosticHandler> before = context.getDiagnosticHandler();
  context.setDiagnosticHandler(std::make_unique<KeepFaults>(fault));
  step();
  context.setDiagnosticHandler(std::move(before));
  if (fault.empty()) return;
  constexpr std::size_t kShown = 100;
  throw Error(
      fmt::format("there is no code for {} with the CPU {} and the features {}: {}; take another "
                  "CPU, or fewer features",
                  machine.getTargetTriple().str(),
                  machine.getTargetCPU().empty() ? "generic" : machine.getTargetCPU().str(),
                  shortened(machine.getTargetFeatureString().str(), kShown),
                  printable(llvm::StringRef(fault).rtrim(".\n").str())));
}

std::string generate_code(llvm::Module& module, llvm::TargetMachine& machine,
                          llvm::CodeGenFileType type) {
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  LightPassManager passes(machine.getTargetTriple().isX86());
  bool unsupported = machine.addPassesToEmitFile(passes, stream, nullptr, type);
  WEIR_CHECK(!unsupported, "the target cannot emit this kind of file");
  refuse_faults(module, machine, [&] { passes.run(module); });
  return {bytes.begin(), bytes.end()};
}

}  // namespace weir
