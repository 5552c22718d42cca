// What LLVM's linker refers to and never runs. For link-time optimization it makes every backend
// known that LLVM was built with, and their assemblers; the objects that it links here are machine
// code already. Without these definitions all of that would become part of the library. With LLVM
// as a shared library there is nothing to define.

#include <llvm/Config/llvm-config.h>

#ifdef WEIR_ABSENT_BACKENDS
#if LLVM_VERSION_MAJOR >= 22
#include <llvm/Plugins/PassPlugin.h>
#else
#include <llvm/Passes/PassPlugin.h>
#endif

// A package of passes that LLVM's builds may carry.
llvm::PassPluginLibraryInfo getPollyPluginInfo();  // NOLINT: LLVM's name
llvm::PassPluginLibraryInfo getPollyPluginInfo() { return {}; }

extern "C" {
#define WEIR_ABSENT(name)      \
  void LLVMInitialize##name(); \
  void LLVMInitialize##name() {}
#define WEIR_ABSENT_BACKEND(name) \
  WEIR_ABSENT(name##TargetInfo)   \
  WEIR_ABSENT(name##Target) WEIR_ABSENT(name##TargetMC) WEIR_ABSENT(name##AsmPrinter)
#define WEIR_ABSENT_PARSER(name) WEIR_ABSENT(name##AsmParser)
WEIR_ABSENT_BACKENDS
#define LLVM_ASM_PARSER(name) WEIR_ABSENT_PARSER(name)
#include <llvm/Config/AsmParsers.def>
}
#endif
