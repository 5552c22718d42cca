#include "ir/onnx_nodes.h"

namespace weir {

OnnxValue OnnxNodes::add(std::string_view type, std::vector<OnnxValue> inputs,
                         const Attributes& attributes) {
  return add_all(type, std::move(inputs), attributes, 1).front();
}

OnnxValue OnnxNodes::integers(std::span<const std::int64_t> values) {
  return constant(Tensor::from(values, {static_cast<std::int64_t>(values.size())}));
}

OnnxValue OnnxNodes::number(DType type, double value) {
  Tensor scalar(type, {});
  scalar.set_bits(0, scalar::bits_of(type, value));
  return constant(scalar);
}

}  // namespace weir
