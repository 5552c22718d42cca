// Sources: values that come from no operand.

#include <algorithm>
#include <cmath>

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
    if (dim.is_constant() && dim.value() < 0)
      throw Error(
          fmt::format("the dimension {} of {} is negative", dim.to_string(), to_string(shape)));
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

// How many of start, start + step, ... lie before the limit.
std::int64_t length_of_range(const Attributes& attributes) {
  const double start = attributes.real("start"), limit = attributes.real("limit"),
               step = attributes.real("step");
  for (double number : {start, limit, step})
    if (!std::isfinite(number)) throw Error("start, limit and step must be finite");
  if (step == 0) throw Error("the step is 0, and a range needs another one");
  const double length = std::max(0.0, std::ceil((limit - start) / step));
  if (!(length < 9e15)) throw Error(fmt::format("the range would have {} elements", length));
  return static_cast<std::int64_t>(length);
}

void check_range(const OpInstance& instance) {
  check_result_type(instance);
  const std::int64_t length = length_of_range(instance.attributes);
  const DType type = instance.attributes.dtype("dtype");
  if (!is_integer(type)) return;
  for (std::string_view name : {"start", "step"}) {
    const double number = instance.attributes.real(name);
    if (number != std::trunc(number))
      throw Error(fmt::format("the {} is {}, which is no {}", name, number, weir::name(type)));
  }
  const double start = instance.attributes.real("start");
  const double last = start + instance.attributes.real("step") * static_cast<double>(length - 1);
  const int bits = static_cast<int>(byte_size(type)) * 8;
  const double least = type == DType::u8 ? 0 : -std::ldexp(1, bits - 1);
  const double end = std::ldexp(1, type == DType::u8 ? bits : bits - 1);
  if (length > 0 && (std::min(start, last) < least || std::max(start, last) >= end))
    throw Error(fmt::format("a range from {} to {} is no {}", start, last, weir::name(type)));
}

OpDef range_op() {
  OpDef op = source({"range",
                     "Numbers at equal distances: from start, below limit, in steps.",
                     "start + step * i for i = 0, 1, 2, ... as long as that is before the limit: "
                     "below it, or above it for a negative step. There are as many elements as "
                     "(limit - start) / step says, rounded up, and none where that is negative. "
                     "Computed in the element type, the product first.",
                     {"Range"}});
  op = with_attribute(std::move(op), "limit", AttributeKind::real, "Where it ends, exclusive.");
  op = with_attribute(std::move(op), "start", 0.0, "The first element.");
  op = with_attribute(std::move(op), "step", 1.0, "From one element to the next; not 0.");
  op = with_attribute(std::move(op), "dtype", DType::i64, "Element type of the result.");
  op.check = check_range;
  op.composite = [](GraphBuilder& builder, std::span<const Var>, const Attributes& attributes) {
    const DType type = attributes.dtype("dtype");
    Var numbers =
        builder.apply("iota", {}, {{"shape", Shape{length_of_range(attributes)}}, {"dtype", type}});
    Var steps = builder.apply("mul", {numbers, builder.scalar(type, attributes.real("step"))});
    return std::vector<Var>{
        builder.apply("add", {steps, builder.scalar(type, attributes.real("start"))})};
  };
  op.to_onnx = [](OnnxNodes& nodes, const OpInstance& instance, std::span<const OnnxValue>) {
    const Attributes& attributes = instance.attributes;
    const DType type = attributes.dtype("dtype");
    // Of other types ONNX has none, and decides where a range of floats ends by another rounding.
    if (type != DType::i32 && type != DType::i64) return std::vector<OnnxValue>();
    const double start = attributes.real("start"), step = attributes.real("step");
    const double limit = start + step * static_cast<double>(length_of_range(attributes));
    return std::vector<OnnxValue>{nodes.add(
        "Range", {nodes.number(type, start), nodes.number(type, limit), nodes.number(type, step)})};
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
  table.add(range_op());
  table.add(size_of_op());
}

}  // namespace weir
