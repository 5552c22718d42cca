// max_pool, and arg_max_pool for its gradient.

#include <limits>

#include "ir/ops/ops.h"
#include "ir/ops/pooling.h"

namespace weir {
namespace {

using namespace ops;

// What is below every number of an operand.
constexpr double kLeast = -std::numeric_limits<double>::infinity();
constexpr std::int64_t kNoTap = std::numeric_limits<std::int64_t>::max();

Comprehension max_pool_comprehension(const OpInstance& instance) {
  const TensorType& x = instance.operand(0);
  Window window = pool_window(instance, x.shape);
  DType type = compute_type(x.dtype);
  Comprehension result;
  result.reduce_extents = extents_of(window);
  Reduction reduction;
  reduction.name = "max";
  reduction.types = {type};
  reduction.identity = {scalar::bits_of(type, kLeast)};
  reduction.step = [](std::span<const Expr> a, std::span<const Expr> b) {
    return std::vector<Expr>{max(a[0], b[0])};
  };
  reduction.merge = reduction.step;
  reduction.chunk = kTapChunk;
  result.reduction = std::move(reduction);
  result.body = [=, shape = x.shape](const Element& element) {
    WindowTap tap = tap_of(element, window, shape, element.reduce);
    DType stored = element.instance.operand(0).dtype;
    Expr value = tap.guard.valid()
                     ? element.load_if(0, tap.guard, number_of(element, stored, kLeast), tap.index)
                     : element.load(0, tap.index);
    return std::vector<Expr>{cast(value, type)};
  };
  return result;
}

std::vector<OnnxValue> max_pool_to_onnx(OnnxNodes& nodes, const OpInstance& instance,
                                        std::span<const OnnxValue> operands) {
  const TensorType& x = instance.operand(0);
  Window window = pool_window(instance, x.shape);
  // Frames of as many elements as the kernel, negative ones, and integers of more than a byte are
  // not ONNX's.
  if (!is_float(x.dtype) && byte_size(x.dtype) > 1) return {};
  for (const WindowAxis& axis : window)
    if (axis.low < 0 || axis.high < 0 || axis.low >= axis.kernel || axis.high >= axis.kernel)
      return {};
  return {nodes.add("MaxPool", {operands[0]}, onnx_window(window))};
}

// The greatest of what lies under the taps.
std::vector<Var> max_pool_in_taps(GraphBuilder& builder, std::span<const Var> operands,
                                  const Attributes& attributes) {
  std::vector<TensorType> types{operands[0].type()};
  Window window = pool_window({&get_op("max_pool"), types, attributes}, types[0].shape);
  Var greatest;
  for (Var value : under_taps(builder, operands[0], window, kLeast))
    greatest = greatest.valid() ? builder.apply("maximum", {greatest, value}) : value;
  return {greatest};
}

std::optional<WayBack> max_pool_way_back(const OpInstance& instance) {
  const Shape& x = instance.operand(0).shape;
  const Window window = pool_window(instance, x);
  std::optional<Window> spread = spread_to(window, x);
  if (!spread) return std::nullopt;
  return WayBack{"arg_max_pool", pool_attributes(window), "window_put", pool_attributes(*spread)};
}

OpDef max_pool_op() {
  OpDef op = with_ceil_mode(pool(
      {"max_pool",
       "The maximum of each window of each channel.",
       "x is [N, C, ...] with spatial axes. NaN if any element of the window is NaN. Elements of "
       "the frame take no part; of a window in it alone the maximum is -inf, or the lowest "
       "integer. The gradient goes to the first of equal maxima, in row-major order within the "
       "window, and to the first NaN.",
       {"MaxPool"}},
      TypeSet::numbers));
  op.infer = infer_pool;
  op.comprehension = max_pool_comprehension;
  op.way_back = max_pool_way_back;
  op.to_onnx = max_pool_to_onnx;
  op.onnx_body = max_pool_in_taps;
  return with_gradient(std::move(op), [](const GradientContext& context) -> std::vector<Var> {
    Var x = context.operands[0];
    Window window = pool_window(context.instance, x.shape());
    std::vector<Var> best = context.builder.apply_all("arg_max_pool", {x}, pool_attributes(window));
    return {put_back(context, x.shape(), best[1], window)};
  });
}

// --- arg_max_pool ------------------------------------------------------------

// The greater of two pairs of a value and the number of its tap: NaN above all, and the lower
// number of equal values.
std::vector<Expr> greater_pair(std::span<const Expr> a, std::span<const Expr> b) {
  Expr same = a[0] == b[0];
  Expr above = b[0] > a[0];
  if (is_float(a[0].type())) {
    same = same | (is_nan(a[0]) & is_nan(b[0]));
    above = above | (is_nan(b[0]) & !is_nan(a[0]));
  }
  Expr take = above | (same & (b[1] < a[1]));
  return {select(take, b[0], a[0]), select(take, b[1], a[1])};
}

Comprehension arg_max_pool_comprehension(const OpInstance& instance) {
  const TensorType& x = instance.operand(0);
  Window window = pool_window(instance, x.shape);
  DType type = compute_type(x.dtype);
  Comprehension result;
  result.reduce_extents = extents_of(window);
  Reduction reduction;
  reduction.name = "arg_max";
  reduction.types = {type, DType::i64};
  reduction.identity = {scalar::bits_of(type, kLeast), scalar::from_i64(kNoTap)};
  reduction.step = greater_pair;
  reduction.merge = greater_pair;
  reduction.chunk = kTapChunk;
  result.reduction = std::move(reduction);
  result.body = [=, shape = x.shape](const Element& element) {
    WindowTap tap = tap_of(element, window, shape, element.reduce);
    DType stored = element.instance.operand(0).dtype;
    Expr number = linearize(element, element.reduce, extents_of(window));
    if (!tap.guard.valid())
      return std::vector<Expr>{cast(element.load(0, tap.index), type), number};
    Expr value = element.load_if(0, tap.guard, number_of(element, stored, kLeast), tap.index);
    return std::vector<Expr>{cast(value, type), select(tap.guard, number, element.number(kNoTap))};
  };
  return result;
}

// greater_pair from tap to tap.
std::vector<Var> arg_max_pool_in_taps(GraphBuilder& builder, std::span<const Var> operands,
                                      const Attributes& attributes) {
  Var x = operands[0];
  std::vector<TensorType> types{x.type()};
  Window window = pool_window({&get_op("arg_max_pool"), types, attributes}, x.shape());
  std::vector<Var> values = under_taps(builder, x, window, kLeast);
  std::vector<Var> present = under_taps(
      builder, broadcast_to(builder, builder.scalar(DType::boolean, 1), x.shape()), window, 0);
  auto apply = [&](const char* op, Var a, Var b) { return builder.apply(op, {a, b}); };
  auto is_nan = [&](Var a) { return apply("not_equal", a, a); };
  Tensor none(DType::i64, {});
  none.set_bits(0, scalar::from_i64(kNoTap));
  Var no_tap = builder.constant(std::move(none));
  Var best = broadcast_to(builder, builder.scalar(x.dtype(), kLeast), values[0].shape());
  Var tap = broadcast_to(builder, no_tap, values[0].shape());
  for (std::size_t k = 0; k < values.size(); ++k) {
    Var here = builder.apply(
        "select", {present[k], builder.scalar(DType::i64, static_cast<double>(k)), no_tap});
    Var same = apply("equal", best, values[k]), above = apply("greater", values[k], best);
    if (is_float(x.dtype())) {
      Var was = is_nan(best), is = is_nan(values[k]);
      same = apply("logical_or", same, apply("logical_and", was, is));
      above =
          apply("logical_or", above, apply("logical_and", is, builder.apply("logical_not", {was})));
    }
    Var take = apply("logical_or", above, apply("logical_and", same, apply("less", here, tap)));
    best = builder.apply("select", {take, values[k], best});
    tap = builder.apply("select", {take, here, tap});
  }
  return {best, tap};
}

OpDef arg_max_pool_op() {
  OpDef op = with_ceil_mode(pool(
      {"arg_max_pool", "The maximum of each window, and the number of the tap it lies under.",
       "As max_pool; the second result is i64 and counts the taps of a window in row-major order. "
       "Of equal maxima it is the first, NaN being above all; where a window lies in the frame "
       "alone it is the highest integer.",
       OnnxOp::none()},
      TypeSet::numbers));
  op.result_names = {"maximum", "tap"};
  op.infer = [](const OpInstance& instance) {
    std::vector<TensorType> result = infer_pool(instance);
    result.push_back({DType::i64, result[0].shape});
    return result;
  };
  op.comprehension = arg_max_pool_comprehension;
  op.onnx_body = arg_max_pool_in_taps;
  return with_gradient(std::move(op), [](const GradientContext& context) -> std::vector<Var> {
    Var x = context.operands[0];
    Window window = pool_window(context.instance, x.shape());
    return {put_back(context, x.shape(), context.results[1], window)};
  });
}

}  // namespace

void add_max_pool_ops(OpTable& table) {
  table.add(max_pool_op());
  table.add(arg_max_pool_op());
}

}  // namespace weir
