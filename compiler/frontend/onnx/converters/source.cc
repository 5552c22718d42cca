// Values without operands, and values under another name: Constant, Identity.
#include <fmt/format.h>

#include "compiler/frontend/onnx/converters.h"

namespace weir::onnx_format {
namespace {

template <class T>
Tensor list_of(const std::vector<T>& numbers, DType type) {
  Tensor tensor(type, {static_cast<std::int64_t>(numbers.size())});
  for (std::size_t i = 0; i < numbers.size(); ++i)
    tensor.set_bits(static_cast<std::int64_t>(i), scalar::bits_of(type, numbers[i]));
  return tensor;
}

void convert_constant(Node& node) {
  node.check_inputs(0, 0);
  if (node.has("value_string") || node.has("value_strings"))
    throw Unsupported("it holds strings; Weir computes with numbers");
  if (node.has("sparse_value")) throw Unsupported("it holds a sparse tensor");
  if (std::optional<Tensor> value = node.tensor("value")) {
    node.set(0, std::move(*value));
  } else if (node.has("value_int")) {
    node.set(0, Tensor::from<std::int64_t>({node.integer("value_int")}, {}));
  } else if (node.has("value_float")) {
    node.set(0, Tensor::from<float>({static_cast<float>(node.real("value_float"))}, {}));
  } else if (std::optional<std::vector<std::int64_t>> integers = node.integers("value_ints")) {
    node.set(0, list_of(*integers, DType::i64));
  } else if (std::optional<std::vector<double>> reals = node.reals("value_floats")) {
    node.set(0, list_of(*reals, DType::f32));
  } else {
    throw Error("it has no value");
  }
}

void convert_identity(Node& node) {
  node.check_inputs(1, 1);
  node.pass(0, 0);
}

}  // namespace

void add_source_converters(std::vector<Converter>& table) {
  table.push_back({"Constant", 1, kAnyOpset, convert_constant});
  table.push_back({"Identity", 1, kAnyOpset, convert_identity});
}

}  // namespace weir::onnx_format
