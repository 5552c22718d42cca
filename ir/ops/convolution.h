// What convolutions share: contractions over windows, and over the channels of a group.
//
// Three ops are each other's gradients, so that differentiation never leaves them. With x [N, C,
// D...], w [M, C / groups, K...] and y [N, M, O...], window taps t = o * stride + k * dilation -
// low:
//   conv                  y[n, m, o] = the sum over k, c of x[n, c, t] * w[m, c, k]
//   conv_transpose        x[n, c, t] = the sum over k, m of y[n, m, o] * w[m, c, k]
//   conv_filter_gradient  w[m, c, k] = the sum over n, o of x[n, c, t] * y[n, m, o]
//
// The order of the sums. A window's taps come first, in row-major order, and the channels of the
// group under each of them: with channels last in memory, taps along the innermost axis and their
// channels are one run of x, and chunks of 1024 end between taps wherever the channels are a power
// of two up to that. The gradient of the filters goes over the batch first and over the positions
// under it: shards of a batch are runs of chunks.
//
// Elements of the frame around x are zeros, which are multiplied and added like any others: conv is
// that of the padded x. In conv_transpose the places between the elements of a spread y take no
// part.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ir/ops/window.h"

namespace weir::ops {

constexpr int kBatch = 0, kChannels = 1;
constexpr std::ptrdiff_t kSpatial = 2;  // the first spatial axis

inline Shape spatial(const Shape& shape) { return {shape.begin() + kSpatial, shape.end()}; }

// Error unless both operands have a batch, or filters, channels and spatial axes.
void check_ranks(const OpInstance& instance);

// The channels of each of the groups. Error where they do not divide into these.
Dim per_group(const OpInstance& instance, const Dim& channels);
Dim groups_of(const OpInstance& instance);

// Channel `within` of the group that channel `other` belongs to, of groups of these sizes.
Expr group_channel(const Element& element, Expr other, const Dim& other_size, Expr within,
                   const Dim& size);

// That both hold; an invalid condition always does.
Expr both(Expr a, Expr b);

// Of x under the taps of a window at `positions`, zero in the frame.
Expr tapped(const Element& element, const Window& window, std::span<const Expr> first_axes,
            std::span<const Expr> positions, std::span<const Expr> taps);

// --- Declarations ------------------------------------------------------------

// An op of operands x and w, both of floats.
OpDef contraction_over_windows(Text text);
OpDef with_groups(OpDef op);
// Adds the operand bias, with an element for each channel of the result.
OpDef with_bias(OpDef op);
// Error where a bias does not have as many elements as the result has channels.
void check_bias(const OpInstance& instance, const Dim& channels);

// OpDef::operand_axis, where the channels of the result are those along an axis of w.
std::optional<OperandAxis> axis_over_windows(const OpInstance& instance, std::size_t axis,
                                             std::size_t channels_of_w);

// --- Gradients ---------------------------------------------------------------

// Of an op of the family whose gradients are these ops, each with the operands by turns.
std::vector<Var> gradients_of(const GradientContext& context, const std::function<Var()>& first,
                              const std::function<Var()>& second);
// Applies one of the three ops with a window of this one.
Var apply_with(const GradientContext& context, const char* op, Var a, Var b, const Window& window);
// Whether conv's gradient for its filters is summed column by column: of filters of one channel for
// images of enough columns that are given from outside, and so lie row by row. Others may lie with
// channels innermost, along which vectors run over all positions (conv_filter_gradient).
bool goes_by_columns(const Var& x, const Var& g, const Shape& filters);
Var filter_gradient_by_columns(GraphBuilder& builder, const Var& x, const Var& g,
                               const Window& window);
// The conv_transpose of a and b with results of x's sizes.
Var transposed_over(const GradientContext& context, const Shape& x, Var a, Var b,
                    const Window& window);

// --- ONNX --------------------------------------------------------------------

// Takes part of the spatial axes where the frame is negative, which ONNX does not have.
OnnxValue cut_frame(OnnxNodes& nodes, OnnxValue x, const Shape& shape, Window& window);
// The attributes of a Conv or ConvTranspose.
Attributes onnx_convolution(const Window& window, const Dim& groups);

}  // namespace weir::ops
