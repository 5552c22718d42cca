// The code of self tests.
#pragma once

#include "compiler/codegen/llvm_headers.h"
#include "compiler/codegen/model_object.h"

namespace weir {

// int NAME_selftest(void* memory, const void* weights): compiler/codegen/model_object.h. Where
// there are variants, `init` makes a workspace ready and its first word, less `first_variant`,
// tells for which.
void emit_self_test(llvm::Module& module, const ModelObject& model, const Target& target,
                    llvm::Function* init, std::uint32_t first_variant);

}  // namespace weir
