// conv_filter_gradient_columns: conv's gradient for its filters of one channel, column by column.
//
// With a chain over all positions vectors can only run along the channels. Where these lie apart, as
// those of images that are given from outside, both operands are copied with channels innermost, or
// turned, which takes longer than the sums. Here each column of the result's images has a chain of
// its own, so that vectors run along the images' rows, as they lie in memory. What is left is a
// number for each column and tap, in the place of a whole column of the images.

#include <array>

#include <fmt/format.h>

#include "ir/ops/convolution.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;

// Columns that fill vectors, of whatever length, and rows beside which adding up what each column
// has is little.
constexpr std::int64_t kEnoughColumns = 12;
constexpr std::int64_t kEnoughRows = 8;

Window window_of_columns(const OpInstance& instance) {
  return window_of(instance, instance.attributes.integers("kernel"));
}

std::vector<TensorType> infer_columns(const OpInstance& instance) {
  check_ranks(instance);
  const Shape &x = instance.operand(0).shape, &g = instance.operand(1).shape;
  const Window window = window_of_columns(instance);
  if (window.size() + kSpatial != x.size())
    throw Error(fmt::format("the kernel has {} sizes for the {} spatial axes of {}", window.size(),
                            x.size() - kSpatial, to_string(instance.operand(0))));
  Shape wanted{x[kBatch], x[kChannels]};
  TensorType result{instance.operand(0).dtype, {x[kChannels]}};
  for (std::size_t i = 0; i < window.size(); ++i) {
    wanted.push_back(window[i].positions(x[kSpatial + i]));
    result.shape.emplace_back(window[i].kernel);
  }
  result.shape.push_back(wanted.back());
  if (g != wanted)
    throw Error(fmt::format("operand g is {} and the windows of {} make {}",
                            to_string(instance.operand(1)), to_string(instance.operand(0)),
                            to_string(wanted)));
  return {std::move(result)};
}

Comprehension columns_comprehension(const OpInstance& instance) {
  const Shape &x = instance.operand(0).shape, &g = instance.operand(1).shape;
  const Window window = window_of_columns(instance);
  const DType type = accumulator_type(instance.operand(0).dtype);
  Comprehension result;
  result.reduce_extents = {x[kBatch]};
  result.reduce_extents.insert(result.reduce_extents.end(), g.begin() + kSpatial, g.end() - 1);
  result.reduction = dot(type);
  result.body = [=](const Element& element) {
    std::array first{element.reduce[0], element.index[0]};
    std::vector<Expr> positions(element.reduce.begin() + 1, element.reduce.end());
    positions.push_back(element.index.back());
    Expr a = tapped(element, window, first, positions, element.index.subspan(1, window.size()));
    std::vector<Expr> index(first.begin(), first.end());
    index.insert(index.end(), positions.begin(), positions.end());
    return std::vector<Expr>{cast(a, type), cast(element.load(1, index), type)};
  };
  return result;
}

std::vector<std::int64_t> axes_of_rows(const Shape& g) {
  std::vector<std::int64_t> axes{kBatch};
  for (std::size_t axis = kSpatial; axis + 1 < g.size(); ++axis)
    axes.push_back(static_cast<std::int64_t>(axis));
  return axes;
}

// Tap by tap, a product and its sums over the rows, in the type that sums have.
std::vector<Var> columns_in_taps(GraphBuilder& builder, std::span<const Var> operands,
                                 const Attributes& attributes) {
  const std::vector<TensorType> types{operands[0].type(), operands[1].type()};
  const OpInstance instance{&get_op("conv_filter_gradient_columns"), types, attributes};
  const Window window = window_of_columns(instance);
  const Shape& g = types[1].shape;
  Shape result{g[kChannels]}, column{g[kChannels], 1, g.back()};
  for (const WindowAxis& axis : window) result.emplace_back(axis.kernel);
  result.push_back(g.back());
  std::vector<Var> parts;
  for (const Var& value : under_taps(builder, operands[0], window, 0)) {
    Var sum = builder.apply("reduce_sum", {builder.apply("mul", {value, operands[1]})},
                            {{"axes", axes_of_rows(g)}});
    parts.push_back(reshape_to(builder, sum, column));
  }
  return {reshape_to(builder, builder.apply("concat", parts, {{"axis", std::int64_t{1}}}), result)};
}

// What each tap has of the cotangent, for all positions: the same for all of a column.
std::vector<Var> cotangents_of_taps(const GradientContext& context, const Shape& g) {
  GraphBuilder& builder = context.builder;
  const Window window = window_of_columns(context.instance);
  std::int64_t taps = 1;
  for (const WindowAxis& axis : window) taps *= axis.kernel;
  Var all = reshape_to(builder, context.cotangents[0], {g[kChannels], taps, g.back()});
  Shape column(g.size(), Dim(1));
  column[kChannels] = g[kChannels];
  column.back() = g.back();
  std::vector<Var> result;
  for (std::int64_t tap = 0; tap < taps; ++tap) {
    Var one = builder.apply(
        "slice", {all},
        {{"starts", Shape{0, tap, 0}}, {"limits", Shape{g[kChannels], tap + 1, g.back()}}});
    result.push_back(broadcast_to(builder, reshape_to(builder, one, column), g));
  }
  return result;
}

std::vector<Var> gradients_of_columns(const GradientContext& context) {
  GraphBuilder& builder = context.builder;
  const Var &x = context.operands[0], &g = context.operands[1];
  const Window window = window_of_columns(context.instance);
  std::vector<Var> gradients(2), parts = cotangents_of_taps(context, g.shape());
  if (context.wanted[1]) {
    const std::vector<Var> values = under_taps(builder, x, window, 0);
    for (std::size_t tap = 0; tap < parts.size(); ++tap) {
      Var part = builder.apply("mul", {values[tap], parts[tap]});
      gradients[1] = tap == 0 ? part : builder.apply("add", {gradients[1], part});
    }
  }
  if (context.wanted[0]) {
    for (Var& part : parts) part = builder.apply("mul", {g, part});
    gradients[0] = spread_over(builder, window, x.shape(), [&](const Window& spread) {
      return from_taps(builder, parts, spread);
    });
  }
  return gradients;
}

OpDef conv_filter_gradient_columns_op() {
  OpDef op = contraction_over_windows(
      {"conv_filter_gradient_columns",
       "conv_filter_gradient of filters of one channel, with a sum for each column of g.",
       "x is [N, C, ...], g [N, C, ...] as the result of conv with these attributes, a filter for "
       "each channel and a window of the sizes `kernel`, and the result [C, kernel..., the last "
       "size of g]. Each element is a chain of fused multiply-adds over the batch and the other "
       "positions in row-major order, in chunks as in conv; the frame is zeros.",
       OnnxOp::none()});
  op.operands[1].name = "g";
  op = with_attribute(std::move(op), "kernel", AttributeKind::integers,
                      "Sizes of the window, for each spatial axis.");
  op = with_window(std::move(op));
  op.infer = infer_columns;
  op.comprehension = columns_comprehension;
  op.onnx_body = columns_in_taps;
  return with_gradient(std::move(op), gradients_of_columns);
}

}  // namespace

namespace ops {

bool goes_by_columns(const Var& x, const Var& g, const Shape& filters) {
  const Shape &images = x.shape(), &result = g.shape();
  const bool is_given =
      x.builder().graph().value(x.id()).kind != Value::Kind::result && x.dtype() == g.dtype();
  if (!is_given || x.dtype() != accumulator_type(x.dtype()) || images.size() < kSpatial + 2 ||
      images[kChannels] != result[kChannels] || filters[kChannels] != Dim(1))
    return false;
  Dim rows = 1;
  for (std::size_t axis = kSpatial; axis + 1 < result.size(); ++axis) rows = rows * result[axis];
  return result.back().constant().value_or(0) >= kEnoughColumns &&
         rows.constant().value_or(kEnoughRows) >= kEnoughRows;
}

Var filter_gradient_by_columns(GraphBuilder& builder, const Var& x, const Var& g,
                               const Window& window) {
  Attributes attributes = attributes_of(window);
  attributes.set("kernel", sizes_of(window));
  Var columns = builder.apply("conv_filter_gradient_columns", {x, g}, std::move(attributes));
  Shape filters{g.shape()[kChannels], 1};
  for (const WindowAxis& axis : window) filters.emplace_back(axis.kernel);
  const auto last = static_cast<std::int64_t>(columns.shape().size() - 1);
  Var sums = builder.apply("reduce_sum", {columns}, {{"axes", std::vector<std::int64_t>{last}}});
  return reshape_to(builder, sums, filters);
}

}  // namespace ops

void add_conv_filter_gradient_columns_ops(OpTable& table) {
  table.add(conv_filter_gradient_columns_op());
}

}  // namespace weir
