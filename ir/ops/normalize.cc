// Normalizations: composites, whose bodies fusion turns into one kernel each.
//
// A variance is the mean of the squared deviations from the mean (two passes), not the difference
// of two large sums, and counts every element: it is that of the elements, not an estimate.

#include <fmt/format.h>

#include "ir/ops/helpers.h"
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

using Axes = std::vector<std::int64_t>;

Axes axes_from(int first, const Var& x) {
  Axes axes;
  for (int i = first; i < x.type().rank(); ++i) axes.push_back(i);
  return axes;
}

Var plus_epsilon(GraphBuilder& builder, Var variance, const Attributes& attributes) {
  Var epsilon = builder.scalar(variance.dtype(), attributes.real("epsilon"));
  return builder.apply("add", {variance, epsilon});
}

Var mean_of_squares(GraphBuilder& builder, Var x, const Axes& axes) {
  return reduce_keeping(builder, "reduce_mean", builder.apply("mul", {x, x}), axes);
}

// x with mean 0 and variance 1 over the axes.
Var normalized(GraphBuilder& builder, Var x, const Axes& axes, const Attributes& attributes) {
  Var centered = builder.apply("sub", {x, reduce_keeping(builder, "reduce_mean", x, axes)});
  Var variance = mean_of_squares(builder, centered, axes);
  Var scale = builder.apply("rsqrt", {plus_epsilon(builder, variance, attributes)});
  return builder.apply("mul", {centered, scale});
}

std::vector<Var> layer_norm_body(GraphBuilder& builder, std::span<const Var> operands,
                                 const Attributes& attributes) {
  Var x = operands[0];
  std::vector<TensorType> types{x.type()};
  int first = OpInstance{&get_op("layer_norm"), types, attributes}.axis(x.type().rank());
  Var y = normalized(builder, x, axes_from(first, x), attributes);
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

// x / sqrt(mean(x^2) + epsilon) * scale
OpDef rms_norm_op() {
  OpDef op = declare(
      "normalize",
      {"rms_norm",
       "x over the root of the mean of its squares along its last axes, scaled.",
       "x / sqrt(mean(x * x) + epsilon) * scale over the axes from `axis` to the last; the mean of "
       "x is not taken off.",
       {"RMSNormalization"}});
  op.operands = {{"x", TypeSet::floats},
                 {"scale", TypeSet::floats, OperandSpec::Presence::optional}};
  op = with_attribute(std::move(op), "axis", std::int64_t{-1},
                      "The first axis to normalize over; negative counts from the end.");
  op = with_attribute(std::move(op), "epsilon", 1e-5, "Added to the mean of the squares.");
  op.check = check_layer_norm;
  op.composite = [](GraphBuilder& builder, std::span<const Var> operands,
                    const Attributes& attributes) -> std::vector<Var> {
    Var x = operands[0];
    std::vector<TensorType> types{x.type()};
    int first = OpInstance{&get_op("rms_norm"), types, attributes}.axis(x.type().rank());
    Var square = mean_of_squares(builder, x, axes_from(first, x));
    Var y = builder.apply("mul",
                          {x, builder.apply("rsqrt", {plus_epsilon(builder, square, attributes)})});
    if (operands.size() > 1) y = builder.apply("mul", {y, operands[1]});
    return {y};
  };
  return op;
}

// --- By channel --------------------------------------------------------------

// x is [batch, channels, ...]; each further operand is a list with an element for each channel.
void check_channels(const OpInstance& instance, int least_rank) {
  const TensorType& x = instance.operand(0);
  if (x.rank() < least_rank)
    throw Error(fmt::format(
        "x is {}; it must have {}", to_string(x),
        least_rank == 2 ? "a batch and channels" : "a batch, channels and positions behind them"));
  for (std::size_t i = 1; i < instance.operands.size(); ++i)
    if (instance.operand(i).shape != Shape{x.shape[1]})
      throw Error(fmt::format(
          "operand {} is {}; it must have one element for each of the {} "
          "channels of x",
          instance.op->operands[i].name, to_string(instance.operand(i)), x.shape[1].to_string()));
  check_finite(instance, "epsilon");
}

// A list of channels in the shape that broadcasts to x.
Var by_channel(GraphBuilder& builder, Var list, Var x) {
  Shape shape(x.shape().size() - 1, Dim(1));
  shape[0] = x.shape()[1];
  return reshape_to(builder, list, shape);
}

// y times the scale and plus the bias behind x, as far as they are there.
Var scaled_by_channel(GraphBuilder& builder, Var y, std::span<const Var> operands) {
  if (operands.size() > 1) y = builder.apply("mul", {y, by_channel(builder, operands[1], y)});
  if (operands.size() > 2) y = builder.apply("add", {y, by_channel(builder, operands[2], y)});
  return y;
}

OpDef channel_norm(Text text, OperandSpec::Presence scaling) {
  OpDef op = declare("normalize", std::move(text));
  op.operands = {{"x", TypeSet::floats},
                 {"scale", TypeSet::floats, scaling},
                 {"bias", TypeSet::floats, scaling}};
  return with_attribute(std::move(op), "epsilon", 1e-5, "Added to the variance.", "epsilon");
}

OpDef instance_norm_op() {
  OpDef op = channel_norm(
      {"instance_norm",
       "Each channel of each example with mean 0 and variance 1, scaled and shifted.",
       "(x - mean) / sqrt(variance + epsilon) * scale + bias over all positions of a channel; "
       "scale and bias have an element for each channel.",
       {"InstanceNormalization", 6}},
      OperandSpec::Presence::optional);
  op.check = [](const OpInstance& instance) { check_channels(instance, 3); };
  op.to_onnx = [](OnnxNodes& nodes, const OpInstance& instance,
                  std::span<const OnnxValue> operands) -> std::vector<OnnxValue> {
    if (instance.operand(0).dtype != DType::f32 || operands.size() < 3) return {};
    return {nodes.add(instance.op->onnx.name, {operands.begin(), operands.end()},
                      {{"epsilon", instance.attributes.real("epsilon")}})};
  };
  op.composite = [](GraphBuilder& builder, std::span<const Var> operands,
                    const Attributes& attributes) -> std::vector<Var> {
    Var y = normalized(builder, operands[0], axes_from(2, operands[0]), attributes);
    return {scaled_by_channel(builder, y, operands)};
  };
  return op;
}

OpDef group_norm_op() {
  OpDef op = channel_norm(
      {"group_norm",
       "Each group of channels of each example with mean 0 and variance 1, scaled and shifted.",
       "(x - mean) / sqrt(variance + epsilon) * scale + bias over all positions of the channels of "
       "a group; scale and bias have an element for each channel.",
       {"GroupNormalization"}},
      OperandSpec::Presence::required);
  op.attributes.insert(op.attributes.begin(),
                       AttributeSpec{"groups", AttributeKind::integer, std::nullopt,
                                     "Groups of neighbouring channels."});
  op.check = [](const OpInstance& instance) {
    check_channels(instance, 2);
    std::int64_t groups = instance.attributes.integer("groups");
    const Dim& channels = instance.operand(0).shape[1];
    if (groups < 1 || !channels.divided_by(Dim(groups)))
      throw Error(
          fmt::format("{} channels do not divide into {} groups", channels.to_string(), groups));
  };
  op.composite = [](GraphBuilder& builder, std::span<const Var> operands,
                    const Attributes& attributes) -> std::vector<Var> {
    Var x = operands[0];
    Dim groups = attributes.integer("groups");
    Shape apart = x.shape();
    apart[1] = *apart[1].divided_by(groups);
    apart.insert(apart.begin() + 1, groups);
    Var grouped = reshape_to(builder, x, apart);
    Var y = normalized(builder, grouped, axes_from(2, grouped), attributes);
    return {scaled_by_channel(builder, reshape_to(builder, y, x.shape()), operands)};
  };
  return op;
}

// (x - mean) * (scale / sqrt(variance + epsilon)) + bias: the factor is one of a channel, and what
// is done for each element is a subtraction, a product and a sum, which are the epilogue of a
// convolution.
Var with_statistics(GraphBuilder& builder, std::span<const Var> operands, Var mean, Var variance,
                    const Attributes& attributes) {
  Var x = operands[0];
  Var spread = builder.apply("sqrt", {plus_epsilon(builder, variance, attributes)});
  Var factor = builder.apply("div", {by_channel(builder, operands[1], x), spread});
  Var centered = builder.apply("sub", {x, mean});
  return builder.apply(
      "add", {builder.apply("mul", {centered, factor}), by_channel(builder, operands[2], x)});
}

OpDef with_given_statistics(Text text) {
  OpDef op = channel_norm(std::move(text), OperandSpec::Presence::required);
  op.operands.push_back({"mean", TypeSet::floats});
  op.operands.push_back({"variance", TypeSet::floats});
  return op;
}

constexpr double kMomentum = 0.9;

OpDef with_momentum(OpDef op) {
  op = with_attribute(std::move(op), "momentum", kMomentum,
                      "What is kept of the running statistics in training.");
  op.check = [](const OpInstance& instance) {
    check_channels(instance, 2);
    check_finite(instance, "momentum");
  };
  return op;
}

OpDef batch_norm_op() {
  OpDef op = with_given_statistics(
      {"batch_norm",
       "Channels normalized by given statistics: the form for inference.",
       "(x - mean) * (scale / sqrt(variance + epsilon)) + bias, by channel. After a convolution "
       "it is part of that kernel. Operands of other types than x are cast before. In a training "
       "step it is batch_norm_training, unbiased, if mean and variance are params, which are "
       "state then and hold the running statistics.",
       {"BatchNormalization"}});
  op = with_momentum(std::move(op));
  op.to_onnx = [](OnnxNodes& nodes, const OpInstance& instance,
                  std::span<const OnnxValue> operands) -> std::vector<OnnxValue> {
    if (instance.operand(0).dtype != DType::f32) return {};
    Attributes attributes{{"epsilon", instance.attributes.real("epsilon")}};
    if (double momentum = instance.attributes.real("momentum"); momentum != kMomentum)
      attributes.set("momentum", momentum);
    return {nodes.add(instance.op->onnx.name, {operands.begin(), operands.end()}, attributes)};
  };
  op.in_training = [](TrainingForm& form, std::span<const Var> operands,
                      const Attributes& attributes) -> std::vector<Var> {
    if (!form.is_param(operands[3]) || !form.is_param(operands[4])) return {};
    Attributes changed = attributes;
    changed.set("unbiased", true);
    std::vector<Var> results = operands[0].builder().apply_all(
        "batch_norm_training", {operands.begin(), operands.end()}, changed);
    form.update(operands[3], results[1]);
    form.update(operands[4], results[2]);
    return {results[0]};
  };
  op.composite = [](GraphBuilder& builder, std::span<const Var> operands,
                    const Attributes& attributes) -> std::vector<Var> {
    Var x = operands[0];
    return {with_statistics(builder, operands, by_channel(builder, operands[3], x),
                            by_channel(builder, operands[4], x), attributes)};
  };
  return op;
}

// The mean of n squares, times n / (n - 1).
Var unbiased(GraphBuilder& builder, Var variance, Var x, const Axes& axes) {
  Shape reduced;
  for (std::int64_t axis : axes) reduced.push_back(x.shape()[static_cast<std::size_t>(axis)]);
  Var count = builder.apply("size_of", {}, {{"dims", reduced}, {"dtype", x.dtype()}});
  Var one = builder.scalar(x.dtype(), 1);
  Var fewer = builder.apply("maximum", {builder.apply("sub", {count, one}), one});
  return builder.apply("mul", {variance, builder.apply("div", {count, fewer})});
}

OpDef batch_norm_training_op() {
  OpDef op = with_given_statistics(
      {"batch_norm_training",
       "Channels normalized by their own statistics, and running statistics: the form for "
       "training.",
       "y is (x - m) * (scale / sqrt(v + epsilon)) + bias with the mean m and the variance v of "
       "each "
       "channel over the batch and all positions. The running statistics are mean * momentum + "
       "m * (1 - momentum) and variance * momentum + v * (1 - momentum); with n elements of a "
       "channel, v is multiplied there by n / (n - 1) if `unbiased`, as in PyTorch, but not where "
       "n is 1.",
       OnnxOp::none()});
  op.result_names = {"y", "running_mean", "running_variance"};
  op = with_momentum(std::move(op));
  op = with_attribute(std::move(op), "unbiased", false,
                      "Whether v is multiplied by n / (n - 1) for the running variance.");
  op.composite = [](GraphBuilder& builder, std::span<const Var> operands,
                    const Attributes& attributes) -> std::vector<Var> {
    Var x = operands[0];
    Axes axes = axes_from(2, x);
    axes.insert(axes.begin(), 0);
    Var average = reduce_keeping(builder, "reduce_mean", x, axes);
    Var variance = mean_of_squares(builder, builder.apply("sub", {x, average}), axes);
    Var y = with_statistics(builder, operands, average, variance, attributes);
    double momentum = attributes.real("momentum");
    auto running = [&](Var before, Var now) {
      auto part = [&](Var value, double weight) {
        return builder.apply("mul", {value, builder.scalar(value.dtype(), weight)});
      };
      Var list = reshape_to(builder, now, before.shape());
      return builder.apply("add", {part(before, momentum), part(list, 1 - momentum)});
    };
    if (attributes.boolean("unbiased")) variance = unbiased(builder, variance, x, axes);
    return {y, running(operands[3], average), running(operands[4], variance)};
  };
  return op;
}

}  // namespace

void add_normalize_ops(OpTable& table) {
  table.add(layer_norm_op());
  table.add(rms_norm_op());
  table.add(instance_norm_op());
  table.add(group_norm_op());
  table.add(batch_norm_op());
  table.add(batch_norm_training_op());
}

}  // namespace weir
