// What pools share: the maximum and the mean of the windows of each channel.
//
// The gradient of a maximum goes where the maximum came from. Which tap of each window that is, is
// a value of its own: arg_max_pool gives it, window_take reads x under given taps, and window_put
// brings values back there, added up where windows overlap. The last two are each other's
// gradients. A mean is a convolution with ones, over how many there are.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "ir/ops/window.h"

namespace weir::ops {

constexpr std::size_t kPooled = 2;  // the first axis that is
constexpr std::int64_t kTapChunk = 1024;

// --- Declarations ------------------------------------------------------------

// An op of one operand x with the attributes of a window and its kernel.
OpDef pool(Text text, TypeSet types);
OpDef with_ceil_mode(OpDef op);

// The window of a pool of an operand of that shape. With ceil_mode, its frame at the end is wider.
Window pool_window(const OpInstance& instance, const Shape& x);
Shape pooled_shape(const Window& window, const Shape& x);
std::vector<TensorType> infer_pool(const OpInstance& instance);

// The attributes of an op with that window.
Attributes pool_attributes(const Window& window);
// The cotangent, brought back to those taps of the windows of a value of that shape.
Var put_back(const GradientContext& context, const Shape& x, Var taps, const Window& window);

// --- Elements ----------------------------------------------------------------

// Where the taps of a window lie.
struct WindowTap {
  std::vector<Expr> index;  // into x
  Expr guard;               // invalid where it always is in x
};
WindowTap tap_of(const Element& element, const Window& window, const Shape& x,
                 std::span<const Expr> taps);

// The sizes of a window, as those of a reduction.
Shape extents_of(const Window& window);
Expr number_of(const Element& element, DType type, double value);

}  // namespace weir::ops
