// Emits what a C program sees of a compiled model: functions with named arguments around its
// programs, the messages, the weights and the description. What they are is said in
// compiler/codegen/model_object.h.
#pragma once

#include "compiler/codegen/llvm_headers.h"
#include "compiler/codegen/model_object.h"

namespace weir {

// The programs' own functions are declared; a module that defines them is to be linked with this
// one.
void emit_face(llvm::Module& module, const ModelObject& model);

// What a program is called that is compiled for one of the model's variants: its own name, if there
// is no other.
std::string variant_name(const ModelObject& model, const Program& program, const Target& variant);

}  // namespace weir
