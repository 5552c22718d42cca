// Emits the drawing of first values: what compiler/initialize.h does, as code that runs where a
// model is trained.
#pragma once

#include <cstdint>
#include <span>

#include "compiler/codegen/llvm_headers.h"
#include "compiler/codegen/model_object.h"

namespace weir {

// Appends the code that writes the params' first values to their places in `state`. The generator
// lives in the function's frame: 313 words of 64 bits. The bits are those of initial_value(), on
// every target.
void emit_draws(llvm::IRBuilder<>& builder, llvm::Value* state, const ModelObject& model);

}  // namespace weir
