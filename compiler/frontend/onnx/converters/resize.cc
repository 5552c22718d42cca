// Resize and Upsample: one resize for each axis whose size changes.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "compiler/frontend/onnx/converters.h"

namespace weir::onnx_format {
namespace {

using Integers = std::vector<std::int64_t>;

constexpr double kMostElements = 1 << 30;

// One axis of the result.
struct Target {
  Dim size;
  double scale = 0;  // 0 for the ratio of the sizes
};

// floor(size * scale), where it follows from the size. The product is one of f32, as ONNX's own
// inference of shapes has it: 10 elements by 0.7 are 7.
Dim scaled(const Dim& size, double scale) {
  if (!(scale > 0) || !std::isfinite(scale))
    throw Error(fmt::format("a scale is {}; it must be a positive number", scale));
  if (size.is_constant()) {
    double product = std::floor(static_cast<float>(size.value()) * static_cast<float>(scale));
    if (product > kMostElements)
      throw Error(
          fmt::format("a scale of {} makes {} elements of {}", scale, product, size.to_string()));
    return static_cast<std::int64_t>(product);
  }
  if (scale == std::floor(scale) && scale < 65536)
    return size * Dim(static_cast<std::int64_t>(scale));
  double inverse = std::round(1 / scale);
  if (1 / inverse == scale && inverse < 65536)
    return floor_quotient(size, static_cast<std::int64_t>(inverse));
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
    // Half of an element is rounded up.
    const Dim& from = node.shape(0)[axis];
    double size = std::floor(static_cast<double>(from.value()) * *common + 0.5);
    if (size < 1 || size > kMostElements)
      throw Error(fmt::format("axis {} of {} becomes one of {}", axis, from.to_string(), size));
    targets[axis] = {static_cast<std::int64_t>(size), *common};
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
  if (mode != "nearest" && mode != "cubic")
    throw Error(fmt::format("mode is {}; it must be nearest, linear or cubic", mode));
  return mode;
}

// What is the same for every axis, and the part of x that is taken, for each: begins, then ends.
struct Style {
  Attributes attributes;
  std::vector<double> region;
  bool antialias = false;
  bool rounds_up_below_1 = false;  // the place of a result, where an axis is made smaller
};

bool never_smaller(const Dim& size, const Dim& than) {
  std::vector<Dim::Term> terms = (size - than).terms();
  return std::all_of(terms.begin(), terms.end(),
                     [](const Dim::Term& term) { return term.coefficient >= 0; });
}

// --- Smoothing what is made smaller (antialias) ------------------------------

// The place of result `o` along an axis of `from` elements, `scale` results for each of them.
double place_of(const std::string& coordinates, double o, double from, double to, double scale) {
  if (coordinates == "asymmetric") return o / scale;
  if (coordinates == "align_corners") return to == 1 ? 0 : o * (from - 1) / (scale * from - 1);
  double half_pixel = (o + 0.5) / scale - 0.5;
  if (coordinates == "half_pixel") return half_pixel;
  if (coordinates == "pytorch_half_pixel") return to == 1 ? 0 : half_pixel;
  if (coordinates == "half_pixel_symmetric")
    return from / 2 * (1 - to / (scale * from)) + half_pixel;
  throw Unsupported(fmt::format("it smooths with the coordinates {}", coordinates));
}

// The triangle, or Keys' cubic, at a distance in results.
double filter(double distance, bool cubic, double a) {
  double d = std::abs(distance);
  if (!cubic) return std::max(0.0, 1 - d);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

// A row of weights for each result: the filter, as wide as the elements of a result, over its sum.
Tensor smoothing_weights(const Target& target, std::int64_t from, const Attributes& style) {
  std::int64_t to = target.size.value();
  double scale =
      target.scale != 0 ? target.scale : static_cast<double>(to) / static_cast<double>(from);
  bool cubic = style.text("mode") == "cubic", excludes = style.boolean("exclude_outside");
  double a = style.real("cubic_coefficient"), reach = (cubic ? 2 : 1) / scale;
  Tensor weights(DType::f64, {to, from});
  for (std::int64_t o = 0; o < to; ++o) {
    std::span<double> row = weights.mutable_elements<double>().subspan(
        static_cast<std::size_t>(o * from), static_cast<std::size_t>(from));
    double place = place_of(style.text("coordinates"), static_cast<double>(o),
                            static_cast<double>(from), static_cast<double>(to), scale);
    double sum = 0;
    auto first = static_cast<std::int64_t>(std::floor(place - reach));
    for (std::int64_t i = first; static_cast<double>(i) <= place + reach; ++i) {
      bool is_inside = i >= 0 && i < from;
      if (excludes && !is_inside) continue;
      double weight = filter((static_cast<double>(i) - place) * scale, cubic, a);
      row[static_cast<std::size_t>(std::clamp(i, std::int64_t{0}, from - 1))] += weight;
      sum += weight;
    }
    for (double& weight : row) weight /= sum;
  }
  return weights;
}

Var smoothed(Node& node, Var x, std::size_t axis, const Target& target, const Attributes& style) {
  const Dim from = x.shape()[axis];
  constexpr double kMostWeights = 1 << 22;
  if (!from.is_constant() || !target.size.is_constant() || from == Dim(0) ||
      static_cast<double>(from.value()) * static_cast<double>(target.size.value()) > kMostWeights)
    throw Unsupported(
        fmt::format("it smooths an axis of {} elements to one of {}; these have to be numbers, and "
                    "not too large",
                    from.to_string(), target.size.to_string()));
  Var weights =
      node.cast(node.builder().constant(smoothing_weights(target, from.value(), style)), x.dtype());
  Integers order, back(x.shape().size());
  for (std::size_t i = 0; i < x.shape().size(); ++i)
    if (i != axis) order.push_back(static_cast<std::int64_t>(i));
  order.push_back(static_cast<std::int64_t>(axis));
  for (std::size_t i = 0; i < order.size(); ++i)
    back[static_cast<std::size_t>(order[i])] = static_cast<std::int64_t>(i);
  Var rows = node.apply("transpose", {x}, {{"permutation", order}});
  Shape result = rows.shape();
  result.back() = target.size;
  Dim count = 1;
  for (std::size_t i = 0; i + 1 < result.size(); ++i) count = count * result[i];
  Var y =
      node.apply("matmul", {node.reshaped(rows, {count, from}), weights}, {{"transpose_b", true}});
  return node.apply("transpose", {node.reshaped(y, std::move(result))}, {{"permutation", back}});
}

// Whether elements of an axis whose size stays would not stay.
bool moves_what_it_keeps(const Attributes& style) {
  const std::string& rounding = style.text("rounding");
  return style.text("mode") == "nearest" && style.text("coordinates") == "tf_half_pixel_for_nn" &&
         (rounding == "ceil" || rounding == "round_prefer_ceil");
}

void set_resized(Node& node, const std::vector<Target>& targets, const Style& style) {
  Var x = node.input(0);
  if (const std::string& mode = style.attributes.text("mode");
      !is_float(x.dtype()) && mode != "nearest")
    throw Unsupported(fmt::format(
        "it takes weighted sums (mode {}) of {}; only nearest moves elements of any type", mode,
        name(x.dtype())));
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const Target& target = targets[i];
    Attributes attributes = style.attributes;
    attributes.set("axis", static_cast<std::int64_t>(i));
    attributes.set("size", Shape{target.size});
    attributes.set("scale", target.scale);
    if (style.rounds_up_below_1 && target.scale < 1)
      attributes.set("rounding", std::string("ceil"));
    bool whole = true;
    if (!style.region.empty()) {
      double start = style.region[i], end = style.region[targets.size() + i];
      whole = start == 0 && end == 1;
      attributes.set("crop_start", start);
      attributes.set("crop_end", end);
    }
    if (target.size == x.shape()[i] && target.scale == 0 && whole) continue;
    if (target.scale == 0 && moves_what_it_keeps(style.attributes) &&
        !(target.size - x.shape()[i]).is_constant())
      throw Unsupported(
          fmt::format("an axis of {} becomes one of {}; where these are equal the mode "
                      "tf_half_pixel_for_nn moves elements if it rounds up, and equal sizes stay",
                      x.shape()[i].to_string(), target.size.to_string()));
    if (style.antialias && !never_smaller(target.size, x.shape()[i])) {
      x = smoothed(node, x, i, target, style.attributes);
      continue;
    }
    x = node.apply("resize", {x}, std::move(attributes));
  }
  node.set(0, x);
}

Style early_style(Node& node) {
  return {{{"mode", mode_of(node)},
           {"coordinates", std::string("asymmetric")},
           {"rounding", std::string("floor")}},
          {}};
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
  set_resized(node, by_scales(node, scales, axes_of(node)), early_style(node));
}

// Of opset 10, which knows scales and one formula. Which element is the nearest it leaves open: its
// own cases have the next one where an axis is made smaller.
void convert_first_resize(Node& node) {
  node.check_inputs(2, 2);
  Style style = early_style(node);
  style.rounds_up_below_1 = true;
  set_resized(node, by_scales(node, numbers(node, 1, "list of scales"), axes_of(node)), style);
}

// Begins and ends for all axes; the given ones are those of `axes`.
std::vector<double> region_of(Node& node, const std::vector<std::size_t>& axes) {
  std::vector<double> given = numbers(node, 1, "region");
  check_count(given.size(), 2 * axes.size(), "numbers of a region");
  std::size_t rank = node.shape(0).size();
  std::vector<double> region(2 * rank, 0.0);
  std::fill(region.begin() + static_cast<std::ptrdiff_t>(rank), region.end(), 1.0);
  for (std::size_t k = 0; k < axes.size(); ++k) {
    region[axes[k]] = given[k];
    region[rank + axes[k]] = given[axes.size() + k];
  }
  return region;
}

void convert_resize(Node& node) {
  node.check_inputs(1, 4);
  std::string coordinates = node.text("coordinate_transformation_mode", "half_pixel");
  Style style{{{"mode", mode_of(node)},
               {"coordinates", coordinates},
               {"rounding", node.text("nearest_mode", "round_prefer_floor")},
               {"cubic_coefficient", node.real("cubic_coeff_a", -0.75)},
               {"exclude_outside", node.flag("exclude_outside", false)},
               {"extrapolation", node.real("extrapolation_value", 0.0)}},
              {}};
  std::vector<std::size_t> axes = axes_of(node);
  if (coordinates == "tf_crop_and_resize") style.region = region_of(node, axes);
  bool has_sizes = node.has_input(3) && node.shape(3) != Shape{0};
  std::vector<Target> targets = has_sizes
                                    ? by_sizes(node, node.dims(3, "list of sizes"), axes)
                                    : by_scales(node, numbers(node, 2, "list of scales"), axes);
  node.ignore("keep_aspect_ratio_policy");
  style.antialias = node.flag("antialias", false) && style.attributes.text("mode") != "nearest";
  set_resized(node, targets, style);
}

}  // namespace

void add_resize_converters(ConverterTable& table) {
  table.add_until("Upsample", 9, convert_upsample);
  table.converters.push_back({"Resize", 10, 10, convert_first_resize});
  table.add("Resize", 11, convert_resize);
}

}  // namespace weir::onnx_format
