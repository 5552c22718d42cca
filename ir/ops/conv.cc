// conv: the sum over the taps of a window and the channels of a group.

#include <array>

#include <fmt/format.h>

#include "ir/ops/convolution.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;

std::vector<TensorType> infer_conv(const OpInstance& instance) {
  check_ranks(instance);
  const Shape &x = instance.operand(0).shape, &w = instance.operand(1).shape;
  Dim channels = per_group(instance, x[kChannels]);
  if (w[kChannels] != channels)
    throw Error(fmt::format(
        "x has {} channels in {} groups and the filters see {}: they are {} and {}, and filters "
        "must be [filters, channels of a group, window]",
        x[kChannels].to_string(), groups_of(instance).to_string(), w[kChannels].to_string(),
        to_string(instance.operand(0)), to_string(instance.operand(1))));
  per_group(instance, w[0]);
  Window window = window_of(instance, spatial(w));
  TensorType result{instance.operand(0).dtype, {x[kBatch], w[0]}};
  for (std::size_t i = 0; i < window.size(); ++i)
    result.shape.push_back(window[i].positions(x[kSpatial + i]));
  return {std::move(result)};
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

OpDef conv_op() {
  OpDef op = with_bias(contraction_over_windows(
      {"conv",
       "Sums of products of filters with the windows of x.",
       "x is [N, C, ...] with spatial axes, w [M, C / groups, ...], bias [M] and the result [N, M, "
       "...]; filter m sees the channels of group m / (M / groups). The frame around x is zeros, "
       "which take part like any others. Each element is a chain of fused multiply-adds over the "
       "taps in row-major order and the group's channels under each tap, in chunks of 1024 that "
       "are added in a balanced tree: in f32 for f16 and bf16, and rounded once. The bias is added "
       "last. The framed x has no place for a window that is larger by no more than a stride, and "
       "the result no elements; one that is larger still is an error.",
       {"Conv"}}));
  op = with_groups(with_window(std::move(op)));
  op.infer = [](const OpInstance& instance) {
    std::vector<TensorType> result = infer_conv(instance);
    check_bias(instance, result[0].shape[kChannels]);
    return result;
  };
  op.comprehension = conv_comprehension;
  op.operand_axis = [](const OpInstance& instance, std::size_t axis) {
    return axis_over_windows(instance, axis, kBatch);
  };
  op.to_onnx = [](OnnxNodes& nodes, const OpInstance& instance,
                  std::span<const OnnxValue> operands) -> std::vector<OnnxValue> {
    Window window = window_of(instance, spatial(instance.operand(1).shape));
    std::vector<OnnxValue> inputs(operands.begin(), operands.end());
    inputs[0] = cut_frame(nodes, inputs[0], instance.operand(0).shape, window);
    return {nodes.add("Conv", std::move(inputs), onnx_convolution(window, groups_of(instance)))};
  };
  return with_gradient(std::move(op), [](const GradientContext& context) {
    Var x = context.operands[0], w = context.operands[1], g = context.cotangents[0];
    Window window = window_of(context.instance, spatial(w.shape()));
    return gradients_of(
        context, [&] { return transposed_over(context, x.shape(), g, w, window); },
        [&] {
          return goes_by_columns(x, g, w.shape())
                     ? filter_gradient_by_columns(context.builder, x, g, window)
                     : apply_with(context, "conv_filter_gradient", x, g, window);
        });
  });
}

}  // namespace

void add_conv_ops(OpTable& table) { table.add(conv_op()); }

}  // namespace weir
