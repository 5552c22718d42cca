#include "compiler/codegen/object_file.h"

#include <algorithm>

#include <llvm/Object/ArchiveWriter.h>
#include <llvm/Object/ObjectFile.h>
#include <llvm/Support/MemoryBuffer.h>

#include "compiler/codegen/take.h"

namespace weir {
namespace {

// WebAssembly's memory, stack and table, ARM's empty first symbol, and a mark for Windows' linker.
bool is_the_linkers(llvm::StringRef name) {
  return name.empty() || name == "_GLOBAL_OFFSET_TABLE_" || name == "__linear_memory" ||
         name == "__stack_pointer" || name == "__indirect_function_table" ||
         name == "__memory_base" || name == "__table_base" || name == "_fltused";
}

}  // namespace

std::vector<std::string> undefined_symbols(const std::string& object) {
  auto file = take(
      llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(object, "model")), "object");
  std::vector<std::string> names;
  for (const llvm::object::SymbolRef& symbol : file->symbols()) {
    if ((take(symbol.getFlags(), "symbol") & llvm::object::SymbolRef::SF_Undefined) == 0) continue;
    llvm::StringRef name = take(symbol.getName(), "symbol");
    if (!is_the_linkers(name)) names.push_back(name.str());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string archive_of(const std::string& object, const std::string& member) {
  std::vector<llvm::NewArchiveMember> members;
  members.emplace_back(llvm::MemoryBufferRef(object, member));
  auto archive = take(llvm::writeArchiveToBuffer(members, llvm::SymtabWritingMode::NormalSymtab,
                                                 llvm::object::Archive::K_GNU, true, false),
                      "archive");
  return archive->getBuffer().str();
}

}  // namespace weir
