// average_pool: a convolution with ones, over how many there are.

#include <algorithm>

#include "ir/ops/ops.h"
#include "ir/ops/pooling.h"

namespace weir {
namespace {

using namespace ops;

Var ones(GraphBuilder& builder, DType type, Shape shape) {
  return broadcast_to(builder, builder.scalar(type, 1), shape);
}

// Each channel is a group of its own, so that the gradient has the images' shape, and what masks it
// is in its epilogue. Of channels whose number is known only at the call each is an image.
Var sum_of_windows(GraphBuilder& builder, Var x, const Window& window, Shape kernel) {
  Attributes attributes = attributes_of(window);
  if (const std::optional<std::int64_t> channels = x.shape()[1].constant();
      channels && *channels > 0) {
    attributes.set("groups", *channels);
    kernel[0] = *channels;
  } else {
    Shape one_channel{x.shape()[0] * x.shape()[1], 1};
    one_channel.insert(one_channel.end(), x.shape().begin() + kPooled, x.shape().end());
    x = reshape_to(builder, x, one_channel);
  }
  return builder.apply("conv", {x, ones(builder, x.dtype(), kernel)}, std::move(attributes));
}

std::vector<Var> average_pool_body(GraphBuilder& builder, std::span<const Var> operands,
                                   const Attributes& attributes) {
  Var x = operands[0];
  std::vector<TensorType> types{x.type()};
  OpInstance instance{&get_op("average_pool"), types, attributes};
  Window window = pool_window(instance, x.shape());
  Shape space{1, 1}, kernel{1, 1};
  space.insert(space.end(), x.shape().begin() + kPooled, x.shape().end());
  for (const WindowAxis& axis : window) kernel.emplace_back(axis.kernel);
  Var taps = ones(builder, x.dtype(), kernel);
  Var sum = sum_of_windows(builder, x, window, kernel);

  // The frame counts where it is asked to, but never what ceil_mode adds to it.
  bool counts_frame = attributes.boolean("count_include_pad");
  Window counted = window;
  Shape low(space.size(), Dim(0)), high = low;
  bool all_alike = true;
  Window stated = window_of(instance, instance.attributes.integers("kernel"));
  for (std::size_t i = 0; i < window.size(); ++i) {
    if (counts_frame) {
      low[kPooled + i] = std::max<std::int64_t>(0, counted[i].low);
      high[kPooled + i] = std::max<std::int64_t>(0, stated[i].high);
      counted[i].low -= low[kPooled + i].value();
      counted[i].high -= high[kPooled + i].value();
    }
    all_alike = all_alike && counted[i].low <= 0 && counted[i].high <= 0;
  }
  Var count;
  if (all_alike) {
    count = builder.scalar(x.dtype(), static_cast<double>(element_count(kernel).value()));
  } else {
    Var present = ones(builder, x.dtype(), space);
    if (counts_frame)
      present = builder.apply("pad", {present}, {{"low", low}, {"high", high}, {"value", 1.0}});
    count = builder.apply("conv", {present, taps}, attributes_of(counted));
  }
  Var mean = builder.apply("div", {sum, count});
  return {reshape_to(builder, mean, pooled_shape(window, x.shape()))};
}

OpDef average_pool_op() {
  OpDef op = with_ceil_mode(pool(
      {"average_pool",
       "The mean of each window of each channel.",
       "x is [N, C, ...] with spatial axes. The sum, in row-major order, over the number of "
       "elements in the window: those of x, or with count_include_pad those of the frame too, as "
       "zeros; NaN where there are none.",
       {"AveragePool"}},
      TypeSet::floats));
  op = with_attribute(std::move(op), "count_include_pad", false,
                      "Whether the elements of the frame are counted.");
  op.infer = infer_pool;
  op.composite = average_pool_body;
  return op;
}

}  // namespace

void add_average_pool_ops(OpTable& table) { table.add(average_pool_op()); }

}  // namespace weir
