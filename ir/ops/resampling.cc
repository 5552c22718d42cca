#include "ir/ops/resampling.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

namespace weir::ops {
namespace {

void check_one_of(const OpInstance& instance, std::string_view name,
                  std::initializer_list<std::string_view> choices) {
  const std::string& value = instance.attributes.text(name);
  if (std::find(choices.begin(), choices.end(), value) != choices.end()) return;
  std::string listed;
  for (std::string_view choice : choices) {
    listed += listed.empty() ? "" : ", ";
    listed += choice;
  }
  throw Error(fmt::format("{} is \"{}\"; it must be one of {}", name, value, listed));
}

// Whether `to` is what is whole of `from` times the scale, or that rounded.
bool fits_scale(const Dim& from, const Dim& to, double scale) {
  if (from.is_constant() && to.is_constant()) {
    auto size = static_cast<double>(to.value());
    return whole_of(from, scale) == size ||
           std::floor(static_cast<double>(from.value()) * scale + 0.5) == size;
  }
  scale = static_cast<float>(scale);
  constexpr double kMost = 65536;
  auto is_whole = [](double factor) {
    return factor == std::floor(factor) && factor >= 1 && factor < kMost;
  };
  if (is_whole(scale)) return from * Dim(static_cast<std::int64_t>(scale)) == to;
  double inverse = 1 / scale;
  return is_whole(inverse) && floor_quotient(from, static_cast<std::int64_t>(inverse)) == to;
}

std::vector<TensorType> infer_resize(const OpInstance& instance, bool forward) {
  Resampling sampling = resampling_of(instance, forward);
  TensorType result = instance.operand(0);
  result.shape[sampling.axis] = instance.attributes.dims("size")[0];
  return {std::move(result)};
}

// Keys' cubic at a distance of at most 1, and of 1 to 2.
Expr near_weight(Expr d, double a) { return ((a + 2) * d - (a + 3)) * d * d + 1.0; }
Expr far_weight(Expr d, double a) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; }

}  // namespace

std::optional<Dim> Resampling::repetitions() const {
  if (weighs() || from == Dim(0)) return std::nullopt;
  bool floors =
      (coordinates == "asymmetric" || coordinates == "tf_half_pixel_for_nn") && rounding == "floor";
  bool rounds = (coordinates == "half_pixel" || coordinates == "half_pixel_symmetric") &&
                rounding.starts_with("round");
  if (!floors && !rounds) return std::nullopt;
  std::optional<Dim> times = to.divided_by(from);
  if (!times || !times->is_constant() || times->value() < 1) return std::nullopt;
  if (scale != 0 && scale != static_cast<double>(times->value())) return std::nullopt;
  return times;
}

double whole_of(const Dim& from, double scale) {
  return std::floor(static_cast<double>(from.value()) * static_cast<float>(scale));
}

Resampling resampling_of(const OpInstance& instance, bool forward) {
  const TensorType& operand = instance.operand(0);
  if (operand.rank() == 0) throw Error("a scalar has no axis to resize");
  check_one_of(instance, "mode", {"nearest", "linear", "cubic"});
  if (!is_float(operand.dtype) && instance.attributes.text("mode") != "nearest")
    throw Error(
        fmt::format("mode is \"{}\", and x is {}: weighted sums take a floating-point type, and "
                    "only mode = \"nearest\" takes any",
                    instance.attributes.text("mode"), to_string(operand)));
  check_one_of(instance, "coordinates",
               {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
                "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"});
  check_one_of(instance, "rounding", {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"});
  const Shape& size = instance.attributes.dims("size");
  if (size.size() != 1 || (size[0].is_constant() && size[0].value() < 0))
    throw Error(fmt::format("size is {}; it must be one size, that of the axis", to_string(size)));
  double scale = instance.attributes.real("scale");
  if (!std::isfinite(scale) || scale < 0)
    throw Error(
        fmt::format("scale is {}; it must be a positive number, or 0 for the ratio of the "
                    "sizes",
                    scale));
  for (const char* number : {"crop_start", "crop_end", "extrapolation", "cubic_coefficient"})
    check_finite(instance, number);
  auto axis = static_cast<std::size_t>(instance.axis(operand.rank()));
  const Attributes& attributes = instance.attributes;
  Dim here = operand.shape[axis];
  Resampling result{axis,
                    forward ? here : size[0],
                    forward ? size[0] : here,
                    scale,
                    attributes.text("mode") == "linear",
                    attributes.text("mode") == "cubic",
                    attributes.text("coordinates"),
                    attributes.text("rounding"),
                    attributes.real("crop_start"),
                    attributes.real("crop_end"),
                    attributes.real("extrapolation"),
                    attributes.real("cubic_coefficient"),
                    attributes.boolean("exclude_outside")};
  if (scale != 0 && !fits_scale(result.from, result.to, scale))
    throw Error(fmt::format("the scale {} does not make {} of {}", scale, result.to.to_string(),
                            result.from.to_string()));
  if (result.from == Dim(0) && result.to != Dim(0))
    throw Error(fmt::format("axis {} has no element to read; it cannot become {} long", axis,
                            result.to.to_string()));
  return result;
}

OpDef resampling(Text text, bool forward) {
  OpDef op = declare("movement", std::move(text));
  op.operands = {{forward ? "x" : "g", forward ? TypeSet::any : TypeSet::floats}};
  op = with_attribute(std::move(op), "axis", AttributeKind::integer,
                      "The axis; negative counts from the end.");
  op = with_attribute(std::move(op), "size", AttributeKind::dims,
                      forward ? "Its size in the result." : "Its size in x.");
  op = with_attribute(std::move(op), "mode", std::string("linear"), "nearest, linear or cubic.");
  op = with_attribute(std::move(op), "coordinates", std::string("half_pixel"),
                      "half_pixel, half_pixel_symmetric, pytorch_half_pixel, align_corners, "
                      "asymmetric, tf_half_pixel_for_nn or tf_crop_and_resize, as ONNX defines "
                      "them.");
  op = with_attribute(std::move(op), "rounding", std::string("round_prefer_floor"),
                      "Of mode nearest: round_prefer_floor, round_prefer_ceil, floor or ceil.");
  op = with_attribute(std::move(op), "scale", 0.0,
                      "Results for each element of x; 0 means the ratio of the sizes.");
  op = with_attribute(std::move(op), "cubic_coefficient", -0.75, "Of mode cubic: Keys' a.");
  op =
      with_attribute(std::move(op), "exclude_outside", false,
                     "Of mode cubic: elements beyond the ends take no part, and the weights of the "
                     "others are divided by their sum.");
  op = with_attribute(std::move(op), "crop_start", 0.0,
                      "Of tf_crop_and_resize: where the part begins, as a fraction of the axis.");
  op = with_attribute(std::move(op), "crop_end", 1.0, "And where it ends.");
  op = with_attribute(
      std::move(op), "extrapolation", 0.0,
      "Of tf_crop_and_resize: the result for places outside of x, as `cast` makes it of "
      "x's type.");
  op.infer = [forward](const OpInstance& instance) { return infer_resize(instance, forward); };
  return op;
}

Attributes for_size(const OpInstance& instance) {
  Attributes attributes = instance.attributes;
  auto axis = static_cast<std::size_t>(instance.axis(instance.operand(0).rank()));
  attributes.set("size", Shape{instance.operand(0).shape[axis]});
  return attributes;
}

// --- Elements ----------------------------------------------------------------

Expr Places::place(Expr o) const {
  Expr at = cast(o, DType::f64);
  const std::string& kind = sampling.coordinates;
  if (kind == "asymmetric") return at / scale();
  if (kind == "tf_half_pixel_for_nn") return (at + 0.5) / scale();
  if (kind == "tf_crop_and_resize") {
    Expr last = real(sampling.from) - 1.0;
    Expr middle = last * ((sampling.start + sampling.end) / 2);
    Expr spread = last * (sampling.end - sampling.start);
    return select(element.size(sampling.to) == 1, middle,
                  at * spread / (length() - 1.0) + last * sampling.start);
  }
  if (kind == "align_corners")
    return select(element.size(sampling.to) == 1, 0.0,
                  at * (real(sampling.from) - 1.0) / (length() - 1.0));
  Expr half_pixel = (at + 0.5) / scale() - 0.5;
  if (kind == "pytorch_half_pixel") return select(element.size(sampling.to) > 1, half_pixel, 0.0);
  if (kind == "half_pixel_symmetric") {
    Expr adjustment = real(sampling.to) / (scale() * real(sampling.from));
    return real(sampling.from) / 2.0 * (1.0 - adjustment) + half_pixel;
  }
  return half_pixel;
}

Expr Places::nearest(Expr at) const {
  Expr rounded = sampling.rounding == "floor"                ? floor(at)
                 : sampling.rounding == "ceil"               ? ceil(at)
                 : sampling.rounding == "round_prefer_floor" ? ceil(at - 0.5)
                                                             : floor(at + 0.5);
  return within(cast(rounded, DType::i64));
}

std::vector<WeighedElement> weighed_elements(const Places& places, Expr at, DType type) {
  const Resampling& sampling = places.sampling;
  Expr below = floor(at), first = cast(below, DType::i64);
  Expr t = cast(at - below, type);
  if (sampling.linear) return {{places.within(first), 1.0 - t}, {places.within(first + 1), t}};
  double a = sampling.coefficient;
  std::array<Expr, 4> weights{far_weight(t + 1.0, a), near_weight(t, a), near_weight(1.0 - t, a),
                              far_weight(2.0 - t, a)};
  // At an element the polynomials of the others are 0 up to rounding.
  for (std::size_t k : {0, 2, 3}) weights[k] = select(t == 0.0, 0.0, weights[k]);
  std::vector<WeighedElement> taps;
  Expr total;
  for (int k = 0; k < 4; ++k) {
    Expr index = first + (k - 1), within = places.within(index);
    Expr weight = weights[static_cast<std::size_t>(k)];
    if (sampling.exclude_outside) {
      weight = select(index == within, weight, 0.0);
      total = total.valid() ? total + weight : weight;
    }
    taps.push_back({within, weight});
  }
  if (total.valid())
    for (WeighedElement& tap : taps) tap.weight = tap.weight / total;
  return taps;
}

Expr sum_of_terms(const std::vector<WeighedElement>& taps,
                  const std::function<Expr(const WeighedElement&)>& term) {
  Expr sum;
  for (const WeighedElement& tap : taps) {
    Expr value = term(tap);
    sum = sum.valid() ? sum + value : value;
  }
  return sum;
}

}  // namespace weir::ops
