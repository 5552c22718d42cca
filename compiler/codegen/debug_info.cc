#include "compiler/codegen/debug_info.h"

#include <llvm/BinaryFormat/Dwarf.h>

namespace weir {

DebugInfo::DebugInfo(llvm::Module& module, bool enabled, bool bare_names)
    : module_(module), bare_names_(bare_names) {
  if (!enabled) return;
  builder_ = std::make_unique<llvm::DIBuilder>(module);
  builder_->createCompileUnit(llvm::dwarf::DW_LANG_C, file("model"), "weir", true, "", 0, "",
                              llvm::DICompileUnit::LineTablesOnly);
  module.addModuleFlag(llvm::Module::Warning, "Debug Info Version", llvm::DEBUG_METADATA_VERSION);
  module.addModuleFlag(llvm::Module::Warning, "Dwarf Version", 4);
}

llvm::DIFile* DebugInfo::file(const std::string& path) {
  auto [found, inserted] = files_.try_emplace(path, nullptr);
  if (inserted)
    found->second = builder_->createFile(bare_names_ ? path.substr(path.rfind('/') + 1) : path, "");
  return found->second;
}

void DebugInfo::enter(llvm::Function& function) {
  if (!builder_) return;
  llvm::DIFile* unit = file("model");
  function_ = builder_->createFunction(
      unit, function.getName(), function.getName(), unit, 0,
      builder_->createSubroutineType(builder_->getOrCreateTypeArray({})), 0,
      llvm::DINode::FlagPrototyped, llvm::DISubprogram::SPFlagDefinition);
  function.setSubprogram(function_);
}

void DebugInfo::set(llvm::IRBuilder<>& builder, const Location& location) {
  if (!builder_ || !location.known()) return;
  llvm::DIFile* where = file(*location.file);
  llvm::DIScope*& scope = scopes_[{function_, where}];
  if (!scope) scope = builder_->createLexicalBlockFile(function_, where);
  builder.SetCurrentDebugLocation(
      llvm::DILocation::get(module_.getContext(), static_cast<unsigned>(location.line),
                            static_cast<unsigned>(location.column), scope));
}

void DebugInfo::finish() {
  if (builder_) builder_->finalize();
}

}  // namespace weir
