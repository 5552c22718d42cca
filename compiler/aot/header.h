// The C header of a compiled model: C89 and later, and C++; it needs no other file but <stddef.h>.
#pragma once

#include <string>

#include "compiler/aot/shared_weights.h"
#include "compiler/codegen/model_object.h"

namespace weir {

// `layout` says where each weight lies in the block, for who hands it over.
std::string model_header(const ModelObject& model, const WeightLayout& layout);

}  // namespace weir
