// Asking for a line of memory ahead of its use.
#pragma once

#include <cstdint>

#include "compiler/codegen/llvm_headers.h"

namespace weir {

enum class PrefetchTo : std::uint8_t { read, write };

// Asks for the line at `where` into all caches. What lies beyond the end of a tensor may be asked
// for, too: a prefetch of what is not there is none.
void emit_prefetch(llvm::IRBuilder<>& builder, llvm::Value* where, PrefetchTo use);

}  // namespace weir
