// Normalizations: composites, whose bodies fusion turns into one kernel each.

#include <fmt/format.h>

#include "ir/ops/helpers.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;

Var reduce_keeping(GraphBuilder& builder, std::string_view op, Var x,
                   std::vector<std::int64_t> axes) {
  return builder.apply(op, {x}, {{"axes", std::move(axes)}, {"keep_dims", true}});
}

OpDef along_axis(Text text) {
  OpDef op = with_attribute(declare("normalize", std::move(text)), "axis", std::int64_t{-1},
                            "The axis to normalize along; negative counts from the end.", "axis");
  op.operands = {{"x", TypeSet::floats}};
  op.check = [](const OpInstance& instance) { instance.axis(instance.operand(0).rank()); };
  return op;
}

// x minus its maximum along the axis: the exponentials of that cannot overflow.
Var shifted(GraphBuilder& builder, Var x, std::int64_t axis) {
  return builder.apply("sub", {x, reduce_keeping(builder, "reduce_max", x, {axis})});
}

OpDef softmax_op() {
  OpDef op = along_axis(
      {"softmax",
       "exp(x) over its sum along an axis.",
       "Computed with the maximum subtracted, so nothing overflows. A row with NaN, with inf, "
       "or of -inf alone gives NaN. The gradient is y * (g - sum(g * y)).",
       {"Softmax", 13}});
  op.composite = [](GraphBuilder& builder, std::span<const Var> operands,
                    const Attributes& attributes) -> std::vector<Var> {
    std::int64_t axis = attributes.integer("axis");
    Var e = builder.apply("exp", {shifted(builder, operands[0], axis)});
    return {builder.apply("div", {e, reduce_keeping(builder, "reduce_sum", e, {axis})})};
  };
  return with_gradient(std::move(op), [](const GradientContext& context) -> std::vector<Var> {
    GraphBuilder& builder = context.builder;
    std::int64_t axis = context.instance.attributes.integer("axis");
    Var y = context.results[0], g = context.cotangents[0];
    Var weighted = builder.apply("mul", {g, y});
    Var sum = reduce_keeping(builder, "reduce_sum", weighted, {axis});
    return {builder.apply("mul", {y, builder.apply("sub", {g, sum})})};
  });
}

OpDef log_softmax_op() {
  OpDef op = along_axis(
      {"log_softmax",
       "The logarithm of softmax.",
       "Accurate where softmax underflows. A row with NaN, with inf, or of -inf alone gives "
       "NaN. The gradient is g - exp(y) * sum(g).",
       {"LogSoftmax", 13}});
  op.composite = [](GraphBuilder& builder, std::span<const Var> operands,
                    const Attributes& attributes) -> std::vector<Var> {
    std::int64_t axis = attributes.integer("axis");
    Var x = shifted(builder, operands[0], axis);
    Var sum = reduce_keeping(builder, "reduce_sum", builder.apply("exp", {x}), {axis});
    return {builder.apply("sub", {x, builder.apply("log", {sum})})};
  };
  return with_gradient(std::move(op), [](const GradientContext& context) -> std::vector<Var> {
    GraphBuilder& builder = context.builder;
    std::int64_t axis = context.instance.attributes.integer("axis");
    Var y = context.results[0], g = context.cotangents[0];
    Var sum = reduce_keeping(builder, "reduce_sum", g, {axis});
    Var spread = builder.apply("mul", {builder.apply("exp", {y}), sum});
    return {builder.apply("sub", {g, spread})};
  });
}

void check_layer_norm(const OpInstance& instance) {
  const TensorType& x = instance.operand(0);
  Shape normalized(x.shape.begin() + instance.axis(x.rank()), x.shape.end());
  for (std::size_t i = 1; i < instance.operands.size(); ++i)
    if (!broadcasts_to(instance.operand(i).shape, normalized))
      throw Error(fmt::format("operand {} is {}; it must broadcast to the normalized axes {} of {}",
                              instance.op->operands[i].name, to_string(instance.operand(i)),
                              to_string(normalized), to_string(x)));
  check_finite(instance, "epsilon");
}

std::vector<Var> layer_norm_body(GraphBuilder& builder, std::span<const Var> operands,
                                 const Attributes& attributes) {
  Var x = operands[0];
  std::vector<TensorType> types{x.type()};
  std::vector<std::int64_t> axes;
  for (int i = OpInstance{&get_op("layer_norm"), types, attributes}.axis(x.type().rank());
       i < x.type().rank(); ++i)
    axes.push_back(i);
  Var centered = builder.apply("sub", {x, reduce_keeping(builder, "reduce_mean", x, axes)});
  Var squares = builder.apply("mul", {centered, centered});
  Var variance = reduce_keeping(builder, "reduce_mean", squares, axes);
  Var epsilon = builder.scalar(x.dtype(), attributes.real("epsilon"));
  Var scale = builder.apply("rsqrt", {builder.apply("add", {variance, epsilon})});
  Var y = builder.apply("mul", {centered, scale});
  if (operands.size() > 1) y = builder.apply("mul", {y, operands[1]});
  if (operands.size() > 2) y = builder.apply("add", {y, operands[2]});
  return {y};
}

// ONNX wants a scale, and scale and bias of the normalized shape; its statistics are f32.
std::vector<OnnxValue> layer_norm_to_onnx(OnnxNodes& nodes, const OpInstance& instance,
                                          std::span<const OnnxValue> operands) {
  const TensorType& x = instance.operand(0);
  std::int64_t axis = instance.axis(x.rank());
  Shape normalized(x.shape.begin() + axis, x.shape.end());
  if (x.dtype != DType::f32 || operands.size() < 2) return {};
  for (std::size_t i = 1; i < operands.size(); ++i)
    if (instance.operand(i).shape != normalized) return {};
  return {nodes.add(instance.op->onnx.name, {operands.begin(), operands.end()},
                    {{"axis", axis}, {"epsilon", instance.attributes.real("epsilon")}})};
}

OpDef layer_norm_op() {
  OpDef op = declare(
      "normalize",
      {"layer_norm",
       "x with mean 0 and variance 1 over its last axes, scaled and shifted.",
       "(x - mean) / sqrt(variance + epsilon) * scale + bias over the axes from `axis` to the "
       "last. The variance is the mean of the squared deviations from the mean (two passes), "
       "not the difference of two large sums.",
       {"LayerNormalization"}});
  op.operands = {{"x", TypeSet::floats},
                 {"scale", TypeSet::floats, OperandSpec::Presence::optional},
                 {"bias", TypeSet::floats, OperandSpec::Presence::optional}};
  op = with_attribute(std::move(op), "axis", std::int64_t{-1},
                      "The first axis to normalize over; negative counts from the end.");
  op = with_attribute(std::move(op), "epsilon", 1e-5, "Added to the variance.");
  op.check = check_layer_norm;
  op.composite = layer_norm_body;
  op.to_onnx = layer_norm_to_onnx;
  return op;
}

}  // namespace

void add_normalize_ops(OpTable& table) {
  table.add(softmax_op());
  table.add(log_softmax_op());
  table.add(layer_norm_op());
}

}  // namespace weir
