// Normalizations over the last axes.

#include <fmt/format.h>

#include "ir/ops/helpers.h"
#include "ir/ops/normalized.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;

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

Axes normalized_axes(const Var& x, const Attributes& attributes) {
  std::vector<TensorType> types{x.type()};
  return axes_from(OpInstance{&get_op("layer_norm"), types, attributes}.axis(x.type().rank()), x);
}

// The normalized x, scaled and shifted as far as the operands are there.
Var scaled(const Normalized& x, std::span<const Var> operands) {
  Var y = x.result();
  GraphBuilder& builder = y.builder();
  if (operands.size() > 1) y = builder.apply("mul", {y, operands[1]});
  if (operands.size() > 2) y = builder.apply("add", {y, operands[2]});
  return y;
}

std::vector<Var> gradients_of_scaled(const GradientContext& context, const Normalized& x) {
  Var g = context.cotangents[0];
  std::vector<Var> gradients(context.operands.size());
  if (gradients.size() > 1) gradients[1] = context.builder.apply("mul", {g, x.result()});
  if (gradients.size() > 2) gradients[2] = g;
  if (gradients.size() > 1) g = context.builder.apply("mul", {g, context.operands[1]});
  gradients[0] = x.gradient(g);
  return gradients;
}

Normalized layer_norm_of(const Var& x, const Attributes& attributes) {
  return normalized(x, normalized_axes(x, attributes), attributes);
}

Normalized rms_norm_of(const Var& x, const Attributes& attributes) {
  return scaled_to_one(x, normalized_axes(x, attributes), attributes);
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
       "not the difference of two large sums. The gradient is (g - mean(g) - c * mean(g * c) / v) "
       "/ sqrt(v), with c for x - mean, v for variance + epsilon, and g for that of c / sqrt(v).",
       {"LayerNormalization"}});
  op.operands = {{"x", TypeSet::floats},
                 {"scale", TypeSet::floats, OperandSpec::Presence::optional},
                 {"bias", TypeSet::floats, OperandSpec::Presence::optional}};
  op = with_attribute(std::move(op), "axis", std::int64_t{-1},
                      "The first axis to normalize over; negative counts from the end.");
  op = with_attribute(std::move(op), "epsilon", 1e-5, "Added to the variance.");
  op.check = check_layer_norm;
  op.composite = [](GraphBuilder&, std::span<const Var> operands,
                    const Attributes& attributes) -> std::vector<Var> {
    return {scaled(layer_norm_of(operands[0], attributes), operands)};
  };
  op.to_onnx = layer_norm_to_onnx;
  return with_wide_gradient(std::move(op), [](const GradientContext& context) {
    return gradients_of_scaled(context,
                               layer_norm_of(context.operands[0], context.instance.attributes));
  });
}

// x / sqrt(mean(x^2) + epsilon) * scale
OpDef rms_norm_op() {
  OpDef op = declare(
      "normalize",
      {"rms_norm",
       "x over the root of the mean of its squares along its last axes, scaled.",
       "x / sqrt(mean(x * x) + epsilon) * scale over the axes from `axis` to the last; the mean of "
       "x is not taken off. The gradient is (g - x * mean(g * x) / v) / sqrt(v), with v for "
       "mean(x * x) + epsilon, and g for that of x / sqrt(v).",
       {"RMSNormalization"}});
  op.operands = {{"x", TypeSet::floats},
                 {"scale", TypeSet::floats, OperandSpec::Presence::optional}};
  op = with_attribute(std::move(op), "axis", std::int64_t{-1},
                      "The first axis to normalize over; negative counts from the end.");
  op = with_attribute(std::move(op), "epsilon", 1e-5, "Added to the mean of the squares.");
  op.check = check_layer_norm;
  op.composite = [](GraphBuilder&, std::span<const Var> operands,
                    const Attributes& attributes) -> std::vector<Var> {
    return {scaled(rms_norm_of(operands[0], attributes), operands)};
  };
  return with_wide_gradient(std::move(op), [](const GradientContext& context) {
    return gradients_of_scaled(context,
                               rms_norm_of(context.operands[0], context.instance.attributes));
  });
}

}  // namespace

void add_normalize_ops(OpTable& table) {
  table.add(layer_norm_op());
  table.add(rms_norm_op());
}

}  // namespace weir
