#include "compiler/frontend/onnx/sparse_tensor.h"

#include <limits>

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include "compiler/frontend/onnx/element_type.h"
#include "compiler/frontend/onnx/tensor_proto.h"

namespace weir::onnx_format {
namespace {

constexpr std::int64_t kMostTimes = 1024;
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

Tensor::Sizes sizes_of(const onnx::SparseTensorProto& sparse) {
  if (sparse.dims_size() > static_cast<int>(kMaximumRank))
    throw Error(
        fmt::format("it has {} dimensions; {} are the most", sparse.dims_size(), kMaximumRank));
  return {sparse.dims().begin(), sparse.dims().end()};
}

// The places of the elements in row-major order. Error if they do not ascend.
class Places {
 public:
  Places(const Tensor& indices, std::int64_t elements, const Tensor::Sizes& sizes)
      : indices_(indices.elements<std::int64_t>()), sizes_(sizes) {
    in_coordinates_ = indices.rank() == 2;
    Tensor::Sizes right{elements};
    if (in_coordinates_) right.push_back(static_cast<std::int64_t>(sizes.size()));
    if (indices.sizes() != right)
      throw Error(fmt::format("its {} elements have indices {}; [{}] or [{}, {}] is needed",
                              elements, to_string(indices.type()), elements, elements,
                              sizes.size()));
  }

  std::int64_t next() {
    std::int64_t place = 0;
    if (in_coordinates_) {
      for (std::int64_t size : sizes_) place = place * size + read(size);
    } else {
      std::int64_t count = 1;
      for (std::int64_t size : sizes_) count *= size;
      place = read(count);
    }
    if (place <= last_) throw Error("its indices are not in ascending order");
    return last_ = place;
  }

 private:
  std::int64_t read(std::int64_t size) {
    std::int64_t index = indices_[position_++];
    if (index < 0 || index >= size)
      throw Error(fmt::format("it has an index {}, and {} elements there", index, size));
    return index;
  }

  std::span<const std::int64_t> indices_;
  const Tensor::Sizes& sizes_;
  bool in_coordinates_ = false;
  std::size_t position_ = 0;
  std::int64_t last_ = -1;
};

// Those of the dense tensor; the largest integer if they leave 64 bits. What is wrong with the
// tensor is said when it is read.
std::int64_t bytes_of(const onnx::SparseTensorProto& sparse) {
  std::optional<DType> type = dtype_of(sparse.values().data_type());
  std::int64_t bytes = type ? byte_size(*type) : 0;
  for (std::int64_t size : sparse.dims())
    if (size < 0 || __builtin_mul_overflow(bytes, size, &bytes)) return kMost;
  return bytes;
}

class Counter {
 public:
  void add(const onnx::GraphProto& graph) {
    for (const onnx::SparseTensorProto& sparse : graph.sparse_initializer()) add(sparse);
    for (const onnx::NodeProto& node : graph.node()) add(node);
  }
  void add(const onnx::NodeProto& node) {
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      if (attribute.has_sparse_tensor()) add(attribute.sparse_tensor());
      if (attribute.has_g()) add(attribute.g());
    }
  }
  std::int64_t bytes() const { return bytes_; }

 private:
  void add(const onnx::SparseTensorProto& sparse) {
    if (__builtin_add_overflow(bytes_, bytes_of(sparse), &bytes_)) bytes_ = kMost;
  }

  std::int64_t bytes_ = 0;
};

}  // namespace

Tensor dense_tensor_of(const onnx::SparseTensorProto& sparse) {
  DType type = require_dtype(sparse.values().data_type());
  Tensor::Sizes sizes = sizes_of(sparse);
  std::int64_t bytes = checked_element_count(type, sizes) * byte_size(type);
  auto given = static_cast<std::int64_t>(sparse.ByteSizeLong());
  if (bytes / kMostTimes > given)
    throw Error(
        fmt::format("it is sparse, and {} takes {} bytes, more than {} times the {} that "
                    "it has; Weir has dense tensors only",
                    to_string(type, sizes), bytes, kMostTimes, given));
  Tensor values = tensor_of(sparse.values(), {}, nullptr);
  Tensor indices = tensor_of(sparse.indices(), {}, nullptr);
  if (values.rank() != 1 || indices.dtype() != DType::i64)
    throw Error(
        fmt::format("it has elements {} and indices {}; a list of elements and indices of "
                    "i64 are needed",
                    to_string(values.type()), to_string(indices.type())));
  Places places(indices, values.element_count(), sizes);
  Tensor dense(type, sizes);
  for (std::int64_t i = 0; i < values.element_count(); ++i)
    dense.set_bits(places.next(), values.bits(i));
  return dense;
}

std::int64_t dense_bytes(const onnx::ModelProto& model) {
  Counter counter;
  counter.add(model.graph());
  for (const onnx::FunctionProto& function : model.functions())
    for (const onnx::NodeProto& node : function.node()) counter.add(node);
  return counter.bytes();
}

}  // namespace weir::onnx_format
