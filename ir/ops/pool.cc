// Pools: the maximum and the mean of the windows of each channel.
//
// The gradient of a maximum goes where the maximum came from. Which tap of each window that is, is
// a value of its own: arg_max_pool gives it, window_take reads x under given taps, and window_put
// brings values back there, added up where windows overlap. The last two are each other's
// gradients. A mean is a convolution with ones, over how many there are.

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "ir/ops/ops.h"
#include "ir/ops/window.h"

namespace weir {
namespace {

using namespace ops;

using Integers = std::vector<std::int64_t>;

constexpr std::size_t kSpatial = 2;  // the first spatial axis
constexpr std::int64_t kTapChunk = 1024;
constexpr std::int64_t kNoTap = std::numeric_limits<std::int64_t>::max();

// The window of a pool of an operand of that shape. With ceil_mode, its frame at the end is wider.
Window pool_window(const OpInstance& instance, const Shape& x) {
  if (x.size() <= kSpatial)
    throw Error(fmt::format("operand {} is {}; it must have a batch, channels and spatial axes",
                            instance.op->operands[0].name, to_string(instance.operand(0))));
  Window window = window_of(instance, instance.attributes.integers("kernel"));
  if (window.size() + kSpatial != x.size())
    throw Error(fmt::format("the kernel has {} sizes for the {} spatial axes of {}", window.size(),
                            x.size() - kSpatial, to_string(instance.operand(0))));
  const Attribute* ceil = instance.attributes.find("ceil_mode");
  if (ceil != nullptr && std::get<bool>(*ceil))
    for (std::size_t i = 0; i < window.size(); ++i) window[i] = window[i].ceiling(x[kSpatial + i]);
  return window;
}

Shape pooled_shape(const Window& window, const Shape& x) {
  Shape shape(x.begin(), x.begin() + kSpatial);
  for (std::size_t i = 0; i < window.size(); ++i)
    shape.push_back(window[i].positions(x[kSpatial + i]));
  return shape;
}

Integers sizes_of(const Window& window) {
  Integers sizes;
  for (const WindowAxis& axis : window) sizes.push_back(axis.kernel);
  return sizes;
}

Shape extents_of(const Window& window) {
  Shape extents;
  for (const WindowAxis& axis : window) extents.emplace_back(axis.kernel);
  return extents;
}

OpDef pool(Text text, TypeSet types) {
  OpDef op = declare("window", std::move(text));
  op.operands = {{"x", types}};
  op = with_attribute(std::move(op), "kernel", AttributeKind::integers,
                      "Sizes of the window, for each spatial axis.");
  return with_window(std::move(op));
}

OpDef with_ceil_mode(OpDef op) {
  return with_attribute(
      std::move(op), "ceil_mode", false,
      "A last window may reach beyond the frame, if it begins within x or before.");
}

Attributes pool_attributes(const Window& window) {
  Attributes attributes = attributes_of(window);
  attributes.set("kernel", sizes_of(window));
  return attributes;
}

// The cotangent, brought back to those taps of the windows of a value of that shape.
Var put_back(const GradientContext& context, const Shape& x, Var taps, const Window& window) {
  return spread_over(context.builder, window, x, [&](const Window& spread) {
    return context.builder.apply("window_put", {context.cotangents[0], taps},
                                 pool_attributes(spread));
  });
}

// Where the taps of a window lie.
struct Tap {
  std::vector<Expr> index;  // into x
  Expr guard;               // invalid where it always is in x
};

Tap tap_of(const Element& element, const Window& window, const Shape& x,
           std::span<const Expr> taps) {
  Tap result{{element.index[0], element.index[1]}, {}};
  for (std::size_t i = 0; i < window.size(); ++i) {
    Expr at = window[i].tap(element.index[kSpatial + i], taps[i]);
    Expr has = window[i].has_tap(element, at, x[kSpatial + i]);
    if (has.valid()) result.guard = result.guard.valid() ? result.guard & has : has;
    result.index.push_back(at);
  }
  return result;
}

Expr constant(const Element& element, DType type, double value) {
  return {element.arena, element.arena.constant(type, value)};
}

Expr tap_number(const Element& element, std::int64_t value) { return element.number(value); }

OnnxValue pool_to_onnx(OnnxNodes& nodes, const char* type, const Window& window, OnnxValue x,
                       Attributes attributes) {
  Integers strides, dilations, pads, high;
  for (const WindowAxis& axis : window) {
    strides.push_back(axis.stride);
    dilations.push_back(axis.dilation);
    pads.push_back(axis.low);
    high.push_back(axis.high);
  }
  pads.insert(pads.end(), high.begin(), high.end());
  attributes.set("kernel_shape", sizes_of(window));
  attributes.set("strides", strides);
  attributes.set("dilations", dilations);
  attributes.set("pads", pads);
  return nodes.add(type, {std::move(x)}, attributes);
}

// The number of a tap, to be compared with those in `like`.
Var number_like(GraphBuilder& builder, Var like, std::int64_t value) {
  return builder.scalar(like.dtype(), static_cast<double>(value));
}

// --- max_pool ----------------------------------------------------------------

Comprehension max_pool_comprehension(const OpInstance& instance) {
  const TensorType& x = instance.operand(0);
  Window window = pool_window(instance, x.shape);
  DType type = compute_type(x.dtype);
  constexpr double kLeast = -std::numeric_limits<double>::infinity();
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
    Tap tap = tap_of(element, window, shape, element.reduce);
    DType stored = element.instance.operand(0).dtype;
    Expr value = tap.guard.valid()
                     ? element.load_if(0, tap.guard, constant(element, stored, kLeast), tap.index)
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
  return {pool_to_onnx(nodes, "MaxPool", window, operands[0], {})};
}

// The greatest of what lies under the taps.
std::vector<Var> max_pool_in_taps(GraphBuilder& builder, std::span<const Var> operands,
                                  const Attributes& attributes) {
  std::vector<TensorType> types{operands[0].type()};
  Window window = pool_window({&get_op("max_pool"), types, attributes}, types[0].shape);
  constexpr double kLeast = -std::numeric_limits<double>::infinity();
  Var greatest;
  for (Var value : under_taps(builder, operands[0], window, kLeast))
    greatest = greatest.valid() ? builder.apply("maximum", {greatest, value}) : value;
  return {greatest};
}

std::vector<TensorType> infer_max_pool(const OpInstance& instance) {
  const TensorType& x = instance.operand(0);
  return {{x.dtype, pooled_shape(pool_window(instance, x.shape), x.shape)}};
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
  op.infer = infer_max_pool;
  op.comprehension = max_pool_comprehension;
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
  constexpr double kLeast = -std::numeric_limits<double>::infinity();
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
    Tap tap = tap_of(element, window, shape, element.reduce);
    DType stored = element.instance.operand(0).dtype;
    Expr number = linearize(element, element.reduce, extents_of(window));
    if (!tap.guard.valid())
      return std::vector<Expr>{cast(element.load(0, tap.index), type), number};
    Expr value = element.load_if(0, tap.guard, constant(element, stored, kLeast), tap.index);
    return std::vector<Expr>{cast(value, type),
                             select(tap.guard, number, tap_number(element, kNoTap))};
  };
  return result;
}

// greater_pair from tap to tap.
std::vector<Var> arg_max_pool_in_taps(GraphBuilder& builder, std::span<const Var> operands,
                                      const Attributes& attributes) {
  Var x = operands[0];
  std::vector<TensorType> types{x.type()};
  Window window = pool_window({&get_op("arg_max_pool"), types, attributes}, x.shape());
  constexpr double kLeast = -std::numeric_limits<double>::infinity();
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
    std::vector<TensorType> result = infer_max_pool(instance);
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

// --- window_take and window_put ----------------------------------------------

// The taps' own numbers from the number of a tap.
std::vector<Expr> split_tap(const Element& element, Expr number, const Window& window) {
  return delinearize(element, number, extents_of(window));
}

// Whether there is a tap of that number.
Expr is_tap(const Element& element, Expr number, const Window& window) {
  return (number >= 0) & (number < element.size(element_count(extents_of(window))));
}

void check_taps(const OpInstance& instance, const Shape& shape) {
  if (instance.operand(1).shape == shape) return;
  throw Error(fmt::format("operand taps is {}; it must be {}, one for each window",
                          to_string(instance.operand(1)), to_string(shape)));
}

std::vector<Var> take_in_taps(GraphBuilder& builder, std::span<const Var> operands,
                              const Attributes& attributes) {
  Var x = operands[0], taps = operands[1];
  std::vector<TensorType> types{x.type(), taps.type()};
  Window window = pool_window({&get_op("window_take"), types, attributes}, x.shape());
  std::vector<Var> values = under_taps(builder, x, window, 0);
  Var result = broadcast_to(builder, builder.scalar(x.dtype(), 0), taps.shape());
  for (std::size_t k = 0; k < values.size(); ++k) {
    Var here =
        builder.apply("equal", {taps, number_like(builder, taps, static_cast<std::int64_t>(k))});
    result = builder.apply("select", {here, values[k], result});
  }
  return {result};
}

std::vector<Var> put_in_taps(GraphBuilder& builder, std::span<const Var> operands,
                             const Attributes& attributes) {
  Var g = operands[0], taps = operands[1];
  std::vector<TensorType> types{g.type(), taps.type()};
  Window window = pool_window({&get_op("window_put"), types, attributes}, g.shape());
  std::int64_t count = element_count(extents_of(window)).value();
  std::vector<Var> values;
  for (std::int64_t k = 0; k < count; ++k) {
    Var here = builder.apply("equal", {taps, number_like(builder, taps, k)});
    values.push_back(builder.apply("select", {here, g, builder.scalar(g.dtype(), 0)}));
  }
  return {from_taps(builder, values, window)};
}

OpDef window_take_op() {
  OpDef op =
      pool({"window_take", "The element under a given tap of each window.",
            "x is [N, C, ...]; taps has a number for each window, which counts the taps in "
            "row-major order, as arg_max_pool gives it. 0 where there is no such tap, or where "
            "it lies in the frame. The gradient is window_put.",
            OnnxOp::none()},
           TypeSet::floats);
  op.operands.push_back({"taps", TypeSet::integers, OperandSpec::Presence::required, 1});
  op.infer = [](const OpInstance& instance) {
    std::vector<TensorType> result = infer_max_pool(instance);
    check_taps(instance, result[0].shape);
    return result;
  };
  op.comprehension = [](const OpInstance& instance) {
    Comprehension result;
    result.body = [window =
                       pool_window(instance, instance.operand(0).shape)](const Element& element) {
      const TensorType& x = element.instance.operand(0);
      Expr number = cast(element.load(1, element.index), DType::i64);
      Expr guard = is_tap(element, number, window);
      Tap tap = tap_of(element, window, x.shape, split_tap(element, number, window));
      if (tap.guard.valid()) guard = guard & tap.guard;
      return std::vector<Expr>{element.load_if(0, guard, constant(element, x.dtype, 0), tap.index)};
    };
    return result;
  };
  op.onnx_body = take_in_taps;
  return with_gradient(std::move(op), [](const GradientContext& context) -> std::vector<Var> {
    const Shape& x = context.instance.operand(0).shape;
    Window window = pool_window(context.instance, x);
    return {put_back(context, x, context.operands[1], window), {}};
  });
}

Shape spread_shape(const Window& window, const Shape& g) {
  Shape shape(g.begin(), g.begin() + kSpatial);
  for (std::size_t i = 0; i < window.size(); ++i)
    shape.push_back(window[i].spread(g[kSpatial + i]));
  return shape;
}

Comprehension window_put_comprehension(const OpInstance& instance) {
  const TensorType& g = instance.operand(0);
  Window window = pool_window(instance, g.shape);
  DType type = accumulator_type(g.dtype);
  Comprehension result;
  result.reduce_extents = extents_of(window);
  result.reduction = sum(type, kTapChunk);
  result.body = [=, shape = g.shape](const Element& element) {
    std::vector<Expr> index{element.index[0], element.index[1]};
    Expr guard;
    auto require = [&guard](Expr condition) {
      guard = guard.valid() ? guard & condition : condition;
    };
    for (std::size_t i = 0; i < window.size(); ++i) {
      const WindowAxis& axis = window[i];
      Expr at = element.index[kSpatial + i] + axis.low - element.reduce[i] * axis.dilation;
      require(at >= 0);
      if (axis.stride > 1) {
        Expr step = element.number(axis.stride);
        require(modulo(at, step) == 0);
        at = floor_div(at, step);
      }
      require(at < element.size(shape[kSpatial + i]));
      index.push_back(at);
    }
    Expr none = constant(element, element.instance.operand(1).dtype, -1);
    Expr tap = cast(element.load_if(1, guard, none, index), DType::i64);
    Expr here = tap == linearize(element, element.reduce, extents_of(window));
    DType stored = element.instance.operand(0).dtype;
    Expr value = element.load_if(0, guard, constant(element, stored, 0), index);
    return std::vector<Expr>{cast(select(here, value, 0.0), type)};
  };
  return result;
}

OpDef window_put_op() {
  OpDef op = pool(
      {"window_put", "Brings an element for each window back under a given tap of it, and adds up.",
       "g is [N, C, ...] with an element for each window, and taps as for window_take. The "
       "result has (O - 1) * stride + (K - 1) * dilation + 1 - low - high elements along an "
       "axis of O windows. An element is a sum over the taps that it may lie under, in "
       "row-major order. The gradient is window_take.",
       OnnxOp::none()},
      TypeSet::floats);
  op.operands[0].name = "g";
  op.operands.push_back({"taps", TypeSet::integers, OperandSpec::Presence::required, 1});
  op.infer = [](const OpInstance& instance) {
    const TensorType& g = instance.operand(0);
    check_taps(instance, g.shape);
    TensorType result{g.dtype, spread_shape(pool_window(instance, g.shape), g.shape)};
    for (const Dim& dim : result.shape)
      if (dim.is_constant() && dim.value() < 0)
        throw Error(fmt::format("the frame takes away more than there is: {}", to_string(result)));
    return std::vector<TensorType>{std::move(result)};
  };
  op.comprehension = window_put_comprehension;
  op.onnx_body = put_in_taps;
  return with_gradient(std::move(op), [](const GradientContext& context) -> std::vector<Var> {
    Window window = pool_window(context.instance, context.instance.operand(0).shape);
    return {context.builder.apply("window_take", {context.cotangents[0], context.operands[1]},
                                  pool_attributes(window)),
            {}};
  });
}

// --- average_pool ------------------------------------------------------------

Var ones(GraphBuilder& builder, DType type, Shape shape) {
  return broadcast_to(builder, builder.scalar(type, 1), shape);
}

std::vector<Var> average_pool_body(GraphBuilder& builder, std::span<const Var> operands,
                                   const Attributes& attributes) {
  Var x = operands[0];
  std::vector<TensorType> types{x.type()};
  OpInstance instance{&get_op("average_pool"), types, attributes};
  Window window = pool_window(instance, x.shape());
  Shape single{1, 1}, one_channel{x.shape()[0] * x.shape()[1], 1};
  one_channel.insert(one_channel.end(), x.shape().begin() + kSpatial, x.shape().end());
  Shape space = single, kernel = single;
  space.insert(space.end(), x.shape().begin() + kSpatial, x.shape().end());
  for (const WindowAxis& axis : window) kernel.emplace_back(axis.kernel);
  Var taps = ones(builder, x.dtype(), kernel);
  Var sum =
      builder.apply("conv", {reshape_to(builder, x, one_channel), taps}, attributes_of(window));

  // The frame counts where it is asked to, but never what ceil_mode adds to it.
  bool counts_frame = attributes.boolean("count_include_pad");
  Window counted = window;
  Shape low(space.size(), Dim(0)), high = low;
  bool all_alike = true;
  Window stated = window_of(instance, instance.attributes.integers("kernel"));
  for (std::size_t i = 0; i < window.size(); ++i) {
    if (counts_frame) {
      low[kSpatial + i] = std::max<std::int64_t>(0, counted[i].low);
      high[kSpatial + i] = std::max<std::int64_t>(0, stated[i].high);
      counted[i].low -= low[kSpatial + i].value();
      counted[i].high -= high[kSpatial + i].value();
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
  op.infer = infer_max_pool;
  op.composite = average_pool_body;
  return op;
}

}  // namespace

void add_pool_ops(OpTable& table) {
  table.add(max_pool_op());
  table.add(arg_max_pool_op());
  table.add(window_take_op());
  table.add(window_put_op());
  table.add(average_pool_op());
}

}  // namespace weir
