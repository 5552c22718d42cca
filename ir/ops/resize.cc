// Resampling along one axis: resize reads the nearest element, or the two around a place, and
// resize_gradient brings a gradient back to where it was read. A tensor is resized axis by axis.
//
// Element o of the result stands at place c(o) of x, an affine function that the formula of
// `coordinates` gives in f64. What is read beyond an end is the last element there. An element of x
// is read for a run of results: those whose places are less than 1 away, and behind an end all up
// to it.

#include <algorithm>
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
  bool linear;
  std::string coordinates, rounding;

  // The whole number of results for each element, if each element is simply repeated.
  std::optional<Dim> repetitions() const;
};

std::optional<Dim> Resampling::repetitions() const {
  if (linear || from == Dim(0)) return std::nullopt;
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

// Whether `to` is what is whole of `from` times the scale, as an f32.
bool fits_scale(const Dim& from, const Dim& to, double scale) {
  scale = static_cast<float>(scale);
  if (from.is_constant() && to.is_constant())
    return std::floor(static_cast<double>(from.value()) * scale) == static_cast<double>(to.value());
  constexpr double kMost = 65536;
  auto times = [&](const Dim& size, double factor, const Dim& other) {
    return factor == std::floor(factor) && factor < kMost &&
           size * Dim(static_cast<std::int64_t>(factor)) == other;
  };
  return times(from, scale, to) || times(to, 1 / scale, from);
}

// `forward`: the operand is x, and `size` that of the result. Otherwise the operand is the gradient
// of the result, and `size` that of x.
Resampling resampling_of(const OpInstance& instance, bool forward) {
  const TensorType& operand = instance.operand(0);
  if (operand.rank() == 0) throw Error("a scalar has no axis to resize");
  check_one_of(instance, "mode", {"nearest", "linear"});
  check_one_of(instance, "coordinates",
               {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
                "asymmetric", "tf_half_pixel_for_nn"});
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
  auto axis = static_cast<std::size_t>(instance.axis(operand.rank()));
  Dim here = operand.shape[axis];
  Resampling result{axis,
                    forward ? here : size[0],
                    forward ? size[0] : here,
                    scale,
                    instance.attributes.text("mode") == "linear",
                    instance.attributes.text("coordinates"),
                    instance.attributes.text("rounding")};
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
  // The element nearest to a place.
  Expr nearest(Expr at) const {
    Expr rounded = sampling.rounding == "floor"                ? floor(at)
                   : sampling.rounding == "ceil"               ? ceil(at)
                   : sampling.rounding == "round_prefer_floor" ? ceil(at - 0.5)
                                                               : floor(at + 0.5);
    return within(cast(rounded, DType::i64));
  }
};

Comprehension resize_comprehension(const OpInstance& instance) {
  Comprehension result;
  result.body = [sampling = resampling_of(instance, true)](const Element& element) {
    Places places{element, sampling};
    std::vector<Expr> index(element.index.begin(), element.index.end());
    Expr at = places.place(element.index[sampling.axis]);
    if (!sampling.linear) {
      index[sampling.axis] = places.nearest(at);
      return std::vector<Expr>{element.load(0, index)};
    }
    DType stored = element.instance.operand(0).dtype, type = compute_type(stored);
    Expr below = floor(at), first = cast(below, DType::i64);
    Expr weight = cast(at - below, type);
    index[sampling.axis] = places.within(first);
    Expr a = cast(element.load(0, index), type);
    index[sampling.axis] = places.within(first + 1);
    Expr b = cast(element.load(0, index), type);
    // An element with the weight 0 takes no part, whatever it is.
    return std::vector<Expr>{
        cast(select(weight == 0.0, a, (1.0 - weight) * a + weight * b), stored)};
  };
  return result;
}

// How many results may read one element, at most.
Dim reach_of(const Resampling& sampling) {
  if (!sampling.from.is_constant() || !sampling.to.is_constant()) return sampling.to;
  auto from = static_cast<double>(sampling.from.value()),
       to = static_cast<double>(sampling.to.value());
  double length = sampling.scale != 0 ? sampling.scale * from : to;
  double step = to <= 1                                   ? 1
                : sampling.coordinates == "align_corners" ? (from - 1) / (length - 1)
                : sampling.scale != 0                     ? 1 / sampling.scale
                                                          : from / to;
  double reach = std::floor(2 / step) + 6;  // infinite where nothing is between
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
      Expr before = cast(i, DType::f64) - 1.0 - places.place(element.number(0));
      Expr first = cast(floor(before / places.step()), DType::i64) - 2;
      o = o + max(min(first, element.size(sampling.to - reach)), 0);
    }
    std::vector<Expr> index(element.index.begin(), element.index.end());
    index[sampling.axis] = o;
    Expr g = cast(element.load(0, index), type);
    Expr at = places.place(o);
    if (!sampling.linear) return std::vector<Expr>{select(places.nearest(at) == i, g, 0.0)};
    Expr below = floor(at), first = cast(below, DType::i64);
    Expr weight = cast(at - below, type);
    Expr low = select(places.within(first) == i, (1.0 - weight) * g, 0.0);
    Expr high = select((places.within(first + 1) == i) & (weight != 0.0), weight * g, 0.0);
    return std::vector<Expr>{low + high};
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
  op = with_attribute(std::move(op), "mode", std::string("linear"), "nearest or linear.");
  op = with_attribute(std::move(op), "coordinates", std::string("half_pixel"),
                      "half_pixel, half_pixel_symmetric, pytorch_half_pixel, align_corners, "
                      "asymmetric or tf_half_pixel_for_nn, as ONNX defines them.");
  op = with_attribute(std::move(op), "rounding", std::string("round_prefer_floor"),
                      "Of mode nearest: round_prefer_floor, round_prefer_ceil, floor or ceil.");
  op = with_attribute(std::move(op), "scale", 0.0,
                      "Results for each element of x; 0 means the ratio of the sizes.");
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
  Attributes attributes{{"mode", std::string(sampling.linear ? "linear" : "nearest")},
                        {"coordinate_transformation_mode", coordinates},
                        {"nearest_mode", sampling.rounding}};
  Shape shape = instance.operand(0).shape;
  if (sampling.scale == 0) {
    shape[sampling.axis] = sampling.to;
    return {nodes.add("Resize", {operands[0], "", "", nodes.sizes(shape)}, attributes)};
  }
  Tensor scales(DType::f32, {static_cast<std::int64_t>(shape.size())});
  for (std::size_t i = 0; i < shape.size(); ++i)
    scales.mutable_elements<float>()[i] =
        i == sampling.axis ? static_cast<float>(sampling.scale) : 1.0F;
  return {nodes.add("Resize", {operands[0], "", nodes.constant(scales)}, attributes)};
}

OpDef resize_op() {
  OpDef op = resampling(
      {"resize",
       "Another number of elements along an axis, nearest ones or linear between two.",
       "The place c of a result in x follows from its index by the formula of `coordinates`, in "
       "f64. "
       "nearest takes the element at c, rounded as `rounding` says; linear takes (1 - t) * x[i] + "
       "t * "
       "x[i + 1] with i = floor(c) and t = c - i. Beyond an end is the last element there, and one "
       "whose weight is "
       "0 takes no part. The gradient is resize_gradient.",
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
       "g is the gradient of a resize with the same attributes, and `size` the axis of its x. An "
       "element is the sum of the results that read it, in ascending order, times the weights that "
       "it "
       "had. The gradient is resize.",
       OnnxOp::none()},
      false);
  op.comprehension = resize_gradient_comprehension;
  op.onnx_body = gradient_by_weights;
  return with_gradient(std::move(op), [](const GradientContext& context) -> std::vector<Var> {
    return {context.builder.apply("resize", {context.cotangents[0]}, for_size(context.instance))};
  });
}

}  // namespace

void add_resize_ops(OpTable& table) {
  table.add(resize_op());
  table.add(resize_gradient_op());
}

}  // namespace weir
