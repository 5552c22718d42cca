// Sparse tensors of ONNX, which become dense: Weir has no other ones.
#pragma once

#include <cstdint>

#include "ir/tensor.h"

namespace onnx {
class ModelProto;
class SparseTensorProto;
}  // namespace onnx

namespace weir::onnx_format {

// The elements at their indices - numbers of elements in row-major order, or a row of coordinates
// for each - and zeros elsewhere. Error if they do not fit the sizes or are not in ascending order,
// if they are in another file, and if the dense tensor has more than 1024 times the bytes of the
// sparse one: few bytes must not stand for any number of them.
Tensor dense_tensor_of(const onnx::SparseTensorProto& sparse);

// The bytes of all that become dense, wherever in the model they are; the largest integer if they
// leave 64 bits.
std::int64_t dense_bytes(const onnx::ModelProto& model);

}  // namespace weir::onnx_format
