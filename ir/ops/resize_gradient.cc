// resize_gradient: brings a gradient back to where resize read.

#include <cmath>

#include "ir/ops/ops.h"
#include "ir/ops/resampling.h"

namespace weir {
namespace {

using namespace ops;

using Integers = std::vector<std::int64_t>;

constexpr std::int64_t kResizeChunk = 1024;

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
      value = sum_of_terms(weighed_elements(places, at, type), [&](const WeighedElement& tap) {
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

void add_resize_gradient_ops(OpTable& table) { table.add(resize_gradient_op()); }

}  // namespace weir
