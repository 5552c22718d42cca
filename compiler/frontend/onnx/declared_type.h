// The types that an ONNX model declares of its inputs, outputs and values.
#pragma once

#include <string>
#include <string_view>

#include "compiler/frontend/onnx/symbol_names.h"
#include "ir/tensor.h"

namespace onnx {
class ValueInfoProto;
}  // namespace onnx

namespace weir::onnx_format {

// Of an input. Error if the element type is missing; Unsupported for one that Weir does not have,
// for a missing shape, and for what is no tensor.
TensorType declared_type(const onnx::ValueInfoProto& info, SymbolNames& symbols);

// What contradicts the declaration, with both types: another element type, rank or size. Empty if
// nothing does. What is not declared, or not as a number, fits every type, and so does every
// declared size a symbol. `is` says how the type is known: "it is computed as".
std::string contradiction_of(const onnx::ValueInfoProto& info, const TensorType& type,
                             std::string_view is);

}  // namespace weir::onnx_format
