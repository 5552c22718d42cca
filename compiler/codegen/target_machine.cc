#include "compiler/codegen/target_machine.h"

#include <algorithm>
#include <mutex>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <llvm/ADT/StringMap.h>
#include <llvm/MC/MCSubtargetInfo.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/TargetParser/Host.h>
#include <llvm/TargetParser/Triple.h>

#include "compiler/codegen/check_target.h"
#include "compiler/codegen/llvm_versions.h"
#include "compiler/codegen/target_names.h"
#include "compiler/lowering/known_cores.h"
#include "ir/diagnostic.h"
#include "ir/escape.h"

namespace weir {
namespace {

// Bare architecture names stand for their common form.
std::string full_triple(const std::string& triple) {
  if (triple == "riscv64" || triple == "rv64gc") return "riscv64-unknown-linux-gnu";
  if (triple == "arm" || triple == "armv7") return "armv7-unknown-linux-gnueabihf";
  if (triple == "aarch64") return "aarch64-unknown-linux-gnu";
  if (triple == "x86_64") return "x86_64-unknown-linux-gnu";
  if (triple == "wasm32") return "wasm32-unknown-unknown";
  return llvm::Triple::normalize(triple);
}

const llvm::Target& lookup(const std::string& triple) {
  std::string message;
  const llvm::Target* target = find_backend(llvm::Triple(triple), message);
  if (!target)
    throw Error(fmt::format("there is no target {}; available are {}", printable(triple),
                            available_targets()));
  if (!llvm::Triple(triple).isLittleEndian())
    throw Error(
        fmt::format("{} keeps the high byte first, and code is made for the other order "
                    "only; available are {}",
                    printable(triple), available_targets()));
  return *target;
}

// Reads the facts that code generation depends on from the subtarget's features.
void read_features(const llvm::MCSubtargetInfo& info, Target& target) {
  llvm::Triple triple(target.triple);
  auto has = [&](const char* features) { return info.checkFeatures(features); };
  if (triple.isX86()) {
    bool wide = has("+avx512f,+avx512vl,+avx512bw,+avx512dq");
    target.vector_bytes = wide ? 64 : has("+avx2") ? 32 : 16;
    target.fma = has("+fma") || wide;
    // LLVM 21 has no instruction for some masks of eight lanes on processors such as Knights Landing.
    target.masks_words = has("+avx2") && (!has("+avx512f") || has("+avx512vl"));
    target.masks_bytes = wide;
    target.rounds = has("+sse4.1");
    target.chooses = has("+sse2");
    target.converts_f16 = has("+f16c");
    target.converts_f16_f64 = has("+avx512fp16,+avx512vl");
    target.converts_normal_bf16 = wide && has("+avx512bf16");
    if (!triple.isArch64Bit()) target.divides_64 = target.converts_64 = false;
  } else if (triple.isAArch64()) {
    target.vector_bytes = 16;
    target.fma = target.rounds = true;
    target.converts_f16 = target.converts_f16_f64 = has("+fp-armv8");
    target.converts_bf16 = has("+bf16");
  } else if (triple.isARM() || triple.isThumb()) {
    target.vector_bytes = has("+neon") ? 16 : 0;
    target.fma = has("+vfp4");
    target.divides_32 = triple.isThumb() ? has("+hwdiv") : has("+hwdiv-arm");
    target.divides_64 = target.converts_64 = false;
  } else if (triple.isRISCV64()) {
    target.fma = has("+f,+d");
    target.divides_32 = target.divides_64 = has("+m");
    target.converts_f16 = has("+zfhmin,+f");
    target.converts_f16_f64 = has("+zfhmin,+d");
    target.converts_bf16 = has("+zfbfmin");
  } else if (triple.isWasm()) {
    target.vector_bytes = has("+simd128") ? 16 : 0;
    target.rounds = true;
  }
}

// What cpuid and xgetbv (or their like) report. On a virtual machine each of some thirty questions
// is one to its host.
const llvm::StringMap<bool>& host_features() {
  static const llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  return features;
}

// Features of the subtarget that cpuid and the operating system do not report here.
std::string missing_features(const llvm::MCSubtargetInfo& info) {
  std::vector<std::string> missing;
  for (const auto& feature : host_features()) {
    std::string name = feature.first().str();
    if (!feature.second && info.checkFeatures("+" + name)) missing.push_back(std::move(name));
  }
  std::sort(missing.begin(), missing.end());
  return fmt::format("{}", fmt::join(missing, ", "));
}

Target host_target(const TargetSpec& spec) {
  Target target;
  target.triple = llvm::sys::getProcessTriple();
  target.cpu = plain_cpu(llvm::Triple(target.triple));
  target.core = core_of(host_cpu());
  // In a fixed order.
  std::vector<std::string> features;
  for (const auto& feature : host_features())
    if (feature.second) features.push_back("+" + feature.first().str());
  std::sort(features.begin(), features.end());
  target.features = fmt::format("{}", fmt::join(features, ","));
  if (!spec.cpu.empty()) {
    target.cpu = spec.cpu;
    target.core = core_of(spec.cpu);
    target.features.clear();
  }
  if (!spec.features.empty())
    target.features += (target.features.empty() ? "" : ",") + spec.features;
  return target;
}

// The processor of this machine is one of the target's.
void check_native(const llvm::Triple& triple) {
  const llvm::Triple host(llvm::sys::getProcessTriple());
  if (triple.getArch() != host.getArch())
    throw Error(fmt::format(
        "native is the processor of this machine, which is {}, and the target is {}; name a "
        "processor of the target",
        host.getArchName().str(), triple.getArchName().str()));
}

// Machines that nobody uses, those given back last at the end. For as many threads as compile at
// once, or for the few targets of one object; each takes some hundred kilobytes.
struct IdleMachines {
  struct Entry {
    std::string kind;
    std::unique_ptr<llvm::TargetMachine> machine;
  };
  std::mutex mutex;
  std::vector<Entry> machines;
};
constexpr std::size_t kMostIdleMachines = 4;

// Never destroyed: a program that ends may still compile on another thread.
IdleMachines& idle_machines() {
  static auto* idle = new IdleMachines;
  return *idle;
}

std::unique_ptr<llvm::TargetMachine> take_idle_machine(const std::string& kind) {
  IdleMachines& idle = idle_machines();
  std::lock_guard lock(idle.mutex);
  for (std::size_t i = idle.machines.size(); i-- > 0;) {
    if (idle.machines[i].kind != kind) continue;
    std::unique_ptr<llvm::TargetMachine> found = std::move(idle.machines[i].machine);
    idle.machines.erase(idle.machines.begin() + static_cast<std::ptrdiff_t>(i));
    return found;
  }
  return nullptr;
}

}  // namespace

void initialize_backends() {
  static std::once_flag once;
  std::call_once(once, [] {
#ifdef WEIR_TARGET_X86
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
#endif
#ifdef WEIR_TARGET_AARCH64
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
#endif
#ifdef WEIR_TARGET_ARM
    LLVMInitializeARMTargetInfo();
    LLVMInitializeARMTarget();
    LLVMInitializeARMTargetMC();
    LLVMInitializeARMAsmPrinter();
#endif
#ifdef WEIR_TARGET_RISCV
    LLVMInitializeRISCVTargetInfo();
    LLVMInitializeRISCVTarget();
    LLVMInitializeRISCVTargetMC();
    LLVMInitializeRISCVAsmPrinter();
#endif
#ifdef WEIR_TARGET_WEBASSEMBLY
    LLVMInitializeWebAssemblyTargetInfo();
    LLVMInitializeWebAssemblyTarget();
    LLVMInitializeWebAssemblyTargetMC();
    LLVMInitializeWebAssemblyAsmPrinter();
#endif
  });
}

std::string available_targets() {
  initialize_backends();
  std::vector<std::string> names;
  for (const char* name : {"aarch64", "armv7", "i686", "riscv64", "wasm32", "x86_64"}) {
    std::string ignored;
    if (find_backend(llvm::Triple(full_triple(name)), ignored)) names.emplace_back(name);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

TargetNames target_names(const std::string& triple) {
  initialize_backends();
  std::string full = full_triple(triple);
  auto info = make_subtarget(lookup(full), llvm::Triple(full), "", "");
  TargetNames names;
  for (const auto& row : info->getAllProcessorDescriptions())
    names.cpus.emplace_back(name_of_row(row));
  for (const auto& row : info->getAllProcessorFeatures())
    names.features.emplace_back(name_of_row(row));
  return names;
}

std::string host_cpu() {
  static const std::string name(
      name_by_features(llvm::sys::getHostCPUName(), host_features().lookup("amx-tile")));
  return name;
}

Target resolve_target(const TargetSpec& given) {
  initialize_backends();
  TargetSpec spec = given;
  const bool is_native = spec.cpu == kNativeCpu;
  if (is_native) spec.cpu.clear();
  Target target;
  if (spec.triple.empty()) {
    target = host_target(spec);
  } else if (is_native) {
    const std::string full = full_triple(spec.triple);
    lookup(full);
    check_native(llvm::Triple(full));
    target = host_target(spec);
    target.triple = full;
  } else {
    target.triple = full_triple(spec.triple);
    target.cpu = spec.cpu;
    target.core = core_of(spec.cpu);
    target.features = spec.features;
    llvm::Triple triple(target.triple);
    if (triple.isRISCV64() && target.cpu.empty())
      target.features =
          target.features.empty() ? "+m,+a,+f,+d,+c" : "+m,+a,+f,+d,+c," + target.features;
    if (triple.isARM() && target.cpu.empty())
      target.features = target.features.empty() ? "+v7,+neon" : "+v7,+neon," + target.features;
    if (target.cpu.empty()) target.cpu = plain_cpu(triple);
  }
  const llvm::Target& backend = lookup(target.triple);
  llvm::Triple triple(target.triple);
  check_target(backend, spec, target);
  std::unique_ptr<llvm::MCSubtargetInfo> info =
      make_subtarget(backend, triple, target.cpu, target.features);
  WEIR_CHECK(info != nullptr, target.triple);
  target.pointer_bits = triple.isArch64Bit() ? 64 : 32;
  read_features(*info, target);
  llvm::Triple host(llvm::sys::getProcessTriple());
  target.is_host = triple.getArch() == host.getArch() && triple.getOS() == host.getOS();
  if (target.is_host && (!spec.cpu.empty() || !spec.features.empty() || !spec.triple.empty()))
    target.missing = missing_features(*info);
  return target;
}

void KeepMachine::operator()(llvm::TargetMachine* machine) const {
  std::unique_ptr<llvm::TargetMachine> given(machine), dropped;
  IdleMachines& idle = idle_machines();
  std::lock_guard lock(idle.mutex);
  idle.machines.push_back({kind, std::move(given)});
  if (idle.machines.size() <= kMostIdleMachines) return;
  dropped = std::move(idle.machines.front().machine);
  idle.machines.erase(idle.machines.begin());
}

KeptMachine make_target_machine(const Target& target, bool sections) {
  initialize_backends();
  std::string kind = fmt::format("{}\n{}\n{}\n{}", target.triple, target.cpu, target.features,
                                 sections ? "sections" : "");
  if (auto idle = take_idle_machine(kind)) return {idle.release(), {std::move(kind)}};
  llvm::TargetOptions options;
  options.FunctionSections = options.DataSections = sections;
  options.MCOptions.AsmVerbose = true;
  std::unique_ptr<llvm::TargetMachine> machine = make_machine(
      lookup(target.triple), llvm::Triple(target.triple), target.cpu, target.features, options);
  WEIR_CHECK(machine != nullptr, target.triple);
  return {machine.release(), {std::move(kind)}};
}

}  // namespace weir
