// Resize and Upsample: one resize for each axis whose size changes.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "compiler/frontend/onnx/converters.h"

namespace weir::onnx_format {
namespace {

using Integers = std::vector<std::int64_t>;

// One axis of the result.
struct Target {
  Dim size;
  double scale = 0;  // 0 for the ratio of the sizes
};

// floor(size * scale), where it follows from the size.
Dim scaled(const Dim& size, double scale) {
  if (!(scale > 0) || !std::isfinite(scale))
    throw Error(fmt::format("a scale is {}; it must be a positive number", scale));
  if (size.is_constant()) {
    double product = std::floor(static_cast<double>(size.value()) * scale);
    constexpr double kMost = 1 << 30;
    if (product > kMost)
      throw Error(
          fmt::format("a scale of {} makes {} elements of {}", scale, product, size.to_string()));
    return static_cast<std::int64_t>(product);
  }
  if (scale == std::floor(scale) && scale < 65536)
    return size * Dim(static_cast<std::int64_t>(scale));
  double inverse = std::round(1 / scale);
  if (1 / inverse == scale)
    if (std::optional<Dim> part = size.divided_by(Dim(static_cast<std::int64_t>(inverse))))
      return *part;
  throw Unsupported(fmt::format("it scales an axis of {} by {}; declare the size as a number",
                                size.to_string(), scale));
}

// The axes that scales and sizes are given for; all if there is no list.
std::vector<std::size_t> axes_of(Node& node) {
  std::vector<std::size_t> axes;
  if (std::optional<Integers> given = node.integers("axes")) {
    for (std::int64_t axis : *given)
      axes.push_back(static_cast<std::size_t>(node.axis(axis, node.rank(0))));
  } else {
    for (std::size_t i = 0; i < node.shape(0).size(); ++i) axes.push_back(i);
  }
  return axes;
}

void check_count(std::size_t count, std::size_t axes, std::string_view what) {
  if (count != axes) throw Error(fmt::format("it has {} {} for {} axes", count, what, axes));
}

std::vector<Target> by_scales(Node& node, std::span<const double> scales,
                              const std::vector<std::size_t>& axes) {
  check_count(scales.size(), axes.size(), "scales");
  std::vector<Target> targets;
  for (const Dim& size : node.shape(0)) targets.push_back({size});
  for (std::size_t k = 0; k < axes.size(); ++k)
    if (scales[k] != 1) targets[axes[k]] = {scaled(node.shape(0)[axes[k]], scales[k]), scales[k]};
  return targets;
}

// Sizes, as they are or as bounds of a common scale.
std::vector<Target> by_sizes(Node& node, const Shape& sizes, const std::vector<std::size_t>& axes) {
  check_count(sizes.size(), axes.size(), "sizes");
  std::vector<Target> targets;
  for (const Dim& size : node.shape(0)) targets.push_back({size});
  std::string policy = node.text("keep_aspect_ratio_policy", "stretch");
  if (policy == "stretch") {
    for (std::size_t k = 0; k < axes.size(); ++k) targets[axes[k]].size = sizes[k];
    return targets;
  }
  if (policy != "not_larger" && policy != "not_smaller")
    throw Error(
        fmt::format("keep_aspect_ratio_policy is {}; it must be stretch, not_larger or "
                    "not_smaller",
                    policy));
  std::optional<double> common;
  for (std::size_t k = 0; k < axes.size(); ++k) {
    const Dim& from = node.shape(0)[axes[k]];
    if (!from.is_constant() || !sizes[k].is_constant() || from == Dim(0))
      throw Unsupported("it keeps the aspect ratio of an axis whose size is not known");
    double scale = static_cast<double>(sizes[k].value()) / static_cast<double>(from.value());
    if (!common) common = scale;
    common = policy == "not_larger" ? std::min(*common, scale) : std::max(*common, scale);
  }
  for (std::size_t axis : axes) {
    double size = std::round(static_cast<double>(node.shape(0)[axis].value()) * *common);
    targets[axis] = {static_cast<std::int64_t>(size), *common};
    if (targets[axis].size != scaled(node.shape(0)[axis], *common))
      throw Unsupported(fmt::format("it keeps the aspect ratio with {} elements rounded up to {}",
                                    static_cast<double>(node.shape(0)[axis].value()) * *common,
                                    size));
  }
  return targets;
}

std::vector<double> numbers(Node& node, std::size_t i, std::string_view what) {
  const Tensor& tensor = node.tensor(i, what);
  std::vector<double> result;
  for (std::int64_t k = 0; k < tensor.element_count(); ++k)
    result.push_back(scalar::to_double(tensor.dtype(), tensor.bits(k)));
  return result;
}

std::string mode_of(Node& node) {
  std::string mode = node.text("mode", "nearest");
  if (mode == "linear" || mode == "bilinear" || mode == "trilinear") return "linear";
  if (mode == "cubic") throw Unsupported("its mode is cubic; Weir resizes nearest and linear");
  if (mode != "nearest")
    throw Error(fmt::format("mode is {}; it must be nearest, linear or cubic", mode));
  return mode;
}

void set_resized(Node& node, const std::vector<Target>& targets, const std::string& mode,
                 const std::string& coordinates, const std::string& rounding) {
  Var x = node.input(0);
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const Target& target = targets[i];
    if (target.size == x.shape()[i] && target.scale == 0) continue;
    x = node.apply("resize", {x},
                   {{"axis", static_cast<std::int64_t>(i)},
                    {"size", Shape{target.size}},
                    {"mode", mode},
                    {"coordinates", coordinates},
                    {"rounding", rounding},
                    {"scale", target.scale}});
  }
  node.set(0, x);
}

void convert_upsample(Node& node) {
  std::vector<double> scales;
  if (node.opset() < 9) {
    node.check_inputs(1, 1);
    scales = node.reals("scales").value_or(std::vector<double>{});
  } else {
    node.check_inputs(2, 2);
    scales = numbers(node, 1, "list of scales");
  }
  set_resized(node, by_scales(node, scales, axes_of(node)), mode_of(node), "asymmetric", "floor");
}

// Of opset 10, which knows scales and one formula.
void convert_first_resize(Node& node) {
  node.check_inputs(2, 2);
  set_resized(node, by_scales(node, numbers(node, 1, "list of scales"), axes_of(node)),
              mode_of(node), "asymmetric", "floor");
}

void convert_resize(Node& node) {
  node.check_inputs(1, 4);
  std::string mode = mode_of(node);
  std::string coordinates = node.text("coordinate_transformation_mode", "half_pixel");
  if (coordinates == "tf_crop_and_resize")
    throw Unsupported("it resizes a part of its input (tf_crop_and_resize)");
  if (node.flag("antialias", false))
    throw Unsupported("it smooths what it makes smaller (antialias)");
  node.ignore("cubic_coeff_a");
  node.ignore("exclude_outside");
  node.ignore("extrapolation_value");
  std::string rounding = node.text("nearest_mode", "round_prefer_floor");
  std::vector<std::size_t> axes = axes_of(node);
  bool has_sizes = node.has_input(3) && node.shape(3) != Shape{0};
  std::vector<Target> targets = has_sizes
                                    ? by_sizes(node, node.dims(3, "list of sizes"), axes)
                                    : by_scales(node, numbers(node, 2, "list of scales"), axes);
  node.ignore("keep_aspect_ratio_policy");
  set_resized(node, targets, mode, coordinates, rounding);
}

}  // namespace

void add_resize_converters(ConverterTable& table) {
  table.add_until("Upsample", 9, convert_upsample);
  table.converters.push_back({"Resize", 10, 10, convert_first_resize});
  table.add("Resize", 11, convert_resize);
}

}  // namespace weir::onnx_format
