// Softmax, LogSoftmax and Hardmax. Before opset 13 they see their operand as a matrix: the axes
// before `axis` are rows, the others columns, and a row is normalized as a whole.
#include <fmt/format.h>

#include "compiler/frontend/onnx/converters.h"

namespace weir::onnx_format {
namespace {

// `x` as a matrix, and what its axis is then.
Var as_matrix(Node& node, Var x) {
  int rank = x.type().rank();
  std::int64_t axis = node.integer("axis", 1);
  if (axis < 0) axis += rank;  // only from opset 11 on, and written before
  if (axis < 0 || axis > rank)
    throw Error(fmt::format("the axis {} is not one of 0 to {}", axis, rank));
  const Shape& shape = x.shape();
  auto middle = shape.begin() + axis;
  return node.reshaped(
      x, {element_count(Shape(shape.begin(), middle)), element_count(Shape(middle, shape.end()))});
}

template <const char* op>
void convert_on_rows(Node& node) {
  node.check_inputs(1, 1);
  Var x = node.input(0);
  Var y = node.apply(op, {as_matrix(node, x)}, {{"axis", std::int64_t{-1}}});
  node.set(0, node.reshaped(y, x.shape()));
}

constexpr char kSoftmax[] = "softmax", kLogSoftmax[] = "log_softmax";

// 1 at the first of the largest elements along an axis, and 0 elsewhere.
Var hardmax(Node& node, Var x, std::int64_t axis) {
  auto reduced = [&](std::string_view op, Var value) {
    return node.apply(op, {value}, {{"axes", std::vector{axis}}, {"keep_dims", true}});
  };
  Var largest = node.apply("equal", {x, reduced("reduce_max", x)});
  Var index = node.apply("iota", {}, {{"shape", x.shape()}, {"axis", axis}});
  Var beyond =
      node.apply("size_of", {}, {{"dims", Shape{x.shape()[static_cast<std::size_t>(axis)]}}});
  Var first = reduced("reduce_min", node.apply("select", {largest, index, beyond}));
  return node.cast(node.apply("equal", {index, first}), x.dtype());
}

void convert_hardmax(Node& node) {
  node.check_inputs(1, 1);
  Var x = node.input(0);
  node.set(0, hardmax(node, x, node.axis_attribute(x.type().rank(), -1)));
}

void convert_hardmax_on_rows(Node& node) {
  node.check_inputs(1, 1);
  Var x = node.input(0);
  node.set(0, node.reshaped(hardmax(node, as_matrix(node, x), 1), x.shape()));
}

}  // namespace

void add_softmax_converters(ConverterTable& table) {
  table.add_until("Softmax", 12, convert_on_rows<kSoftmax>);
  table.add_until("LogSoftmax", 12, convert_on_rows<kLogSoftmax>);
  table.add_until("Hardmax", 12, convert_hardmax_on_rows);
  table.add("Hardmax", 13, convert_hardmax);
}

}  // namespace weir::onnx_format
