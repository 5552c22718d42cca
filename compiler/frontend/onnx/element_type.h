// Element types in ONNX's numbering: TensorProto.DataType, which is also what its attributes hold.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ir/dtype.h"

namespace weir::onnx_format {

// Nothing for types that Weir does not have.
std::optional<DType> dtype_of(std::int64_t onnx_type);
std::int32_t onnx_type_of(DType type);
// ONNX's name, "FLOAT"; a number in quotes where it has none.
std::string type_name(std::int64_t onnx_type);
// Unsupported with a sentence on the type if it is none of Weir's.
DType require_dtype(std::int64_t onnx_type);

}  // namespace weir::onnx_format
