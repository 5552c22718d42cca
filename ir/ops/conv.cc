// Convolutions: contractions over windows, and over the channels of a group.
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

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "ir/ops/ops.h"
#include "ir/ops/window.h"

namespace weir {
namespace {

using namespace ops;

using Integers = std::vector<std::int64_t>;

constexpr int kBatch = 0, kChannels = 1;
constexpr std::ptrdiff_t kSpatial = 2;  // the first spatial axis

Shape spatial(const Shape& shape) { return {shape.begin() + kSpatial, shape.end()}; }

// Error unless both operands have a batch, or filters, channels and spatial axes.
void check_ranks(const OpInstance& instance) {
  for (std::size_t i = 0; i < 2; ++i)
    if (instance.operand(i).rank() < 3)
      throw Error(
          fmt::format("operand {} is {}; it must have two axes and spatial axes behind them",
                      instance.op->operands[i].name, to_string(instance.operand(i))));
  if (instance.operand(0).rank() != instance.operand(1).rank())
    throw Error(fmt::format("{} and {} have different numbers of axes",
                            to_string(instance.operand(0)), to_string(instance.operand(1))));
}

// The channels of each of the groups.
Dim per_group(const OpInstance& instance, const Dim& channels) {
  std::int64_t groups = instance.attributes.integer("groups");
  std::optional<Dim> size = groups < 1 ? std::nullopt : channels.divided_by(Dim(groups));
  if (!size)
    throw Error(
        fmt::format("{} channels do not divide into {} groups", channels.to_string(), groups));
  return *size;
}

Dim groups_of(const OpInstance& instance) { return instance.attributes.integer("groups"); }

// Channel `within` of the group that channel `other` belongs to, of groups of these sizes.
Expr group_channel(const Element& element, Expr other, const Dim& other_size, Expr within,
                   const Dim& size) {
  if (groups_of(element.instance) == Dim(1)) return within;
  Expr group = other_size == Dim(1) ? other : floor_div(other, element.size(other_size));
  return size == Dim(1) ? group : group * element.size(size) + within;
}

Expr both(Expr a, Expr b) { return !a.valid() ? b : !b.valid() ? a : a & b; }

// Of x under the taps of a window at `positions`, zero in the frame.
Expr tapped(const Element& element, const Window& window, std::span<const Expr> first_axes,
            std::span<const Expr> positions, std::span<const Expr> taps) {
  const TensorType& x = element.instance.operand(0);
  std::vector<Expr> index(first_axes.begin(), first_axes.end());
  Expr guard;
  for (std::size_t i = 0; i < window.size(); ++i) {
    Expr at = window[i].tap(positions[i], taps[i]);
    guard = both(guard, window[i].has_tap(element, at, x.shape[kSpatial + i]));
    index.push_back(at);
  }
  if (!guard.valid()) return element.load(0, index);
  Expr zero(element.arena, element.arena.constant(x.dtype, 0.0));
  return element.load_if(0, guard, zero, index);
}

OpDef with_groups(OpDef op) {
  return with_attribute(std::move(op), "groups", std::int64_t{1},
                        "Groups of channels; each filter sees the channels of one.");
}

Attributes window_attributes(const OpInstance& instance, const Window& window) {
  Attributes attributes = attributes_of(window);
  attributes.set("groups", instance.attributes.integer("groups"));
  return attributes;
}

Integers sizes_of(const Window& window) {
  Integers sizes;
  for (const WindowAxis& axis : window) sizes.push_back(axis.kernel);
  return sizes;
}

// Applies one of the three ops with a window of this one.
Var apply_with(const GradientContext& context, const char* op, Var a, Var b, const Window& window) {
  Attributes attributes = window_attributes(context.instance, window);
  if (std::string_view(op) == "conv_filter_gradient") attributes.set("kernel", sizes_of(window));
  return context.builder.apply(op, {a, b}, std::move(attributes));
}

// The conv_transpose of a and b with results of x's sizes.
Var transposed_over(const GradientContext& context, const Shape& x, Var a, Var b,
                    const Window& window) {
  return spread_over(context.builder, window, x, [&](const Window& spread) {
    return apply_with(context, "conv_transpose", a, b, spread);
  });
}

// --- ONNX --------------------------------------------------------------------

// Takes part of the spatial axes where the frame is negative, which ONNX does not have.
OnnxValue cut_frame(OnnxNodes& nodes, OnnxValue x, const Shape& shape, Window& window) {
  Shape starts, limits;
  Integers axes;
  for (std::size_t i = 0; i < window.size(); ++i) {
    WindowAxis& axis = window[i];
    if (axis.low >= 0 && axis.high >= 0) continue;
    starts.push_back(std::max<std::int64_t>(0, -axis.low));
    limits.push_back(shape[kSpatial + i] + Dim(std::min<std::int64_t>(0, axis.high)));
    axes.push_back(static_cast<std::int64_t>(kSpatial + i));
    axis.low = std::max<std::int64_t>(0, axis.low);
    axis.high = std::max<std::int64_t>(0, axis.high);
  }
  if (axes.empty()) return x;
  return nodes.add("Slice", {x, nodes.sizes(starts), nodes.sizes(limits), nodes.integers(axes)});
}

Attributes onnx_window(const Window& window, const Dim& groups) {
  Integers kernel, strides, dilations, pads, high;
  for (const WindowAxis& axis : window) {
    kernel.push_back(axis.kernel);
    strides.push_back(axis.stride);
    dilations.push_back(axis.dilation);
    pads.push_back(axis.low);
    high.push_back(axis.high);
  }
  pads.insert(pads.end(), high.begin(), high.end());
  return {{"kernel_shape", kernel},
          {"strides", strides},
          {"dilations", dilations},
          {"pads", pads},
          {"group", groups.value()}};
}

// --- conv --------------------------------------------------------------------

std::vector<TensorType> infer_conv(const OpInstance& instance) {
  check_ranks(instance);
  const Shape &x = instance.operand(0).shape, &w = instance.operand(1).shape;
  Dim channels = per_group(instance, x[kChannels]);
  if (w[kChannels] != channels)
    throw Error(fmt::format(
        "x has {} channels in {} groups and the filters see {}: they are {} "
        "and {}, and filters must be [filters, channels of a group, window]",
        x[kChannels].to_string(), groups_of(instance).to_string(), w[kChannels].to_string(),
        to_string(instance.operand(0)), to_string(instance.operand(1))));
  per_group(instance, w[0]);
  Window window = window_of(instance, spatial(w));
  TensorType result{instance.operand(0).dtype, {x[kBatch], w[0]}};
  for (std::size_t i = 0; i < window.size(); ++i)
    result.shape.push_back(window[i].positions(x[kSpatial + i]));
  return {std::move(result)};
}

void check_bias(const OpInstance& instance, const Dim& channels) {
  if (!instance.has_operand(2) || instance.operand(2).shape == Shape{channels}) return;
  throw Error(
      fmt::format("operand bias is {}; it must have one element for each of the {} "
                  "channels of the result",
                  to_string(instance.operand(2)), channels.to_string()));
}

Comprehension conv_comprehension(const OpInstance& instance) {
  const Shape& w = instance.operand(1).shape;
  Window window = window_of(instance, spatial(w));
  DType type = accumulator_type(instance.operand(0).dtype);
  Comprehension result;
  result.reduce_extents = spatial(w);
  result.reduce_extents.push_back(w[kChannels]);
  result.reduction = dot(type);
  result.body = [=, filters = per_group(instance, w[0]),
                 channels = w[kChannels]](const Element& element) {
    Expr filter = element.index[1], channel = element.reduce.back();
    std::span<const Expr> taps = element.reduce.first(window.size());
    std::array first{element.index[0], group_channel(element, filter, filters, channel, channels)};
    Expr a = tapped(element, window, first, element.index.subspan(2), taps);
    std::vector<Expr> index{filter, channel};
    index.insert(index.end(), taps.begin(), taps.end());
    return std::vector<Expr>{cast(a, type), cast(element.load(1, index), type)};
  };
  return result;
}

// The same without its bias, plus that.
std::vector<Var> body_with_bias(const std::string& name, GraphBuilder& builder,
                                std::span<const Var> operands, const Attributes& attributes) {
  Var y = builder.apply(name, {operands[0], operands[1]}, attributes);
  Shape spread(y.shape().size() - 1, Dim(1));
  spread[0] = y.shape()[kChannels];
  return {builder.apply("add", {y, reshape_to(builder, operands[2], spread)})};
}

Var bias_gradient(const GradientContext& context) {
  Integers axes{0};
  for (std::size_t i = kSpatial; i < context.results[0].shape().size(); ++i)
    axes.push_back(static_cast<std::int64_t>(i));
  return context.builder.apply("reduce_sum", {context.cotangents[0]}, {{"axes", axes}});
}

// Of an op of the family whose gradients are these ops, each with the operands by turns.
std::vector<Var> gradients_of(const GradientContext& context, const std::function<Var()>& first,
                              const std::function<Var()>& second) {
  std::vector<Var> gradients(context.operands.size());
  if (context.wanted[0]) gradients[0] = first();
  if (context.wanted[1]) gradients[1] = second();
  if (context.operands.size() > 2 && context.wanted[2]) gradients[2] = bias_gradient(context);
  return gradients;
}

OpDef contraction_over_windows(Text text) {
  OpDef op = declare("window", std::move(text));
  op.operands = {{"x", TypeSet::floats}, {"w", TypeSet::floats}};
  return op;
}

OpDef with_bias(OpDef op) {
  std::string name = op.name;
  op.operands.push_back({"bias", TypeSet::floats, OperandSpec::Presence::optional});
  op.composite = [name](GraphBuilder& builder, std::span<const Var> operands,
                        const Attributes& attributes) {
    return body_with_bias(name, builder, operands, attributes);
  };
  op.is_composite = [](const OpInstance& instance) { return instance.has_operand(2); };
  return op;
}

OpDef conv_op() {
  OpDef op = with_bias(contraction_over_windows(
      {"conv",
       "Sums of products of filters with the windows of x.",
       "x is [N, C, ...] with spatial axes, w [M, C / groups, ...], bias [M] and the result [N, M, "
       "...]; filter m sees the channels of group m / (M / groups). The frame around x is zeros, "
       "which take part like any others. Each element is a chain of fused multiply-adds over the "
       "taps in row-major order and the group's channels under each tap, in chunks of 1024 that "
       "are "
       "added in a balanced tree: in f32 for f16 and bf16, and rounded once. The bias is added "
       "last. A window must fit into the framed x.",
       {"Conv"}}));
  op = with_groups(with_window(std::move(op)));
  op.infer = [](const OpInstance& instance) {
    std::vector<TensorType> result = infer_conv(instance);
    check_bias(instance, result[0].shape[kChannels]);
    return result;
  };
  op.comprehension = conv_comprehension;
  op.to_onnx = [](OnnxNodes& nodes, const OpInstance& instance,
                  std::span<const OnnxValue> operands) -> std::vector<OnnxValue> {
    Window window = window_of(instance, spatial(instance.operand(1).shape));
    std::vector<OnnxValue> inputs(operands.begin(), operands.end());
    inputs[0] = cut_frame(nodes, inputs[0], instance.operand(0).shape, window);
    return {nodes.add("Conv", std::move(inputs), onnx_window(window, groups_of(instance)))};
  };
  return with_gradient(std::move(op), [](const GradientContext& context) {
    Var x = context.operands[0], w = context.operands[1], g = context.cotangents[0];
    Window window = window_of(context.instance, spatial(w.shape()));
    return gradients_of(
        context, [&] { return transposed_over(context, x.shape(), g, w, window); },
        [&] { return apply_with(context, "conv_filter_gradient", x, g, window); });
  });
}

// --- conv_transpose ----------------------------------------------------------

std::vector<TensorType> infer_conv_transpose(const OpInstance& instance) {
  check_ranks(instance);
  const Shape &x = instance.operand(0).shape, &w = instance.operand(1).shape;
  per_group(instance, x[kChannels]);
  if (w[0] != x[kChannels])
    throw Error(
        fmt::format("x has {} channels and w has {}: they are {} and {}, and w must be "
                    "[channels of x, channels of a group of the result, window]",
                    x[kChannels].to_string(), w[0].to_string(), to_string(instance.operand(0)),
                    to_string(instance.operand(1))));
  Window window = window_of(instance, spatial(w));
  TensorType result{instance.operand(0).dtype, {x[kBatch], w[kChannels] * groups_of(instance)}};
  for (std::size_t i = 0; i < window.size(); ++i) {
    result.shape.push_back(window[i].spread(x[kSpatial + i]));
    const Dim& size = result.shape.back();
    if (size.is_constant() && size.value() < 0)
      throw Error(
          fmt::format("the frame takes {} and {} elements away from axis {}, more than it "
                      "has",
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
      if (axis.low < axis.reach()) inside = both(inside, at >= 0);
      if (axis.stride > 1) {
        Expr step = element.number(axis.stride);
        meets = both(meets, modulo(at, step) == 0);
        at = floor_div(at, step);
      }
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
  Attributes attributes = onnx_window(window, groups_of(instance));
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
       "* "
       "stride + (K - 1) * dilation + 1 - low - high elements along an axis of D; a negative high "
       "adds elements at the end that windows may or may not reach. It is the gradient of a conv "
       "with the same attributes. Each element is a chain of fused multiply-adds over the taps in "
       "row-major order and the group's channels under each tap, in chunks as in conv; taps that "
       "fall between two elements of x take no part, and outside of x they meet zeros.",
       {"ConvTranspose"}}));
  op = with_groups(with_window(std::move(op)));
  op.infer = [](const OpInstance& instance) {
    std::vector<TensorType> result = infer_conv_transpose(instance);
    check_bias(instance, result[0].shape[kChannels]);
    return result;
  };
  op.comprehension = conv_transpose_comprehension;
  op.to_onnx = conv_transpose_to_onnx;
  return with_gradient(std::move(op), [](const GradientContext& context) {
    Var x = context.operands[0], w = context.operands[1], g = context.cotangents[0];
    Window window = window_of(context.instance, spatial(w.shape()));
    return gradients_of(
        context, [&] { return apply_with(context, "conv", g, w, window); },
        [&] { return apply_with(context, "conv_filter_gradient", g, x, window); });
  });
}

// --- conv_filter_gradient ----------------------------------------------------

Window filter_window(const OpInstance& instance) {
  return window_of(instance, instance.attributes.integers("kernel"));
}

std::vector<TensorType> infer_filter_gradient(const OpInstance& instance) {
  check_ranks(instance);
  const Shape &x = instance.operand(0).shape, &g = instance.operand(1).shape;
  Window window = filter_window(instance);
  if (window.size() + kSpatial != x.size())
    throw Error(fmt::format("the kernel has {} sizes for the {} spatial axes of {}", window.size(),
                            x.size() - kSpatial, to_string(instance.operand(0))));
  per_group(instance, g[kChannels]);
  Shape wanted{x[kBatch], g[kChannels]};
  TensorType result{instance.operand(0).dtype, {g[kChannels], per_group(instance, x[kChannels])}};
  for (std::size_t i = 0; i < window.size(); ++i) {
    wanted.push_back(window[i].positions(x[kSpatial + i]));
    result.shape.push_back(window[i].kernel);
  }
  if (g != wanted)
    throw Error(fmt::format("operand g is {} and the windows of {} make {}",
                            to_string(instance.operand(1)), to_string(instance.operand(0)),
                            to_string(wanted)));
  return {std::move(result)};
}

Comprehension filter_gradient_comprehension(const OpInstance& instance) {
  const Shape &x = instance.operand(0).shape, &g = instance.operand(1).shape;
  Window window = filter_window(instance);
  DType type = accumulator_type(instance.operand(0).dtype);
  Comprehension result;
  result.reduce_extents = spatial(g);
  result.reduce_extents.insert(result.reduce_extents.begin(), x[kBatch]);
  result.reduction = dot(type);
  result.body = [=, filters = per_group(instance, g[kChannels]),
                 channels = per_group(instance, x[kChannels])](const Element& element) {
    Expr filter = element.index[0], example = element.reduce[0];
    std::span<const Expr> positions = element.reduce.subspan(1);
    std::array first{example, group_channel(element, filter, filters, element.index[1], channels)};
    Expr a = tapped(element, window, first, positions, element.index.subspan(2));
    std::vector<Expr> index{example, filter};
    index.insert(index.end(), positions.begin(), positions.end());
    return std::vector<Expr>{cast(a, type), cast(element.load(1, index), type)};
  };
  return result;
}

// A convolution of x with g as its filters, in which batch and channels change places and strides
// and dilations do; with groups, those are in the channels of x, and each has the batch under it.
std::vector<OnnxValue> filter_gradient_to_onnx(OnnxNodes& nodes, const OpInstance& instance,
                                               std::span<const OnnxValue> operands) {
  const Shape &x = instance.operand(0).shape, &g = instance.operand(1).shape;
  for (const Dim& size : spatial(g))
    if (!size.is_constant() || size == Dim(0)) return {};
  Window window = filter_window(instance);
  for (std::size_t i = 0; i < window.size(); ++i) {
    std::optional<WindowAxis> spread = window[i].spread_to(x[kSpatial + i]);
    if (!spread) return {};
    window[i] = *spread;
  }
  const Window before = window;
  OnnxValue from = cut_frame(nodes, operands[0], x, window);
  Dim groups = groups_of(instance);
  Dim channels = per_group(instance, x[kChannels]);
  Integers swapped{1, 0};
  for (std::size_t i = kSpatial; i < x.size(); ++i) swapped.push_back(static_cast<std::int64_t>(i));
  if (groups == Dim(1)) {
    from = nodes.add("Transpose", {from}, {{"perm", swapped}});
  } else {
    Shape cut = x;  // of what cut_frame left
    for (std::size_t i = 0; i < before.size(); ++i)
      cut[kSpatial + i] = cut[kSpatial + i] + Dim(std::min<std::int64_t>(0, before[i].low)) +
                          Dim(std::min<std::int64_t>(0, before[i].high));
    Shape parted{cut[0], groups, channels}, joined{channels, groups * cut[0]};
    parted.insert(parted.end(), cut.begin() + kSpatial, cut.end());
    joined.insert(joined.end(), cut.begin() + kSpatial, cut.end());
    Integers order{2, 1, 0};
    for (std::size_t i = 3; i < parted.size(); ++i) order.push_back(static_cast<std::int64_t>(i));
    from = nodes.add("Reshape", {from, nodes.sizes(parted)}, {{"allowzero", true}});
    from = nodes.add("Transpose", {from}, {{"perm", order}});
    from = nodes.add("Reshape", {from, nodes.sizes(joined)}, {{"allowzero", true}});
  }
  for (std::size_t i = 0; i < window.size(); ++i) {
    std::swap(window[i].stride, window[i].dilation);
    window[i].kernel = g[kSpatial + i].value();
  }
  OnnxValue filters = nodes.add("Transpose", {operands[1]}, {{"perm", swapped}});
  OnnxValue y = nodes.add("Conv", {from, filters}, onnx_window(window, groups));
  return {nodes.add("Transpose", {y}, {{"perm", swapped}})};
}

// Tap by tap, a product of matrices for each group: for positions whose number is symbolic, which
// ONNX does not take as a window.
std::vector<Var> filter_gradient_in_taps(GraphBuilder& builder, std::span<const Var> operands,
                                         const Attributes& attributes) {
  Var x = operands[0], g = operands[1];
  std::vector<TensorType> types{x.type(), g.type()};
  OpInstance instance{&get_op("conv_filter_gradient"), types, attributes};
  Window window = filter_window(instance);
  Dim groups = groups_of(instance);
  // [batch, groups, channels of one, positions], to [groups, channels, batch and positions].
  auto matrices = [&](Var value) {
    Dim batch = value.shape()[kBatch], channels = per_group(instance, value.shape()[kChannels]);
    Dim count = element_count(spatial(value.shape()));
    value = reshape_to(builder, value, {batch, groups, channels, count});
    value = builder.apply("transpose", {value}, {{"permutation", Integers{1, 2, 0, 3}}});
    return reshape_to(builder, value, {groups, channels, batch * count});
  };
  Var filters = matrices(g);
  std::vector<Var> parts;
  for (Var value : under_taps(builder, x, window, 0)) {
    Var product = builder.apply("matmul", {filters, matrices(value)}, {{"transpose_b", true}});
    Shape column = product.shape();
    column.emplace_back(1);
    parts.push_back(reshape_to(builder, product, column));
  }
  Shape result{g.shape()[kChannels], per_group(instance, x.shape()[kChannels])};
  for (const WindowAxis& axis : window) result.emplace_back(axis.kernel);
  return {reshape_to(builder, builder.apply("concat", parts, {{"axis", std::int64_t{3}}}), result)};
}

OpDef conv_filter_gradient_op() {
  OpDef op = contraction_over_windows(
      {"conv_filter_gradient",
       "The gradient of conv for its filters: products of x under each tap with the gradient of "
       "the "
       "result, summed over the batch and all positions.",
       "x is [N, C, ...], g [N, M, ...] as the result of conv with these attributes and a window "
       "of "
       "the sizes `kernel`, and the result [M, C / groups, ...]. Each element is a chain of fused "
       "multiply-adds over the batch and the positions under it in row-major order, in chunks as "
       "in "
       "conv; the frame is zeros.",
       OnnxOp::none()});
  op.operands[1].name = "g";
  op = with_attribute(std::move(op), "kernel", AttributeKind::integers,
                      "Sizes of the window, for each spatial axis.");
  op = with_groups(with_window(std::move(op)));
  op.infer = infer_filter_gradient;
  op.comprehension = filter_gradient_comprehension;
  op.to_onnx = filter_gradient_to_onnx;
  op.onnx_body = filter_gradient_in_taps;
  return with_gradient(std::move(op), [](const GradientContext& context) {
    Var x = context.operands[0], g = context.operands[1], filters = context.cotangents[0];
    Window window = filter_window(context.instance);
    return gradients_of(
        context, [&] { return transposed_over(context, x.shape(), g, filters, window); },
        [&] { return apply_with(context, "conv", x, filters, window); });
  });
}

}  // namespace

void add_conv_ops(OpTable& table) {
  table.add(conv_op());
  table.add(conv_transpose_op());
  table.add(conv_filter_gradient_op());
}

}  // namespace weir
