// Sources: values that come from no operand.

#include <fmt/format.h>

#include "ir/ops/helpers.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;

OpDef source(Text text) {
  return without_gradient(declare("source", std::move(text)), "it has no operands");
}

void check_result_type(const OpInstance& instance) {
  DType type = instance.attributes.dtype("dtype");
  if (!contains(TypeSet::numbers, type))
    throw Error(fmt::format("the attribute dtype must be a numeric type, not {}", name(type)));
}

void check_sizes(const Shape& shape) {
  for (const Dim& dim : shape)
    if (!never_negative(dim))
      throw Error(
          fmt::format("the dimension {} of {} can be negative", dim.to_string(), to_string(shape)));
}

// A dimension as an i64 scalar.
OnnxValue scalar_in_onnx(OnnxNodes& nodes, const Dim& dim) {
  if (dim.is_constant()) return nodes.constant(Tensor::from<std::int64_t>({dim.value()}, {}));
  return nodes.add("Squeeze", {nodes.sizes({dim})});
}

OpDef constant_op() {
  OpDef op = with_attribute(source({"constant",
                                    "A tensor that is part of the graph.",
                                    "Exactly the bits given, NaN payloads excepted.",
                                    {"Constant", 1}}),
                            "value", AttributeKind::tensor,
                            "The tensor, such as f32[] 0.0 or f32[2] [0.5, 1.0].", "value");
  op.infer = [](const OpInstance& instance) {
    return std::vector<TensorType>{instance.attributes.tensor("value")->type()};
  };
  op.data = [](const Attributes& attributes) { return attributes.tensor("value"); };
  return op;
}

// A range along the axis, with axes of size 1 behind it, expanded.
std::vector<OnnxValue> iota_to_onnx(OnnxNodes& nodes, const OpInstance& instance,
                                    std::span<const OnnxValue>) {
  const Shape& shape = instance.attributes.dims("shape");
  DType type = instance.attributes.dtype("dtype");
  auto axis = static_cast<std::size_t>(instance.axis(static_cast<int>(shape.size())));
  OnnxValue count = scalar_in_onnx(nodes, shape[axis]);
  OnnxValue value =
      nodes.add("Range", {nodes.number(DType::i64, 0), count, nodes.number(DType::i64, 1)});
  if (type != DType::i64) value = nodes.add("Cast", {value}, {{"to", type}});
  if (shape.size() == 1) return {value};
  std::vector<std::int64_t> column(shape.size() - axis, 1);
  column[0] = -1;
  value = nodes.add("Reshape", {value, nodes.integers(column)});
  return {nodes.add("Expand", {value, nodes.sizes(shape)})};
}

OpDef iota_op() {
  OpDef op = source(
      {"iota", "Each element is its own index along one axis.",
       "0, 1, 2, ... along the axis, the same in all others; rounded to nearest even where a "
       "float cannot hold it.",
       OnnxOp::none()});
  op = with_attribute(std::move(op), "shape", AttributeKind::dims, "Shape of the result.");
  op = with_attribute(std::move(op), "axis", std::int64_t{0}, "The axis that is counted.");
  op = with_attribute(std::move(op), "dtype", DType::i64, "Element type of the result.");
  op.check = check_result_type;
  op.infer = [](const OpInstance& instance) {
    const Shape& shape = instance.attributes.dims("shape");
    check_sizes(shape);
    instance.axis(static_cast<int>(shape.size()));
    return std::vector<TensorType>{{instance.attributes.dtype("dtype"), shape}};
  };
  op.to_onnx = iota_to_onnx;
  op.comprehension = [](const OpInstance& instance) {
    const Attributes& attributes = instance.attributes;
    auto axis =
        static_cast<std::size_t>(instance.axis(static_cast<int>(attributes.dims("shape").size())));
    Comprehension result;
    result.body = [axis, type = attributes.dtype("dtype")](const Element& element) {
      return std::vector<Expr>{cast(element.index[axis], type)};
    };
    return result;
  };
  return op;
}

std::vector<OnnxValue> size_of_to_onnx(OnnxNodes& nodes, const OpInstance& instance,
                                       std::span<const OnnxValue>) {
  DType type = instance.attributes.dtype("dtype");
  OnnxValue value = scalar_in_onnx(nodes, element_count(instance.attributes.dims("dims")));
  if (type != DType::i64) value = nodes.add("Cast", {value}, {{"to", type}});
  return {value};
}

OpDef size_of_op() {
  OpDef op = source(
      {"size_of", "A product of dimensions, as a scalar.",
       "Symbols take the values they are bound to at the call; the product of no dimensions is "
       "1. Rounded to nearest even where a float cannot hold it.",
       OnnxOp::none()});
  op = with_attribute(std::move(op), "dims", AttributeKind::dims, "The dimensions to multiply.");
  op = with_attribute(std::move(op), "dtype", DType::i64, "Element type of the result.");
  op.check = check_result_type;
  op.to_onnx = size_of_to_onnx;
  op.infer = [](const OpInstance& instance) {
    element_count(instance.attributes.dims("dims"));
    return std::vector<TensorType>{{instance.attributes.dtype("dtype"), {}}};
  };
  op.comprehension = [](const OpInstance& instance) {
    const Attributes& attributes = instance.attributes;
    Comprehension result;
    result.body = [count = element_count(attributes.dims("dims")),
                   type = attributes.dtype("dtype")](const Element& element) {
      return std::vector<Expr>{cast(element.size(count), type)};
    };
    return result;
  };
  return op;
}

}  // namespace

void add_source_ops(OpTable& table) {
  table.add(constant_op());
  table.add(iota_op());
  table.add(size_of_op());
}

}  // namespace weir
