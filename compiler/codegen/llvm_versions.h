// What differs between the versions of LLVM that Weir is built with, 20 and later, in one place: 21
// and 22 took triples as strings out of their interfaces one by one, ORC's headers were split, and
// 23 made names of features functions and what is never null references. Built and tested with 21.1,
// 22.1 and 23.1; 20 is taken by what its interfaces were.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <llvm/IR/Module.h>
#include <llvm/MC/MCSubtargetInfo.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/TargetParser/Triple.h>
#include <llvm/Config/llvm-config.h>

namespace weir {

inline void set_triple(llvm::Module& module, const llvm::Triple& triple) {
#if LLVM_VERSION_MAJOR >= 21
  module.setTargetTriple(triple);
#else
  module.setTargetTriple(triple.str());
#endif
}

// Null, with a message, if LLVM has no such target.
inline const llvm::Target* find_backend(const llvm::Triple& triple, std::string& message) {
#if LLVM_VERSION_MAJOR >= 22
  return llvm::TargetRegistry::lookupTarget(triple, message);
#else
  return llvm::TargetRegistry::lookupTarget(triple.str(), message);
#endif
}

inline std::unique_ptr<llvm::MCSubtargetInfo> make_subtarget(const llvm::Target& backend,
                                                             const llvm::Triple& triple,
                                                             const std::string& cpu,
                                                             const std::string& features) {
#if LLVM_VERSION_MAJOR >= 22
  return std::unique_ptr<llvm::MCSubtargetInfo>(
      backend.createMCSubtargetInfo(triple, cpu, features));
#else
  return std::unique_ptr<llvm::MCSubtargetInfo>(
      backend.createMCSubtargetInfo(triple.str(), cpu, features));
#endif
}

inline std::unique_ptr<llvm::TargetMachine> make_machine(const llvm::Target& backend,
                                                         const llvm::Triple& triple,
                                                         const std::string& cpu,
                                                         const std::string& features,
                                                         const llvm::TargetOptions& options) {
#if LLVM_VERSION_MAJOR >= 21
  const llvm::Triple& name = triple;
#else
  const std::string& name = triple.str();
#endif
  return std::unique_ptr<llvm::TargetMachine>(
      backend.createTargetMachine(name, cpu, features, options, llvm::Reloc::PIC_, std::nullopt,
                                  llvm::CodeGenOptLevel::Default));
}

inline const llvm::MCSubtargetInfo& subtarget_of(const llvm::TargetMachine& machine) {
#if LLVM_VERSION_MAJOR >= 23
  return machine.getMCSubtargetInfo();
#else
  return *machine.getMCSubtargetInfo();
#endif
}

// Whether the larger of a half and another value may become a call of the C library's fmaxf, where
// only f32 has an instruction: 19 does that for x86, and 21 does not.
inline constexpr bool kCallsForHalves = LLVM_VERSION_MAJOR < 21;

// The name of a feature or of a processor, which `row` of one of LLVM's tables is about.
template <class Row>
const char* name_of_row(const Row& row) {
#if LLVM_VERSION_MAJOR >= 23
  return row.key();
#else
  return row.Key;
#endif
}

}  // namespace weir
