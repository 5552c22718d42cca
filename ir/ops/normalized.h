// What the normalizations have in common: composites, whose bodies fusion turns into one kernel
// each, and the gradient that is stated for them.
//
// A variance is the mean of the squared deviations from the mean (two passes), not the difference
// of two large sums, and counts every element: it is that of the elements, not an estimate.
#pragma once

#include <cstdint>
#include <vector>

#include "ir/builder.h"

namespace weir::ops {

using Axes = std::vector<std::int64_t>;

// From `first` to the last of x.
Axes axes_from(int first, const Var& x);

// x less its mean over the axes.
Var less_mean(const Var& x, const Axes& axes);
Var mean_of_squares(const Var& x, const Axes& axes);
// The attribute "epsilon" added.
Var plus_epsilon(const Var& variance, const Attributes& attributes);

// With c for `centered` and v for the mean of its squares plus epsilon, the gradient with regard to
// c of c / sqrt(v) is 1 / sqrt(v) times this, if g is that of the result:
//
//   g - c * mean(g * c) / v
//
// Where c is x - mean(x), that of x is this less mean(g), which is the mean of it, for c has none.
// What follows from the composite body sums c as well, and reads all of it twice more for what is 0.
Var less_projection(const Var& g, const Var& centered, const Var& variance, const Axes& axes);
// The same with mean(g * c) as given.
Var less_projection(const Var& g, const Var& centered, const Var& variance, const Var& mean);

// Values over the root of the mean of their squares over the axes.
struct Normalized {
  Var centered;
  Var variance;  // the mean of the squares, plus epsilon
  Var scale;     // 1 / sqrt(variance)
  Axes axes;
  bool is_less_mean = false;  // whether `centered` is x less its mean, and not x

  Var result() const;
  // With regard to x, if g is the gradient of the result.
  Var gradient(const Var& g) const;
};

Normalized scaled_to_one(const Var& x, Axes axes, const Attributes& attributes);
// With mean 0 besides.
Normalized normalized(const Var& x, Axes axes, const Attributes& attributes);

}  // namespace weir::ops
