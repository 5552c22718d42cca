// ONNX's tensor files: one TensorProto each, by convention with the ending .pb.
#pragma once

#include <string>

#include "compiler/frontend/file.h"
#include "ir/tensor.h"

namespace weir {

// Error, naming the file, for what is no TensorProto and for tensors that tensor_proto.h refuses;
// Unsupported, also with the file's name, for element types that Weir does not have.
Tensor read_pb(const FileBytes& file);
// The same of a value that is declared as bf16. UINT16 elements are its bits: NumPy has no such
// type, and ONNX's own test data are written so.
Tensor read_pb_as_bf16(const FileBytes& file);

void write_pb(const std::string& path, const Tensor& tensor, const std::string& name);

}  // namespace weir
