// The same elements in another shape: Reshape, Flatten.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/frontend/onnx/converters.h"

namespace weir::onnx_format {
namespace {

void set_reshaped(Node& node, Shape shape) {
  if (node.shape(0) == shape) {
    node.pass(0, 0);
  } else {
    node.set(0, node.apply("reshape", {node.input(0)}, {{"shape", std::move(shape)}}));
  }
}

// The dimension that -1 stands for: what is left of the elements.
Dim remaining(const Shape& from, const Shape& rest) {
  std::optional<Dim> quotient = element_count(from).divided_by(element_count(rest));
  if (!quotient)
    throw Error(fmt::format("{} elements do not divide by {}, so -1 stands for no size",
                            element_count(from).to_string(), element_count(rest).to_string()));
  return *quotient;
}

void convert_reshape(Node& node) {
  node.check_inputs(2, 2);
  bool allow_zero = node.opset() >= 14 && node.flag("allowzero", false);
  const Shape& from = node.shape(0);
  std::vector<std::int64_t> wanted = node.integers(1, "shape");
  Shape shape, rest;
  std::optional<std::size_t> open;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] == -1) {
      if (open) throw Error(fmt::format("the shape [{}] has -1 twice", fmt::join(wanted, ", ")));
      open = i;
      shape.emplace_back(1);
      continue;
    }
    if (wanted[i] < -1)
      throw Error(fmt::format("the shape [{}] has a negative size", fmt::join(wanted, ", ")));
    if (wanted[i] == 0 && !allow_zero) {
      if (i >= from.size())
        throw Error(fmt::format("the shape [{}] keeps dimension {}, which {} has not",
                                fmt::join(wanted, ", "), i, to_string(node.type(0))));
      shape.push_back(from[i]);
    } else {
      shape.emplace_back(wanted[i]);
    }
    rest.push_back(shape.back());
  }
  if (open) shape[*open] = remaining(from, rest);
  set_reshaped(node, std::move(shape));
}

void convert_flatten(Node& node) {
  node.check_inputs(1, 1);
  std::int64_t axis = node.integer("axis", 1), rank = node.rank(0);
  if (axis < 0 && node.opset() >= 11) axis += rank;
  if (axis < 0 || axis > rank)
    throw Error(fmt::format("the axis {} is not one of 0 to {}", node.integer("axis", 1), rank));
  const Shape& from = node.shape(0);
  auto middle = from.begin() + axis;
  set_reshaped(
      node, {element_count(Shape(from.begin(), middle)), element_count(Shape(middle, from.end()))});
}

}  // namespace

void add_shape_converters(std::vector<Converter>& table) {
  table.push_back({"Reshape", 5, kAnyOpset, convert_reshape});
  table.push_back({"Flatten", 1, kAnyOpset, convert_flatten});
}

}  // namespace weir::onnx_format
