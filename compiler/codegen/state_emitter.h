// Emits what makes a block of state ready: the first values of what a model's programs update.
#pragma once

#include "compiler/codegen/llvm_headers.h"
#include "compiler/codegen/model_object.h"

namespace weir {

// int init_state(void* state, const void* weights): copies the first values from the block of
// weights, sets the rest to zeros, and draws what is to be drawn. A weir_status. Local to the
// module; null if the model has no state.
llvm::Function* emit_init_state(llvm::Module& module, const ModelObject& model);
// The same function once it has been emitted.
llvm::Function* init_state_of(llvm::Module& module);

}  // namespace weir
