// Windows: what convolutions and pools share.
//
// Along an axis of n elements a window of `kernel` taps, `dilation` elements apart, stands at
// positions `stride` elements apart. The axis is framed by `low` and `high` elements that are not
// there; negative numbers leave elements out. Tap k of position o is element o * stride + k *
// dilation - low. The windows that fit into the frame are floor((n + low + high - extent) / stride)
// + 1, where extent = (kernel - 1) * dilation + 1.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "ir/ops/helpers.h"

namespace weir::ops {

struct WindowAxis {
  std::int64_t kernel = 1, stride = 1, dilation = 1, low = 0, high = 0;

  std::int64_t reach() const { return (kernel - 1) * dilation; }  // extent - 1
  // The positions along an axis of that size. Error where there are fewer than 0.
  Dim positions(const Dim& size) const;
  // The size of an axis whose positions these are: where windows that are spread out end.
  Dim spread(const Dim& positions) const;
  // The same window with the `high` that makes `size` the spread of its positions there; none if
  // that depends on the symbols in it.
  std::optional<WindowAxis> spread_to(const Dim& size) const;

  // The same window with a `high` that lets one more in where the last elements of an axis of
  // `size` would be left over; but none that begins behind the axis. Without need it is no wider
  // than that, unless the symbols in `size` decide how wide that is.
  WindowAxis ceiling(const Dim& size) const;

  // The element under tap `k` of position `o`; and whether it is there, invalid where it always is.
  Expr tap(Expr o, Expr k) const;
  Expr has_tap(const Element& element, Expr at, const Dim& size) const;
};

using Window = std::vector<WindowAxis>;

// Adds the attributes strides, dilations, low and high.
OpDef with_window(OpDef op);
// Reads them, for a kernel of these sizes. Error where they do not fit.
Window window_of(const OpInstance& instance, const Shape& kernel);
Window window_of(const OpInstance& instance, std::span<const std::int64_t> kernel);
// The attributes of a window that are not the default, to be passed on.
Attributes attributes_of(const Window& window);
// The sizes of its kernel: `kernel`, of the ops that have this attribute.
std::vector<std::int64_t> sizes_of(const Window& window);
// ONNX's kernel_shape, strides, dilations and pads.
Attributes onnx_window(const Window& window);

// --- Windows in other ops ----------------------------------------------------

// What lies under each tap in row-major order, for all positions of the windows of x; `fill` in the
// frame.
std::vector<Var> under_taps(GraphBuilder& builder, Var x, const Window& window, double fill);
// The sum of values for each tap, brought back to where the taps lie.
Var from_taps(GraphBuilder& builder, std::span<const Var> values, const Window& window);

// The window that spreads out to exactly that shape, where its sizes say so.
std::optional<Window> spread_to(const Window& window, const Shape& shape);

// What lies under the windows of a value of that shape, given that `apply` spreads it out for the
// window that it is handed: the sizes are those of the shape from the first spatial axis on, also
// where windows end before the axis does. Zero where no window lies.
// `apply` is handed spread_to, where there is one.
Var spread_over(GraphBuilder& builder, const Window& window, const Shape& shape,
                const std::function<Var(const Window&)>& apply);

}  // namespace weir::ops
