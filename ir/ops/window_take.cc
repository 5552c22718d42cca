// window_take and window_put: elements under given taps of windows, and back.

#include <fmt/format.h>

#include "ir/ops/ops.h"
#include "ir/ops/pooling.h"

namespace weir {
namespace {

using namespace ops;

// The number of a tap, to be compared with those in `like`.
Var number_like(GraphBuilder& builder, Var like, std::int64_t value) {
  return builder.scalar(like.dtype(), static_cast<double>(value));
}

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

// The taps of a window, of which every one but those that it has is none.
ChoiceOperand taps_of(const OpInstance& instance) {
  const Window window = pool_window(instance, instance.operand(0).shape);
  return {1, element_count(extents_of(window)).value()};
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
    std::vector<TensorType> result = infer_pool(instance);
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
      WindowTap tap = tap_of(element, window, x.shape, split_tap(element, number, window));
      if (tap.guard.valid()) guard = guard & tap.guard;
      return std::vector<Expr>{
          element.load_if(0, guard, number_of(element, x.dtype, 0), tap.index)};
    };
    return result;
  };
  op.choice_operand = taps_of;
  op.onnx_body = take_in_taps;
  return with_gradient(std::move(op), [](const GradientContext& context) -> std::vector<Var> {
    const Shape& x = context.instance.operand(0).shape;
    Window window = pool_window(context.instance, x);
    return {put_back(context, x, context.operands[1], window), {}};
  });
}

Shape spread_shape(const Window& window, const Shape& g) {
  Shape shape(g.begin(), g.begin() + kPooled);
  for (std::size_t i = 0; i < window.size(); ++i) shape.push_back(window[i].spread(g[kPooled + i]));
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
      Expr at = element.index[kPooled + i] + axis.low - element.reduce[i] * axis.dilation;
      require(at >= 0);
      if (axis.stride > 1) {
        Expr step = element.number(axis.stride);
        require(modulo(at, step) == 0);
        at = floor_div(at, step);
      }
      require(at < element.size(shape[kPooled + i]));
      index.push_back(at);
    }
    Expr none = number_of(element, element.instance.operand(1).dtype, -1);
    Expr tap = cast(element.load_if(1, guard, none, index), DType::i64);
    Expr here = tap == linearize(element, element.reduce, extents_of(window));
    DType stored = element.instance.operand(0).dtype;
    Expr value = element.load_if(0, guard, number_of(element, stored, 0), index);
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
  op.choice_operand = taps_of;
  op.onnx_body = put_in_taps;
  return with_gradient(std::move(op), [](const GradientContext& context) -> std::vector<Var> {
    Window window = pool_window(context.instance, context.instance.operand(0).shape);
    return {context.builder.apply("window_take", {context.cotangents[0], context.operands[1]},
                                  pool_attributes(window)),
            {}};
  });
}

}  // namespace

void add_window_take_ops(OpTable& table) {
  table.add(window_take_op());
  table.add(window_put_op());
}

}  // namespace weir
