// Windows tap by tap, in ops that cut and frame: long, and the same everywhere.

#include <algorithm>

#include "ir/ops/window.h"

namespace weir::ops {
namespace {

using Integers = std::vector<std::int64_t>;

constexpr std::size_t kSpatial = 2;

// The numbers of a tap along each axis.
Integers tap_at(const Window& window, std::int64_t number) {
  Integers tap(window.size());
  for (std::size_t i = window.size(); i-- > 0;) {
    tap[i] = number % window[i].kernel;
    number /= window[i].kernel;
  }
  return tap;
}

std::int64_t tap_count(const Window& window) {
  std::int64_t count = 1;
  for (const WindowAxis& axis : window) count *= axis.kernel;
  return count;
}

// Cuts off, or frames, as much as these say for each spatial axis.
Var framed(GraphBuilder& builder, Var x, const Integers& low, const Integers& high, double fill) {
  Shape starts(x.shape().size(), Dim(0)), limits = x.shape(), before = starts, behind = starts;
  for (std::size_t i = 0; i < low.size(); ++i) {
    std::size_t axis = kSpatial + i;
    starts[axis] = std::max<std::int64_t>(0, -low[i]);
    limits[axis] = limits[axis] + Dim(std::min<std::int64_t>(0, high[i]));
    before[axis] = std::max<std::int64_t>(0, low[i]);
    behind[axis] = std::max<std::int64_t>(0, high[i]);
  }
  const Shape none(x.shape().size(), Dim(0));
  if (before != none || behind != none)
    x = builder.apply("pad", {x}, {{"low", before}, {"high", behind}, {"value", fill}});
  for (std::size_t i = 0; i < limits.size(); ++i) limits[i] = limits[i] + before[i] + behind[i];
  if (starts != none || limits != x.shape())
    x = builder.apply("slice", {x}, {{"starts", starts}, {"limits", limits}});
  return x;
}

}  // namespace

std::optional<Window> spread_to(const Window& window, const Shape& shape) {
  Window spread;
  for (std::size_t i = 0; i < window.size(); ++i) {
    std::optional<WindowAxis> known = window[i].spread_to(shape[kSpatial + i]);
    if (!known) return std::nullopt;
    spread.push_back(*known);
  }
  return spread;
}

// Where the end of the last window depends on symbols, all of it is kept, then framed up to the end
// of the frame, and the frame is cut off.
Var spread_over(GraphBuilder& builder, const Window& window, const Shape& shape,
                const std::function<Var(const Window&)>& apply) {
  if (std::optional<Window> known = spread_to(window, shape)) return apply(*known);
  Window spread = window;
  Shape behind(shape.size(), Dim(0));
  for (std::size_t i = 0; i < window.size(); ++i) {
    const Dim& size = shape[kSpatial + i];
    if (std::optional<WindowAxis> known = window[i].spread_to(size)) {
      spread[i] = *known;
      continue;
    }
    spread[i].high = 0;
    Dim extent = spread[i].spread(window[i].positions(size));
    behind[kSpatial + i] = size + Dim(std::max<std::int64_t>(0, window[i].high)) - extent;
    // That of no windows may be less than nothing; as many elements more are cut off again.
    if (!never_negative(extent))
      spread[i].high = std::min<std::int64_t>(0, spread[i].spread(0).value());
  }
  Var result = apply(spread);
  const Shape none(shape.size(), Dim(0));
  result = builder.apply("pad", {result}, {{"low", none}, {"high", behind}});
  Shape limits = result.shape();
  std::copy(shape.begin() + kSpatial, shape.end(), limits.begin() + kSpatial);
  if (limits == result.shape()) return result;
  return builder.apply("slice", {result}, {{"starts", none}, {"limits", limits}});
}

std::vector<Var> under_taps(GraphBuilder& builder, Var x, const Window& window, double fill) {
  Integers low, high, strides(x.shape().size(), 1);
  Shape positions;
  for (std::size_t i = 0; i < window.size(); ++i) {
    positions.push_back(window[i].positions(x.shape()[kSpatial + i]));
    low.push_back(window[i].low);
    // As many more that all strides are whole ones.
    high.push_back(window[i].high + window[i].stride - 1);
    strides[kSpatial + i] = window[i].stride;
  }
  Var whole = framed(builder, x, low, high, fill);
  std::vector<Var> result;
  for (std::int64_t number = 0; number < tap_count(window); ++number) {
    Integers tap = tap_at(window, number);
    Shape starts(x.shape().size(), Dim(0)), limits = whole.shape();
    for (std::size_t i = 0; i < window.size(); ++i) {
      starts[kSpatial + i] = tap[i] * window[i].dilation;
      limits[kSpatial + i] = starts[kSpatial + i] + positions[i] * Dim(window[i].stride);
    }
    result.push_back(builder.apply("slice", {whole},
                                   {{"starts", starts}, {"limits", limits}, {"strides", strides}}));
  }
  return result;
}

Var from_taps(GraphBuilder& builder, std::span<const Var> values, const Window& window) {
  // What a frame leaves out of the windows is added around each part: of no windows a part alone
  // may have less than nothing. What it adds to them is cut off the sum.
  Integers interior(values[0].shape().size(), 0), low, high;
  for (std::size_t i = 0; i < window.size(); ++i) {
    interior[kSpatial + i] = window[i].stride - 1;
    low.push_back(std::min<std::int64_t>(0, -window[i].low));
    high.push_back(std::min<std::int64_t>(0, -window[i].high));
  }
  Var sum;
  for (std::size_t number = 0; number < values.size(); ++number) {
    Integers tap = tap_at(window, static_cast<std::int64_t>(number));
    Shape before(interior.size(), Dim(0)), behind = before;
    for (std::size_t i = 0; i < window.size(); ++i) {
      std::int64_t at = tap[i] * window[i].dilation;
      before[kSpatial + i] = at + std::max<std::int64_t>(0, -window[i].low);
      behind[kSpatial + i] = window[i].reach() - at + std::max<std::int64_t>(0, -window[i].high);
    }
    Var part = builder.apply("pad", {values[number]},
                             {{"low", before}, {"high", behind}, {"interior", interior}});
    sum = sum.valid() ? builder.apply("add", {sum, part}) : part;
  }
  return framed(builder, sum, low, high, 0);
}

}  // namespace weir::ops
