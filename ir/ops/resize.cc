// resize: reads the nearest element, or the two or four around a place.

#include <algorithm>

#include "ir/ops/ops.h"
#include "ir/ops/resampling.h"

namespace weir {
namespace {

using namespace ops;

using Integers = std::vector<std::int64_t>;

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
      std::vector<WeighedElement> taps = weighed_elements(places, at, type);
      Expr a = cast(load(taps[0].index), type), b = cast(load(taps[1].index), type);
      value =
          cast(select(taps[1].weight == 0.0, a, taps[0].weight * a + taps[1].weight * b), stored);
    } else {
      value = cast(sum_of_terms(weighed_elements(places, at, type),
                                [&](const WeighedElement& tap) {
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
       "in f64. nearest takes the element at c, rounded as `rounding` says, of any type; linear "
       "takes (1 - t) * x[i] + t * x[i + 1] with i = floor(c) and t = c - i; cubic weighs the two "
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

}  // namespace

void add_resize_ops(OpTable& table) { table.add(resize_op()); }

}  // namespace weir
