#include "ir/ops/normalized.h"

#include <utility>

#include "ir/ops/helpers.h"

namespace weir::ops {

Axes axes_from(int first, const Var& x) {
  Axes axes;
  for (int i = first; i < x.type().rank(); ++i) axes.push_back(i);
  return axes;
}

Var less_mean(const Var& x, const Axes& axes) {
  GraphBuilder& builder = x.builder();
  return builder.apply("sub", {x, reduce_keeping(builder, "reduce_mean", x, axes)});
}

Var mean_of_squares(const Var& x, const Axes& axes) {
  GraphBuilder& builder = x.builder();
  return reduce_keeping(builder, "reduce_mean", builder.apply("mul", {x, x}), axes);
}

Var plus_epsilon(const Var& variance, const Attributes& attributes) {
  GraphBuilder& builder = variance.builder();
  Var epsilon = builder.scalar(variance.dtype(), attributes.real("epsilon"));
  return builder.apply("add", {variance, epsilon});
}

Var less_projection(const Var& g, const Var& centered, const Var& variance, const Axes& axes) {
  GraphBuilder& builder = g.builder();
  Var products = builder.apply("mul", {g, centered});
  return less_projection(g, centered, variance,
                         reduce_keeping(builder, "reduce_mean", products, axes));
}

Var less_projection(const Var& g, const Var& centered, const Var& variance, const Var& mean) {
  GraphBuilder& builder = g.builder();
  Var slope = builder.apply("div", {mean, variance});
  return builder.apply("sub", {g, builder.apply("mul", {centered, slope})});
}

Var Normalized::result() const { return centered.builder().apply("mul", {centered, scale}); }

Var Normalized::gradient(const Var& g) const {
  GraphBuilder& builder = g.builder();
  Var left = less_projection(g, centered, variance, axes);
  if (is_less_mean)
    left = builder.apply("sub", {left, reduce_keeping(builder, "reduce_mean", g, axes)});
  return builder.apply("mul", {scale, left});
}

Normalized scaled_to_one(const Var& x, Axes axes, const Attributes& attributes) {
  Var variance = plus_epsilon(mean_of_squares(x, axes), attributes);
  return {x, variance, x.builder().apply("rsqrt", {variance}), std::move(axes)};
}

Normalized normalized(const Var& x, Axes axes, const Attributes& attributes) {
  Var centered = less_mean(x, axes);
  Normalized result = scaled_to_one(centered, std::move(axes), attributes);
  result.is_less_mean = true;
  return result;
}

}  // namespace weir::ops
