// conv_filter_gradient: conv's gradient for its filters.

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "ir/ops/convolution.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;

using Integers = std::vector<std::int64_t>;

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
  OnnxValue y = nodes.add("Conv", {from, filters}, onnx_convolution(window, groups));
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
       "the result, summed over the batch and all positions.",
       "x is [N, C, ...], g [N, M, ...] as the result of conv with these attributes and a window "
       "of the sizes `kernel`, and the result [M, C / groups, ...]. Each element is a chain of "
       "fused multiply-adds over the batch and the positions under it in row-major order, in "
       "chunks as in conv; the frame is zeros.",
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

void add_conv_filter_gradient_ops(OpTable& table) { table.add(conv_filter_gradient_op()); }

}  // namespace weir
