// Tensors in ONNX's form: TensorProto, in a model or as a file of its own.
//
// The elements are raw bytes, numbers in one of the typed lists, or bytes of another file. Nothing
// is believed: sizes are multiplied with a check, and the elements must be as many as the sizes
// say, before memory is taken for them. Raw bytes and bytes of another file are referred to where
// they are aligned, not copied.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "compiler/frontend/file.h"
#include "ir/tensor.h"

namespace onnx {
class TensorProto;
}

namespace weir::onnx_format {

// The file that a tensor names as the place of its elements. Throws Error when it may not be read.
using ExternalData = std::function<FileBytes(const std::string& location)>;

// The tensor. `owner` keeps the proto alive, and with it the raw bytes that the result refers to;
// with no owner they are copied. Error, without a location, that says what is wrong with the
// tensor.
Tensor tensor_of(const onnx::TensorProto& proto, const ExternalData& external = {},
                 std::shared_ptr<const void> owner = nullptr);

// The proto with its elements as raw bytes.
onnx::TensorProto proto_of(const Tensor& tensor, std::string name);

}  // namespace weir::onnx_format
