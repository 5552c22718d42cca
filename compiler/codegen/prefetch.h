// Asking for a line of memory ahead of its use.
#pragma once

#include <cstdint>

#include "compiler/codegen/llvm_headers.h"

namespace weir {

// To read it soon, or only after so much else that it had better wait in the second cache.
enum class PrefetchTo : std::uint8_t { read, read_later, write };

// Asks for the line at `where`, into all caches or all but the first. What lies beyond the end of a
// tensor may be asked for, too: a prefetch of what is not there is none.
void emit_prefetch(llvm::IRBuilder<>& builder, llvm::Value* where, PrefetchTo use);

}  // namespace weir
