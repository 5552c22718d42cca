// The same elements in another shape, repeated, and shapes as values.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/frontend/onnx/converters.h"
#include "ir/op.h"

namespace weir::onnx_format {
namespace {

void set_reshaped(Node& node, Shape shape) {
  if (node.shape(0) == shape) {
    node.pass(0, 0);
  } else {
    node.set(0, node.reshaped(node.input(0), std::move(shape)));
  }
}

// --- Reshape, Flatten --------------------------------------------------------

// The dimension that -1 stands for: what is left of the elements.
Dim remaining(const Shape& from, const Shape& rest) {
  // A dimension that both sides have takes no part, so that symbols that may be 0 divide out.
  Dim whole = element_count(from), part = element_count(rest);
  if (part == Dim(0)) throw Error("-1 stands for no size beside a size of 0");
  if (std::optional<Dim> quotient = whole.divided_by(part)) return *quotient;
  throw Error(fmt::format("{} elements do not divide by {}, so -1 stands for no size",
                          whole.to_string(), part.to_string()));
}

void convert_reshape(Node& node) {
  node.check_inputs(2, 2);
  bool allow_zero = node.opset() >= 14 && node.flag("allowzero", false);
  const Shape& from = node.shape(0);
  Shape wanted = node.dims(1, "shape");
  Shape shape, rest;
  std::optional<std::size_t> open;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    std::optional<std::int64_t> size = wanted[i].constant();
    if (size == -1) {
      if (open) throw Error(fmt::format("the shape {} has -1 twice", to_string(wanted)));
      open = i;
      shape.emplace_back(1);
      continue;
    }
    if (size && *size < -1)
      throw Error(fmt::format("the shape {} has a negative size", to_string(wanted)));
    if (size == 0 && !allow_zero) {
      if (i >= from.size())
        throw Error(fmt::format("the shape {} keeps dimension {}, which {} has not",
                                to_string(wanted), i, to_string(node.type(0))));
      shape.push_back(from[i]);
    } else {
      shape.push_back(wanted[i]);
    }
    rest.push_back(shape.back());
  }
  if (open) shape[*open] = remaining(from, rest);
  set_reshaped(node, std::move(shape));
}

void convert_flatten(Node& node) {
  node.check_inputs(1, 1);
  std::int64_t axis = node.integer("axis", 1), rank = node.rank(0);
  if (axis < 0) axis += rank;
  if (axis < 0 || axis > rank)
    throw Error(fmt::format("the axis {} is not one of 0 to {}", axis, rank));
  const Shape& from = node.shape(0);
  auto middle = from.begin() + axis;
  set_reshaped(
      node, {element_count(Shape(from.begin(), middle)), element_count(Shape(middle, from.end()))});
}

// --- Squeeze, Unsqueeze ------------------------------------------------------

// The axes: an attribute, and an input from opset 13 on. Nothing if they are left out.
std::optional<std::vector<std::int64_t>> given_axes(Node& node) {
  if (node.opset() < 13) return node.integers("axes");
  if (!node.has_input(1)) return std::nullopt;
  return node.integers(1, "list of axes");
}

std::vector<bool> marked(Node& node, const std::vector<std::int64_t>& axes, std::size_t rank) {
  std::vector<bool> result(rank, false);
  for (std::int64_t each : axes) {
    auto axis = static_cast<std::size_t>(node.axis(each, static_cast<int>(rank)));
    if (result[axis]) throw Error(fmt::format("the axis {} is given twice", axis));
    result[axis] = true;
  }
  return result;
}

void convert_squeeze(Node& node) {
  node.check_inputs(1, node.opset() < 13 ? 1 : 2);
  const Shape& from = node.shape(0);
  std::optional<std::vector<std::int64_t>> axes = given_axes(node);
  std::vector<bool> removed(from.size(), false);
  if (axes) removed = marked(node, *axes, from.size());
  Shape shape;
  for (std::size_t i = 0; i < from.size(); ++i) {
    bool is_one = from[i] == Dim(1);
    if (axes && removed[i] && !is_one)
      throw Error(fmt::format("axis {} of {} has not the size 1", i, to_string(node.type(0))));
    if (axes ? !removed[i] : !is_one) shape.push_back(from[i]);
  }
  set_reshaped(node, std::move(shape));
}

void convert_unsqueeze(Node& node) {
  node.check_inputs(node.opset() < 13 ? 1 : 2, node.opset() < 13 ? 1 : 2);
  std::optional<std::vector<std::int64_t>> axes = given_axes(node);
  if (!axes) throw Error("the attribute axes is missing");
  const Shape& from = node.shape(0);
  if (axes->size() + from.size() > kMaximumRank)
    throw Error(fmt::format("its result has more than {} dimensions", kMaximumRank));
  std::vector<bool> added = marked(node, *axes, from.size() + axes->size());
  Shape shape;
  auto next = from.begin();
  for (bool is_new : added) shape.push_back(is_new ? Dim(1) : *next++);
  set_reshaped(node, std::move(shape));
}

// --- Expand, Tile ------------------------------------------------------------

// Broadcasting goes both ways: a size of 1 in the shape keeps the operand's.
void convert_expand(Node& node) {
  node.check_inputs(2, 2);
  Shape shape = broadcast_shapes(node.shape(0), node.dims(1, "shape"));
  if (shape == node.shape(0)) return node.pass(0, 0);
  node.set(0, node.broadcast(node.input(0), std::move(shape)));
}

void convert_tile(Node& node) {
  node.check_inputs(2, 2);
  Shape repeats = node.dims(1, "number of repeats");
  if (repeats.size() != node.shape(0).size())
    throw Error(
        fmt::format("{} repeats are given for {}", repeats.size(), to_string(node.type(0))));
  for (const Dim& repeat : repeats)
    if (repeat.is_constant() && repeat.value() < 0)
      throw Error(fmt::format("a number of repeats is {}", repeat.value()));
  if (std::all_of(repeats.begin(), repeats.end(), [](const Dim& dim) { return dim == Dim(1); }))
    return node.pass(0, 0);
  node.set(0, node.apply("tile", {node.input(0)}, {{"repeats", std::move(repeats)}}));
}

// --- Shapes as values --------------------------------------------------------

// A place in the shape, from the end where negative, at its nearest end where beyond.
std::int64_t clamped(std::int64_t place, std::int64_t rank) {
  return std::clamp(place < 0 ? place + rank : place, std::int64_t{0}, rank);
}

void convert_shape(Node& node) {
  node.check_inputs(1, 1);
  const Shape& shape = node.shape(0);
  auto rank = static_cast<std::int64_t>(shape.size());
  std::int64_t start = 0, end = rank;
  if (node.opset() >= 15) {
    start = clamped(node.integer("start", 0), rank);
    end = std::max(start, clamped(node.integer("end", rank), rank));
  }
  node.set(0, known_list(Shape(shape.begin() + start, shape.begin() + end)));
}

void convert_size(Node& node) {
  node.check_inputs(1, 1);
  KnownTensor size{DType::i64, {}, {known_dim(DType::i64, element_count(node.shape(0)))}};
  node.set(0, std::move(size));
}

void convert_constant_of_shape(Node& node) {
  node.check_inputs(1, 1);
  Shape shape = node.dims(0, "shape");
  std::optional<Tensor> value = node.tensor_attribute("value");
  Tensor element = value ? std::move(*value) : Tensor(DType::f32, {});
  if (element.element_count() != 1)
    throw Error(fmt::format("its value is {}; it must be one element", to_string(element.type())));
  Var constant = node.reshaped(node.builder().constant(std::move(element)), {});
  node.set(0, node.broadcast(constant, std::move(shape)));
}

}  // namespace

void add_shape_converters(ConverterTable& table) {
  table.add("Reshape", 5, convert_reshape);
  table.add("Flatten", 1, convert_flatten);
  table.add("Squeeze", 1, convert_squeeze);
  table.add("Unsqueeze", 1, convert_unsqueeze);
  table.add("Expand", 8, convert_expand);
  table.add("Tile", 6, convert_tile);
  table.add("Shape", 1, convert_shape);
  table.add("Size", 1, convert_size);
  table.add("ConstantOfShape", 9, convert_constant_of_shape);
}

}  // namespace weir::onnx_format
