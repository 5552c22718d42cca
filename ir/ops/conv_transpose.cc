// conv_transpose: conv's gradient for x, and an op of its own.

#include <algorithm>

#include <fmt/format.h>

#include "ir/ops/convolution.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;

using Integers = std::vector<std::int64_t>;

std::vector<TensorType> infer_conv_transpose(const OpInstance& instance) {
  check_ranks(instance);
  const Shape &x = instance.operand(0).shape, &w = instance.operand(1).shape;
  per_group(instance, x[kChannels]);
  if (w[0] != x[kChannels])
    throw Error(
        fmt::format("x has {} channels and w has {}: they are {} and {}, and w must be [channels "
                    "of x, channels of a group of the result, window]",
                    x[kChannels].to_string(), w[0].to_string(), to_string(instance.operand(0)),
                    to_string(instance.operand(1))));
  Window window = window_of(instance, spatial(w));
  TensorType result{instance.operand(0).dtype, {x[kBatch], w[kChannels] * groups_of(instance)}};
  for (std::size_t i = 0; i < window.size(); ++i) {
    result.shape.push_back(window[i].spread(x[kSpatial + i]));
    const Dim& size = result.shape.back();
    if (size.is_constant() && size.value() < 0)
      throw Error(
          fmt::format("the frame takes {} and {} elements away from axis {}, more than it has",
                      window[i].low, window[i].high, kSpatial + i));
  }
  return {std::move(result)};
}

Comprehension conv_transpose_comprehension(const OpInstance& instance) {
  const Shape &x = instance.operand(0).shape, &w = instance.operand(1).shape;
  Window window = window_of(instance, spatial(w));
  DType type = accumulator_type(instance.operand(0).dtype);
  Dim channels = per_group(instance, x[kChannels]);
  Comprehension result;
  result.reduce_extents = spatial(w);
  result.reduce_extents.push_back(channels);
  bool spreads = std::any_of(window.begin(), window.end(),
                             [](const WindowAxis& axis) { return axis.stride > 1; });
  result.reduction = spreads ? dot_if(type) : dot(type);
  result.body = [=, own = w[kChannels]](const Element& element) {
    Expr at_channel = element.index[1];
    Expr channel = group_channel(element, at_channel, own, element.reduce.back(), channels);
    bool grouped = groups_of(element.instance) != Dim(1);
    Expr within = !grouped        ? at_channel
                  : own == Dim(1) ? element.number(0)
                                  : modulo(at_channel, element.size(own));
    std::vector<Expr> index{element.index[0], channel}, filter{channel, within};
    Expr inside, meets;
    for (std::size_t i = 0; i < window.size(); ++i) {
      const WindowAxis& axis = window[i];
      Expr tap = element.reduce[i], place = element.index[kSpatial + i];
      filter.push_back(tap);
      Expr at = axis.low == 0 ? place : place + axis.low;
      if (axis.kernel > 1) at = at - (axis.dilation == 1 ? tap : tap * axis.dilation);
      if (axis.stride > 1) {
        Expr step = element.number(axis.stride);
        meets = both(meets, modulo(at, step) == 0);
        at = floor_div(at, step);
      }
      if (axis.low < axis.reach()) inside = both(inside, at >= 0);
      if (axis.high < axis.reach())
        inside = both(inside, at < element.size(element.instance.operand(0).shape[kSpatial + i]));
      index.push_back(at);
    }
    Expr guard = both(inside, meets);
    Expr zero(element.arena, element.arena.constant(element.instance.operand(0).dtype, 0.0));
    Expr a = guard.valid() ? element.load_if(0, guard, zero, index) : element.load(0, index);
    std::vector<Expr> elements{cast(a, type), cast(element.load(1, filter), type)};
    if (spreads) elements.push_back(meets);
    return elements;
  };
  return result;
}

std::vector<OnnxValue> conv_transpose_to_onnx(OnnxNodes& nodes, const OpInstance& instance,
                                              std::span<const OnnxValue> operands) {
  Window window = window_of(instance, spatial(instance.operand(1).shape));
  Integers padding, frame(2 * (window.size() + kSpatial), 0), cut_axes, cut_ends;
  bool framed = false;
  for (std::size_t i = 0; i < window.size(); ++i) {
    WindowAxis& axis = window[i];
    std::int64_t before = std::max<std::int64_t>(0, -axis.low),
                 behind = std::max<std::int64_t>(0, -axis.high);
    axis.low += before;
    axis.high += behind;
    // What no window reaches at the end is padding of the output up to a stride, and zeros beyond.
    bool fits = behind < std::max(axis.stride, axis.dilation);
    padding.push_back(fits ? behind : 0);
    if (fits) behind = 0;
    // Of no elements the node itself would give less than nothing where the zeros before it make up
    // for that. It gives as many more, which are cut off again.
    Dim size = axis.spread(instance.operand(0).shape[kSpatial + i]) + Dim(padding.back());
    std::int64_t lacking = -(axis.spread(0).value() + padding.back());
    if (before > 0 && lacking > 0 && !never_negative(size)) {
      std::int64_t kept = std::min(lacking, axis.high);
      axis.high -= kept;
      padding.back() += lacking - kept;
      cut_axes.push_back(static_cast<std::int64_t>(kSpatial + i));
      cut_ends.push_back(-lacking);
    }
    frame[kSpatial + i] = before;
    frame[2 * kSpatial + window.size() + i] = behind;
    framed = framed || before > 0 || behind > 0;
  }
  Attributes attributes = onnx_convolution(window, groups_of(instance));
  attributes.set("output_padding", padding);
  if (!framed) return {nodes.add("ConvTranspose", {operands.begin(), operands.end()}, attributes)};
  OnnxValue y = nodes.add("ConvTranspose", {operands[0], operands[1]}, attributes);
  y = nodes.add("Pad", {y, nodes.integers(frame)});
  if (!cut_axes.empty())
    y = nodes.add("Slice", {y, nodes.integers(Integers(cut_axes.size(), 0)),
                            nodes.integers(cut_ends), nodes.integers(cut_axes)});
  if (operands.size() < 3) return {y};
  Shape spread(window.size() + 1, Dim(1));
  spread[0] = instance.operand(2).shape[0];
  return {nodes.add("Add", {y, nodes.add("Reshape", {operands[2], nodes.sizes(spread)})})};
}

OpDef conv_transpose_op() {
  OpDef op = with_bias(contraction_over_windows(
      {"conv_transpose",
       "The transpose of conv: each element of x times a filter, added up where windows overlap.",
       "x is [N, C, ...], w [C, M / groups, ...], bias [M] and the result [N, M, ...], of (D - 1) "
       "* stride + (K - 1) * dilation + 1 - low - high elements along an axis of D; a negative "
       "high adds elements at the end that windows may or may not reach. It is the gradient of a "
       "conv with the same attributes. Each element is a chain of fused multiply-adds over the "
       "taps in row-major order and the group's channels under each tap, in chunks as in conv; "
       "taps that fall between two elements of x take no part, and outside of x they meet zeros.",
       {"ConvTranspose"}}));
  op = with_groups(with_window(std::move(op)));
  op.infer = [](const OpInstance& instance) {
    std::vector<TensorType> result = infer_conv_transpose(instance);
    check_bias(instance, result[0].shape[kChannels]);
    return result;
  };
  op.comprehension = conv_transpose_comprehension;
  op.operand_axis = [](const OpInstance& instance, std::size_t axis) {
    return axis_over_windows(instance, axis, kChannels);
  };
  op.spreads_images = true;
  op.to_onnx = conv_transpose_to_onnx;
  return with_gradient(std::move(op), [](const GradientContext& context) {
    Var x = context.operands[0], w = context.operands[1], g = context.cotangents[0];
    Window window = window_of(context.instance, spatial(w.shape()));
    return gradients_of(
        context, [&] { return apply_with(context, "conv", g, w, window); },
        [&] { return apply_with(context, "conv_filter_gradient", g, x, window); });
  });
}

}  // namespace

void add_conv_transpose_ops(OpTable& table) { table.add(conv_transpose_op()); }

}  // namespace weir
