// Resampling along one axis: resize reads the nearest element, or the two or four around a place,
// and resize_gradient brings a gradient back to where it was read. A tensor is resized axis by
// axis.
//
// Element o of the result stands at place c(o) of x, an affine function that the formula of
// `coordinates` gives in f64. What is read beyond an end is the last element there. An element of x
// is read for a run of results: those whose places are less than 1 away, or 2 for cubic, and behind
// an end all up to it.

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "ir/ops/helpers.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;

using Integers = std::vector<std::int64_t>;

constexpr std::int64_t kResizeChunk = 1024;

// How an axis of `from` elements is resized to one of `to`.
struct Resampling {
  std::size_t axis;
  Dim from, to;
  double scale;  // 0 for to / from
  bool linear, cubic;
  std::string coordinates, rounding;
  double start, end;  // of the part that coordinates "tf_crop_and_resize" take, of the whole axis
  double outside;     // the result for places outside of x, with these coordinates
  double coefficient;
  bool exclude_outside;

  bool crops() const { return coordinates == "tf_crop_and_resize"; }
  bool weighs() const { return linear || cubic; }

  // Whether x may turn out to have no element along the axis where the result has some.
  bool may_read_nothing() const {
    return scale == 0 && !never_negative(from - Dim(1)) && !to.divided_by(from);
  }
  // The whole number of results for each element, if each element is simply repeated.
  std::optional<Dim> repetitions() const;
};

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

// What is whole of so many elements times the scale, as an f32.
double whole_of(const Dim& from, double scale) {
  return std::floor(static_cast<double>(from.value()) * static_cast<float>(scale));
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

// `forward`: the operand is x, and `size` that of the result. Otherwise the operand is the gradient
// of the result, and `size` that of x.
Resampling resampling_of(const OpInstance& instance, bool forward) {
  const TensorType& operand = instance.operand(0);
  if (operand.rank() == 0) throw Error("a scalar has no axis to resize");
  check_one_of(instance, "mode", {"nearest", "linear", "cubic"});
  check_one_of(instance, "coordinates",
               {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
                "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"});
  check_one_of(instance, "rounding", {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"});
  const Shape& size = instance.attributes.dims("size");
  if (size.size() != 1 || !never_negative(size[0]))
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

std::vector<TensorType> infer_resize(const OpInstance& instance, bool forward) {
  Resampling sampling = resampling_of(instance, forward);
  TensorType result = instance.operand(0);
  result.shape[sampling.axis] = instance.attributes.dims("size")[0];
  return {std::move(result)};
}

// The sizes of an axis and what follows from them, as f64.
struct Places {
  const Element& element;
  const Resampling& sampling;

  Expr real(double value) const {
    return {element.arena, element.arena.constant(DType::f64, value)};
  }
  Expr real(const Dim& dim) const { return cast(element.size(dim), DType::f64); }
  Expr scale() const {
    return sampling.scale != 0 ? real(sampling.scale) : real(sampling.to) / real(sampling.from);
  }
  // Results to the end of x: with a scale that is not the ratio of the sizes, no whole number.
  Expr length() const {
    return sampling.scale != 0 ? real(sampling.scale) * real(sampling.from) : real(sampling.to);
  }
  // The place of result `o`, an i64.
  Expr place(Expr o) const {
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
  // Places in a row are this far apart.
  Expr step() const {
    if (sampling.coordinates != "align_corners") return 1.0 / scale();
    return select(element.size(sampling.to) == 1, 1.0,
                  (real(sampling.from) - 1.0) / (length() - 1.0));
  }
  Expr within(Expr index) const { return max(min(index, element.size(sampling.from) - 1), 0); }
  // Whether a place is one of x; only where places outside have a value of their own.
  Expr is_inside(Expr at) const { return (at >= 0.0) & (at <= real(sampling.from) - 1.0); }
  // The element nearest to a place.
  Expr nearest(Expr at) const {
    Expr rounded = sampling.rounding == "floor"                ? floor(at)
                   : sampling.rounding == "ceil"               ? ceil(at)
                   : sampling.rounding == "round_prefer_floor" ? ceil(at - 0.5)
                                                               : floor(at + 0.5);
    return within(cast(rounded, DType::i64));
  }
};

// The elements that a result is the weighted sum of. An element with the weight 0 takes no part,
// whatever it is.
struct Tap {
  Expr index;  // within x
  Expr weight;
};

// Keys' cubic at a distance of at most 1, and of 1 to 2.
Expr near_weight(Expr d, double a) { return ((a + 2) * d - (a + 3)) * d * d + 1.0; }
Expr far_weight(Expr d, double a) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; }

// Of the place `at`, with weights of the type that elements are computed in.
std::vector<Tap> taps_of(const Places& places, Expr at, DType type) {
  const Resampling& sampling = places.sampling;
  Expr below = floor(at), first = cast(below, DType::i64);
  Expr t = cast(at - below, type);
  if (sampling.linear) return {{places.within(first), 1.0 - t}, {places.within(first + 1), t}};
  double a = sampling.coefficient;
  std::array<Expr, 4> weights{far_weight(t + 1.0, a), near_weight(t, a), near_weight(1.0 - t, a),
                              far_weight(2.0 - t, a)};
  // At an element the polynomials of the others are 0 up to rounding.
  for (std::size_t k : {0, 2, 3}) weights[k] = select(t == 0.0, 0.0, weights[k]);
  std::vector<Tap> taps;
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
    for (Tap& tap : taps) tap.weight = tap.weight / total;
  return taps;
}

// The sum of terms of which some are left out; +0 of none.
Expr sum_of_terms(const std::vector<Tap>& taps, const std::function<Expr(const Tap&)>& term) {
  Expr sum;
  for (const Tap& tap : taps) {
    Expr value = term(tap);
    sum = sum.valid() ? sum + value : value;
  }
  return sum;
}

Comprehension resize_comprehension(const OpInstance& instance) {
  Comprehension result;
  result.body = [sampling = resampling_of(instance, true)](const Element& element) {
    Places places{element, sampling};
    DType stored = element.instance.operand(0).dtype, type = compute_type(stored);
    std::vector<Expr> index(element.index.begin(), element.index.end());
    auto load = [&](Expr at) {
      index[sampling.axis] = at;
      if (!sampling.may_read_nothing()) return element.load(0, index);
      Expr zero(element.arena, element.arena.constant(stored, 0.0));
      return element.load_if(0, element.size(sampling.from) > 0, zero, index);
    };
    Expr at = places.place(element.index[sampling.axis]);
    Expr value;
    if (!sampling.weighs()) {
      value = load(places.nearest(at));
    } else if (sampling.linear) {
      std::vector<Tap> taps = taps_of(places, at, type);
      Expr a = cast(load(taps[0].index), type), b = cast(load(taps[1].index), type);
      value =
          cast(select(taps[1].weight == 0.0, a, taps[0].weight * a + taps[1].weight * b), stored);
    } else {
      value = cast(sum_of_terms(taps_of(places, at, type),
                                [&](const Tap& tap) {
                                  Expr x = cast(load(tap.index), type);
                                  return select(tap.weight == 0.0, 0.0, tap.weight * x);
                                }),
                   stored);
    }
    if (sampling.crops()) value = select(places.is_inside(at), value, sampling.outside);
    return std::vector<Expr>{value};
  };
  return result;
}

// How many results may read one element, at most.
Dim reach_of(const Resampling& sampling) {
  if (!sampling.from.is_constant() || !sampling.to.is_constant() || sampling.crops())
    return sampling.to;
  auto from = static_cast<double>(sampling.from.value()),
       to = static_cast<double>(sampling.to.value());
  double length = sampling.scale != 0 ? sampling.scale * from : to;
  double step = to <= 1                                   ? 1
                : sampling.coordinates == "align_corners" ? (from - 1) / (length - 1)
                : sampling.scale != 0                     ? 1 / sampling.scale
                                                          : from / to;
  double reach =
      std::floor((sampling.cubic ? 4 : 2) / step) + 6;  // infinite where nothing is between
  return reach < to ? Dim(static_cast<std::int64_t>(reach)) : sampling.to;
}

Comprehension resize_gradient_comprehension(const OpInstance& instance) {
  Resampling sampling = resampling_of(instance, false);
  DType type = accumulator_type(instance.operand(0).dtype);
  Dim reach = reach_of(sampling);
  Comprehension result;
  result.reduce_extents = {reach};
  result.reduction = sum(type, kResizeChunk);
  result.body = [=](const Element& element) {
    Places places{element, sampling};
    Expr i = element.index[sampling.axis];
    Expr o = element.reduce[0];
    if (reach != sampling.to) {
      Expr before =
          cast(i, DType::f64) - (sampling.cubic ? 2.0 : 1.0) - places.place(element.number(0));
      Expr first = cast(floor(before / places.step()), DType::i64) - 2;
      o = o + max(min(first, element.size(sampling.to - reach)), 0);
    }
    std::vector<Expr> index(element.index.begin(), element.index.end());
    index[sampling.axis] = o;
    Expr g = cast(element.load(0, index), type);
    Expr at = places.place(o);
    Expr value;
    if (sampling.weighs()) {
      value = sum_of_terms(taps_of(places, at, type), [&](const Tap& tap) {
        return select((tap.index == i) & (tap.weight != 0.0), tap.weight * g, 0.0);
      });
    } else {
      value = select(places.nearest(at) == i, g, 0.0);
    }
    if (sampling.crops()) value = select(places.is_inside(at), value, 0.0);
    return std::vector<Expr>{value};
  };
  return result;
}

// Each element repeated.
std::vector<Var> repeated(GraphBuilder& builder, Var x, const Resampling& sampling) {
  Shape apart = x.shape(), filled, joined = x.shape();
  auto behind = static_cast<std::ptrdiff_t>(sampling.axis) + 1;
  apart.insert(apart.begin() + behind, Dim(1));
  filled = apart;
  filled[sampling.axis + 1] = *sampling.repetitions();
  joined[sampling.axis] = sampling.to;
  return {
      reshape_to(builder, broadcast_to(builder, reshape_to(builder, x, apart), filled), joined)};
}

OpDef resampling(Text text, bool forward) {
  OpDef op = declare("movement", std::move(text));
  op.operands = {{forward ? "x" : "g", TypeSet::floats}};
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
  op = with_attribute(std::move(op), "extrapolation", 0.0,
                      "Of tf_crop_and_resize: the result for places outside of x.");
  op.infer = [forward](const OpInstance& instance) { return infer_resize(instance, forward); };
  return op;
}

// The attributes with the size of the other side.
Attributes for_size(const OpInstance& instance) {
  Attributes attributes = instance.attributes;
  auto axis = static_cast<std::size_t>(instance.axis(instance.operand(0).rank()));
  attributes.set("size", Shape{instance.operand(0).shape[axis]});
  return attributes;
}

std::vector<OnnxValue> resize_to_onnx(OnnxNodes& nodes, const OpInstance& instance,
                                      std::span<const OnnxValue> operands) {
  Resampling sampling = resampling_of(instance, true);
  // Opset 17 has no half_pixel_symmetric, which differs where the scale is not the ratio of the
  // sizes.
  std::string coordinates = sampling.coordinates;
  if (coordinates == "half_pixel_symmetric") {
    if (sampling.scale != 0) return {};
    coordinates = "half_pixel";
  }
  Shape shape = instance.operand(0).shape;
  // Runtimes know cubic ones of matrices alone, and of those behind a batch and channels.
  bool of_image = shape.size() == 2 || (shape.size() == 4 && sampling.axis >= 2);
  if ((sampling.cubic || sampling.crops()) && !of_image) return {};
  Attributes attributes{{"mode", instance.attributes.text("mode")},
                        {"coordinate_transformation_mode", coordinates},
                        {"nearest_mode", sampling.rounding},
                        {"cubic_coeff_a", sampling.coefficient},
                        {"exclude_outside", sampling.cubic && sampling.exclude_outside},
                        {"extrapolation_value", sampling.outside}};
  OnnxValue region;
  if (sampling.crops()) {
    auto rank = static_cast<std::int64_t>(shape.size());
    Tensor places(DType::f32, {2 * rank});
    std::span<float> values = places.mutable_elements<float>();
    std::fill(values.begin() + rank, values.end(), 1.0F);
    values[sampling.axis] = static_cast<float>(sampling.start);
    values[shape.size() + sampling.axis] = static_cast<float>(sampling.end);
    region = nodes.constant(places);
  }
  if (sampling.scale == 0) {
    shape[sampling.axis] = sampling.to;
    return {nodes.add("Resize", {operands[0], region, "", nodes.sizes(shape)}, attributes)};
  }
  if (sampling.from.is_constant() && sampling.to.is_constant() &&
      whole_of(sampling.from, sampling.scale) != static_cast<double>(sampling.to.value()))
    return {};
  Tensor scales(DType::f32, {static_cast<std::int64_t>(shape.size())});
  for (std::size_t i = 0; i < shape.size(); ++i)
    scales.mutable_elements<float>()[i] =
        i == sampling.axis ? static_cast<float>(sampling.scale) : 1.0F;
  return {nodes.add("Resize", {operands[0], region, nodes.constant(scales)}, attributes)};
}

// As a matrix of rows along the axis.
std::vector<Var> resized_by_rows(GraphBuilder& builder, std::span<const Var> operands,
                                 const Attributes& attributes) {
  Var x = operands[0];
  std::vector<TensorType> types{x.type()};
  Resampling sampling = resampling_of({&get_op("resize"), types, attributes}, true);
  if (x.type().rank() == 2) throw Error("it has no form in ONNX");
  Integers order, back;
  Shape rows{1};
  for (std::size_t i = 0; i < x.shape().size(); ++i)
    if (i != sampling.axis) order.push_back(static_cast<std::int64_t>(i));
  order.push_back(static_cast<std::int64_t>(sampling.axis));
  back.resize(order.size());
  for (std::size_t i = 0; i < order.size(); ++i)
    back[static_cast<std::size_t>(order[i])] = static_cast<std::int64_t>(i);
  Var moved = builder.apply("transpose", {x}, {{"permutation", order}});
  Shape result = moved.shape();
  for (std::size_t i = 0; i + 1 < result.size(); ++i) rows[0] = rows[0] * result[i];
  rows.push_back(sampling.from);
  result.back() = sampling.to;
  Attributes by_rows = attributes;
  by_rows.set("axis", std::int64_t{1});
  Var y = builder.apply("resize", {reshape_to(builder, moved, rows)}, std::move(by_rows));
  return {builder.apply("transpose", {reshape_to(builder, y, result)}, {{"permutation", back}})};
}

OpDef resize_op() {
  OpDef op = resampling(
      {"resize",
       "Another number of elements along an axis, nearest ones or weighted sums of two or four.",
       "The place c of a result in x follows from its index by the formula of `coordinates`, "
       "in f64. nearest takes the element at c, rounded as `rounding` says; linear takes (1 - "
       "t) * x[i] + t * x[i + 1] with i = floor(c) and t = c - i; cubic weighs the two "
       "elements on each side by Keys' polynomials. Beyond an end is the last element there, "
       "and one whose weight is 0 takes no part. Of an axis that turns out to have no element "
       "the results are those of zeros. The gradient is resize_gradient.",
       {"Resize"}},
      true);
  op.comprehension = resize_comprehension;
  op.composite = [](GraphBuilder& builder, std::span<const Var> operands,
                    const Attributes& attributes) {
    std::vector<TensorType> types{operands[0].type()};
    return repeated(builder, operands[0],
                    resampling_of({&get_op("resize"), types, attributes}, true));
  };
  op.is_composite = [](const OpInstance& instance) {
    return resampling_of(instance, true).repetitions().has_value();
  };
  op.to_onnx = resize_to_onnx;
  op.onnx_body = resized_by_rows;
  return with_gradient(std::move(op), [](const GradientContext& context) -> std::vector<Var> {
    Resampling sampling = resampling_of(context.instance, true);
    Var g = context.cotangents[0];
    std::optional<Dim> times = sampling.repetitions();
    if (!times) return {context.builder.apply("resize_gradient", {g}, for_size(context.instance))};
    Shape apart = g.shape();
    apart[sampling.axis] = sampling.from;
    apart.insert(apart.begin() + static_cast<std::ptrdiff_t>(sampling.axis) + 1, *times);
    return {
        context.builder.apply("reduce_sum", {reshape_to(context.builder, g, apart)},
                              {{"axes", Integers{static_cast<std::int64_t>(sampling.axis) + 1}}})};
  });
}

// The weights are what resize makes of the unit matrix.
std::vector<Var> gradient_by_weights(GraphBuilder& builder, std::span<const Var> operands,
                                     const Attributes& attributes) {
  Var g = operands[0];
  std::vector<TensorType> types{g.type()};
  Resampling sampling = resampling_of({&get_op("resize_gradient"), types, attributes}, false);
  auto count = [&](std::int64_t axis) {
    return builder.apply("iota", {},
                         {{"shape", Shape{sampling.from, sampling.from}}, {"axis", axis}});
  };
  Var unit =
      builder.apply("cast", {builder.apply("equal", {count(0), count(1)})}, {{"dtype", g.dtype()}});
  Attributes forward = attributes;
  forward.set("axis", std::int64_t{1});
  forward.set("size", Shape{sampling.to});
  forward.set("extrapolation", 0.0);
  Var weights = builder.apply("resize", {unit}, std::move(forward));
  // The axis goes behind the others.
  std::size_t rank = g.shape().size();
  Integers permutation, inverse(rank);
  for (std::size_t i = 0; i < rank; ++i)
    if (i != sampling.axis) permutation.push_back(static_cast<std::int64_t>(i));
  permutation.push_back(static_cast<std::int64_t>(sampling.axis));
  for (std::size_t i = 0; i < rank; ++i)
    inverse[static_cast<std::size_t>(permutation[i])] = static_cast<std::int64_t>(i);
  Var rows = builder.apply("transpose", {g}, {{"permutation", permutation}});
  Shape spread = rows.shape();
  spread.insert(spread.end() - 1, Dim(1));
  Var terms = builder.apply("mul", {reshape_to(builder, rows, spread), weights});
  Var zero = builder.scalar(g.dtype(), 0);
  terms = builder.apply("select", {builder.apply("equal", {weights, zero}), zero, terms});
  Var sum = builder.apply("reduce_sum", {terms}, {{"axes", Integers{-1}}});
  return {builder.apply("transpose", {sum}, {{"permutation", inverse}})};
}

OpDef resize_gradient_op() {
  OpDef op = resampling(
      {"resize_gradient",
       "The gradient of resize: each element of g goes back to where it was read.",
       "g is the gradient of a resize with the same attributes, and `size` the axis of its x. "
       "An element is the sum of the results that read it, in ascending order, times the "
       "weights that it had; a place outside of x has none. The gradient is resize.",
       OnnxOp::none()},
      false);
  op.comprehension = resize_gradient_comprehension;
  op.onnx_body = gradient_by_weights;
  return with_gradient(std::move(op), [](const GradientContext& context) -> std::vector<Var> {
    Attributes attributes = for_size(context.instance);
    attributes.set("extrapolation", 0.0);
    return {context.builder.apply("resize", {context.cotangents[0]}, std::move(attributes))};
  });
}

}  // namespace

void add_resize_ops(OpTable& table) {
  table.add(resize_op());
  table.add(resize_gradient_op());
}

}  // namespace weir
