// The code of self tests.
#pragma once

#include "compiler/codegen/llvm_headers.h"
#include "compiler/codegen/model_object.h"

namespace weir {

// int NAME_selftest(void* memory, const void* weights): compiler/codegen/model_object.h. Where
// there are variants, `init` makes a workspace ready and its variant_note, less `first_variant`,
// tells for which.
void emit_self_test(llvm::Module& module, const ModelObject& model, const Target& target,
                    llvm::Function* init, std::uint32_t first_variant);

// Where a workspace tells, as an i32, which variant it was made ready for: in the part of
// WEIR_ALIGNMENT bytes that no variant uses, behind the place of a weir_fault.
llvm::Value* variant_note(llvm::IRBuilder<>& builder, llvm::Value* workspace);

}  // namespace weir
