// Values without operands, counted values, and values under another name.
#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include "compiler/frontend/onnx/converters.h"
#include "compiler/frontend/onnx/element_type.h"

namespace weir::onnx_format {
namespace {

// --- Constant, Identity ------------------------------------------------------

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
  if (std::optional<Tensor> value = node.tensor_attribute("value")) {
    node.set(0, std::move(*value));
  } else if (std::optional<Tensor> dense = node.sparse_attribute("sparse_value")) {
    node.set(0, std::move(*dense));
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

// --- Counting ----------------------------------------------------------------

Var counted(Node& node, Shape shape, std::int64_t axis, DType type) {
  return node.apply("iota", {}, {{"shape", std::move(shape)}, {"axis", axis}, {"dtype", type}});
}

// One number, or one size.
Dim one_dim(Node& node, std::size_t i, std::string_view what) {
  Shape dims = node.dims(i, what);
  if (dims.size() != 1)
    throw Error(fmt::format("its {} has {} elements, not one", what, dims.size()));
  return dims.front();
}

// Integers of this size are doubles.
constexpr double kExactIntegers = 9007199254740992;

// start, start + step, ... before limit: start + step * 0, 1, 2, ...
void convert_range(Node& node) {
  node.check_inputs(3, 3);
  DType type = node.dtype(0);
  Dim count;
  bool is_symbolic = is_integer(type) && node.is_known(0) && node.is_known(1) && node.is_known(2) &&
                     !(node.tensor(0) && node.tensor(1) && node.tensor(2));
  if (is_symbolic) {
    Dim length = one_dim(node, 1, "limit") - one_dim(node, 0, "start");
    std::optional<Dim> quotient = length.divided_by(one_dim(node, 2, "step"));
    if (!quotient)
      throw Unsupported(
          fmt::format("its length is {} over its step, which is no whole number for "
                      "every value of the symbols",
                      length.to_string()));
    count = *quotient;
  } else {
    double start = node.number(0, "start"), limit = node.number(1, "limit");
    double step = node.number(2, "step");
    if (step == 0) throw Error("its step is 0");
    double length = std::max(0.0, std::ceil((limit - start) / step));
    if (!(length < 9e15)) throw Error("it has no end");
    if (std::max(std::abs(start), std::abs(step)) <= kExactIntegers)
      return node.set(
          0, node.apply("range", {},
                        {{"start", start}, {"limit", limit}, {"step", step}, {"dtype", type}}));
    count = static_cast<std::int64_t>(length);
  }
  Var numbers = counted(node, {count}, 0, type);
  Var scaled = node.apply("mul", {numbers, node.reshaped(node.input(2), {})});
  node.set(0, node.apply("add", {scaled, node.reshaped(node.input(0), {})}));
}

// The type that an attribute names, or else that of the operand.
DType stated_type(Node& node, std::string_view attribute, DType otherwise) {
  return node.has(attribute) ? require_dtype(node.integer(attribute)) : otherwise;
}

void convert_eye_like(Node& node) {
  node.check_inputs(1, 1);
  const Shape& shape = node.shape(0);
  if (shape.size() != 2)
    throw Error(fmt::format("its operand is {}; it must be a matrix", to_string(node.type(0))));
  DType type = stated_type(node, "dtype", node.dtype(0));
  Var rows = counted(node, shape, 0, DType::i64), columns = counted(node, shape, 1, DType::i64);
  Var shifted =
      node.apply("add", {rows, node.like(rows, static_cast<double>(node.integer("k", 0)))});
  node.set(0, node.cast(node.apply("equal", {columns, shifted}), type));
}

// on where an index is that of the place along the new axis, and off elsewhere. Indices count from
// the end where they are negative; others that are no place give a row of off.
void convert_one_hot(Node& node) {
  node.check_inputs(3, 3);
  Var indices = node.input(0), values = node.input(2);
  double depth = node.number(1, "depth");
  if (!(depth >= 1) || depth != std::floor(depth) || depth > 1e15)
    throw Error(fmt::format("its depth is {}; it must be a number of classes", depth));
  if (values.shape() != Shape{2})
    throw Error(
        fmt::format("its values are {}; they must be two, off and on", to_string(values.type())));
  Dim classes(static_cast<std::int64_t>(depth));
  std::size_t rank = indices.shape().size();
  auto axis = static_cast<std::size_t>(node.axis_attribute(static_cast<int>(rank) + 1, -1));
  Var places = node.cast(indices, DType::i64);
  Var wrapped = node.apply("add", {places, node.like(places, depth)});
  places =
      node.apply("select", {node.apply("less", {places, node.like(places, 0)}), wrapped, places});
  Shape apart = indices.shape();
  apart.insert(apart.begin() + static_cast<std::ptrdiff_t>(axis), Dim(1));
  Shape row(rank + 1 - axis, Dim(1));
  row.front() = classes;
  Var is_on =
      node.apply("equal", {node.reshaped(places, apart), counted(node, row, 0, DType::i64)});
  auto value = [&](std::int64_t i) {
    Var part = node.apply("slice", {values}, {{"starts", Shape{i}}, {"limits", Shape{i + 1}}});
    return node.reshaped(part, {});
  };
  node.set(0, node.apply("select", {is_on, value(1), value(0)}));
}

// --- Windows -----------------------------------------------------------------

// a0 - a1 cos(2 pi n / N) + a2 cos(4 pi n / N), for a window that repeats after N or ends at N.
void window(Node& node, double a0, double a1, double a2) {
  node.check_inputs(1, 1);
  DType type = stated_type(node, "output_datatype", DType::f32);
  bool repeats = node.flag("periodic", true);
  std::int64_t size = node.integer(0, "size");
  if (size < 0) throw Error(fmt::format("its size is {}", size));
  DType inner = is_float(type) ? type : DType::f64;
  Var angle = node.apply(
      "mul", {counted(node, {size}, 0, inner),
              node.builder().scalar(
                  inner, 2 * std::numbers::pi / static_cast<double>(repeats ? size : size - 1))});
  auto term = [&](double factor, double multiple) {
    Var scaled = node.apply("mul", {angle, node.like(angle, multiple)});
    return node.apply("mul", {node.apply("cos", {scaled}), node.like(angle, factor)});
  };
  Var value = node.apply("add", {term(-a1, 1), node.like(angle, a0)});
  if (a2 != 0) value = node.apply("add", {value, term(a2, 2)});
  node.set(0, node.cast(value, type));
}

void convert_hann_window(Node& node) { window(node, 0.5, 0.5, 0); }
void convert_hamming_window(Node& node) { window(node, 25.0 / 46, 21.0 / 46, 0); }
void convert_blackman_window(Node& node) { window(node, 0.42, 0.5, 0.08); }

}  // namespace

void add_source_converters(ConverterTable& table) {
  table.add("Constant", 1, convert_constant);
  table.add("Identity", 1, convert_identity);
  table.add("Range", 11, convert_range);
  table.add("EyeLike", 9, convert_eye_like);
  table.add("OneHot", 9, convert_one_hot);
  table.add("HannWindow", 17, convert_hann_window);
  table.add("HammingWindow", 17, convert_hamming_window);
  table.add("BlackmanWindow", 17, convert_blackman_window);
}

}  // namespace weir::onnx_format
