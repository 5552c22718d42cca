#include "ir/ops/convolution.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "ir/ops/image_sums.h"

namespace weir::ops {
namespace {

using Integers = std::vector<std::int64_t>;

Attributes window_attributes(const OpInstance& instance, const Window& window) {
  Attributes attributes = attributes_of(window);
  attributes.set("groups", instance.attributes.integer("groups"));
  return attributes;
}

// The same without its bias, plus that.
std::vector<Var> body_with_bias(const std::string& name, GraphBuilder& builder,
                                std::span<const Var> operands, const Attributes& attributes) {
  Var y = builder.apply(name, {operands[0], operands[1]}, attributes);
  Shape spread(y.shape().size() - 1, Dim(1));
  spread[0] = y.shape()[kChannels];
  return {builder.apply("add", {y, reshape_to(builder, operands[2], spread)})};
}

}  // namespace

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

Dim per_group(const OpInstance& instance, const Dim& channels) {
  std::int64_t groups = instance.attributes.integer("groups");
  std::optional<Dim> size = groups < 1 ? std::nullopt : channels.divided_by(Dim(groups));
  if (!size)
    throw Error(
        fmt::format("{} channels do not divide into {} groups", channels.to_string(), groups));
  return *size;
}

Dim groups_of(const OpInstance& instance) { return instance.attributes.integer("groups"); }

Expr group_channel(const Element& element, Expr other, const Dim& other_size, Expr within,
                   const Dim& size) {
  if (groups_of(element.instance) == Dim(1)) return within;
  Expr group = other_size == Dim(1) ? other : floor_div(other, element.size(other_size));
  return size == Dim(1) ? group : group * element.size(size) + within;
}

Expr both(Expr a, Expr b) { return !a.valid() ? b : !b.valid() ? a : a & b; }

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

// --- Declarations ------------------------------------------------------------

OpDef contraction_over_windows(Text text) {
  OpDef op = declare("window", std::move(text));
  op.operands = {{"x", TypeSet::floats}, {"w", TypeSet::floats}};
  op.is_contraction = true;
  op.takes_images = true;
  return op;
}

OpDef with_groups(OpDef op) {
  return with_attribute(std::move(op), "groups", std::int64_t{1},
                        "Groups of channels; each filter sees the channels of one.");
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

void check_bias(const OpInstance& instance, const Dim& channels) {
  if (!instance.has_operand(2) || instance.operand(2).shape == Shape{channels}) return;
  throw Error(
      fmt::format("operand bias is {}; it must have one element for each of the {} "
                  "channels of the result",
                  to_string(instance.operand(2)), channels.to_string()));
}

std::optional<OperandAxis> axis_over_windows(const OpInstance& instance, std::size_t axis,
                                             std::size_t channels_of_w) {
  if (axis == kBatch) return OperandAxis{0, kBatch};
  if (axis == kChannels && groups_of(instance) == Dim(1)) return OperandAxis{1, channels_of_w};
  return std::nullopt;
}

// --- Gradients ---------------------------------------------------------------

std::vector<Var> gradients_of(const GradientContext& context, const std::function<Var()>& first,
                              const std::function<Var()>& second) {
  std::vector<Var> gradients(context.operands.size());
  if (context.wanted[0]) gradients[0] = first();
  if (context.wanted[1]) gradients[1] = second();
  if (context.operands.size() > 2 && context.wanted[2])
    gradients[2] = sum_of_channels(context.builder, context.results[0], context.cotangents[0]);
  return gradients;
}

Var apply_with(const GradientContext& context, const char* op, Var a, Var b, const Window& window) {
  Attributes attributes = window_attributes(context.instance, window);
  if (std::string_view(op) == "conv_filter_gradient") attributes.set("kernel", sizes_of(window));
  return context.builder.apply(op, {a, b}, std::move(attributes));
}

Var transposed_over(const GradientContext& context, const Shape& x, Var a, Var b,
                    const Window& window) {
  return spread_over(context.builder, window, x, [&](const Window& spread) {
    return apply_with(context, "conv_transpose", a, b, spread);
  });
}

// --- ONNX --------------------------------------------------------------------

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

Attributes onnx_convolution(const Window& window, const Dim& groups) {
  Attributes attributes = onnx_window(window);
  attributes.set("group", groups.value());
  return attributes;
}

}  // namespace weir::ops
