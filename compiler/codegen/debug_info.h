// Model lines as debug info, so that a debugger, a profiler and the printed IR show where code is
// from.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "compiler/codegen/llvm_headers.h"
#include "ir/diagnostic.h"

namespace weir {

class DebugInfo {
 public:
  // Does nothing when not enabled. With `bare_names` files are called by their names without a
  // folder, so that the same model gives the same debug info wherever it lies.
  DebugInfo(llvm::Module& module, bool enabled, bool bare_names);

  // Makes the function the scope of the locations that follow.
  void enter(llvm::Function& function);
  // The lines of what the builder emits from now on.
  void set(llvm::IRBuilder<>& builder, const Location& location);
  // To be called once, after all functions.
  void finish();

 private:
  llvm::DIFile* file(const std::string& path);

  llvm::Module& module_;
  bool bare_names_;
  std::unique_ptr<llvm::DIBuilder> builder_;
  llvm::DISubprogram* function_ = nullptr;
  std::map<std::string, llvm::DIFile*> files_;
  std::map<std::pair<llvm::DISubprogram*, llvm::DIFile*>, llvm::DIScope*> scopes_;
};

}  // namespace weir
