// Resampling along one axis: resize reads the nearest element, or the two or four around a place,
// and resize_gradient brings a gradient back to where it was read. A tensor is resized axis by
// axis.
//
// Element o of the result stands at place c(o) of x, an affine function that the formula of
// `coordinates` gives in f64. What is read beyond an end is the last element there. An element of x
// is read for a run of results: those whose places are less than 1 away, or 2 for cubic, and behind
// an end all up to it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "ir/ops/helpers.h"

namespace weir::ops {

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

// --- Declarations ------------------------------------------------------------

// An op of one operand with the attributes of a resampling; see resampling_of for `forward`.
OpDef resampling(Text text, bool forward);

// `forward`: the operand is x, and `size` that of the result. Otherwise the operand is the gradient
// of the result, and `size` that of x.
// Error where the attributes do not fit.
Resampling resampling_of(const OpInstance& instance, bool forward);
// The attributes with the size of the other side.
Attributes for_size(const OpInstance& instance);
// What is whole of so many elements times the scale, as an f32.
double whole_of(const Dim& from, double scale);

// --- Elements ----------------------------------------------------------------

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
  Expr place(Expr o) const;
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
  Expr nearest(Expr at) const;
};

// The elements that a result is the weighted sum of. An element with the weight 0 takes no part,
// whatever it is.
struct WeighedElement {
  Expr index;  // within x
  Expr weight;
};

// Of the place `at`, with weights of the type that elements are computed in.
std::vector<WeighedElement> weighed_elements(const Places& places, Expr at, DType type);
// The sum of terms of which some are left out; +0 of none.
Expr sum_of_terms(const std::vector<WeighedElement>& elements,
                  const std::function<Expr(const WeighedElement&)>& term);

}  // namespace weir::ops
