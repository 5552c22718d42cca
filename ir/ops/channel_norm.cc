// Normalizations by channel.

#include <fmt/format.h>

#include "ir/ops/convolution.h"
#include "ir/ops/helpers.h"
#include "ir/ops/image_sums.h"
#include "ir/ops/normalized.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;

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

// The gradient of what each channel of x has one element of.
Var sum_by_channel(const Var& gradient, const Shape& list) {
  GraphBuilder& builder = gradient.builder();
  Axes others = axes_from(2, gradient);
  others.insert(others.begin(), 0);
  return reshape_to(builder, builder.apply("reduce_sum", {gradient}, {{"axes", others}}), list);
}

// Of what is one element for each channel of each example.
Var sum_of_examples(const Var& parts) {
  GraphBuilder& builder = parts.builder();
  Var flat = reshape_to(builder, parts, {parts.shape()[0], parts.shape()[1]});
  return builder.apply("reduce_sum", {flat}, {{"axes", Axes{0}}});
}

Normalized instance_norm_of(const Var& x, const Attributes& attributes) {
  return normalized(x, axes_from(2, x), attributes);
}

std::vector<Var> instance_norm_gradients(const GradientContext& context) {
  GraphBuilder& builder = context.builder;
  const std::vector<Var> x(context.operands.begin(), context.operands.end());
  Var g = context.cotangents[0];
  const Normalized n = instance_norm_of(x[0], context.instance.attributes);
  std::vector<Var> gradients(x.size());
  gradients[0] = n.gradient(g);
  if (x.size() > 1) {
    gradients[0] = builder.apply("mul", {gradients[0], by_channel(builder, x[1], x[0])});
    Var products = builder.apply("mul", {g, n.centered});
    Var sums = reduce_keeping(builder, "reduce_sum", products, n.axes);
    gradients[1] = sum_of_examples(builder.apply("mul", {sums, n.scale}));
  }
  if (x.size() > 2)
    gradients[2] = sum_of_examples(reduce_keeping(builder, "reduce_sum", g, n.axes));
  return gradients;
}

OpDef instance_norm_op() {
  OpDef op = channel_norm(
      {"instance_norm",
       "Each channel of each example with mean 0 and variance 1, scaled and shifted.",
       "(x - mean) / sqrt(variance + epsilon) * scale + bias over all positions of a channel; "
       "scale and bias have an element for each channel. The gradient is that of layer_norm.",
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
    Var y = instance_norm_of(operands[0], attributes).result();
    return {scaled_by_channel(builder, y, operands)};
  };
  return with_wide_gradient(std::move(op), instance_norm_gradients);
}

// x as [batch, groups, channels of a group, ...].
Var in_groups(const Var& x, const Attributes& attributes) {
  const Dim groups = attributes.integer("groups");
  Shape apart = x.shape();
  apart[1] = *apart[1].divided_by(groups);
  apart.insert(apart.begin() + 1, groups);
  return reshape_to(x.builder(), x, apart);
}

Normalized group_norm_of(const Var& x, const Attributes& attributes) {
  Var grouped = in_groups(x, attributes);
  return normalized(grouped, axes_from(2, grouped), attributes);
}

std::vector<Var> group_norm_gradients(const GradientContext& context) {
  GraphBuilder& builder = context.builder;
  const Attributes& attributes = context.instance.attributes;
  Var x = context.operands[0], scale = context.operands[1], g = context.cotangents[0];
  const Normalized n = group_norm_of(x, attributes);
  Var y = reshape_to(builder, n.result(), x.shape());
  Var scaled = builder.apply("mul", {g, by_channel(builder, scale, x)});
  return {reshape_to(builder, n.gradient(in_groups(scaled, attributes)), x.shape()),
          sum_by_channel(builder.apply("mul", {g, y}), scale.shape()),
          sum_by_channel(g, scale.shape())};
}

OpDef group_norm_op() {
  OpDef op = channel_norm(
      {"group_norm",
       "Each group of channels of each example with mean 0 and variance 1, scaled and shifted.",
       "(x - mean) / sqrt(variance + epsilon) * scale + bias over all positions of the channels of "
       "a group; scale and bias have an element for each channel. The gradient is that of "
       "layer_norm.",
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
    Var y = group_norm_of(operands[0], attributes).result();
    return {scaled_by_channel(builder, reshape_to(builder, y, operands[0].shape()), operands)};
  };
  return with_wide_gradient(std::move(op), group_norm_gradients);
}

// (x - mean) * (scale / sqrt(variance + epsilon)) + bias: the factor is one of a channel, and what
// is done for each element is a subtraction, a product and a sum, which are the epilogue of a
// convolution.
struct ByStatistics {
  Var centered;
  Var variance;  // plus epsilon
  Var spread;    // the root of that
  Var factor;

  ByStatistics(std::span<const Var> operands, const Var& mean, const Var& of_squares,
               const Attributes& attributes) {
    GraphBuilder& builder = mean.builder();
    variance = plus_epsilon(of_squares, attributes);
    spread = builder.apply("sqrt", {variance});
    factor = builder.apply("div", {by_channel(builder, operands[1], operands[0]), spread});
    centered = builder.apply("sub", {operands[0], mean});
  }

  Var result(const Var& bias) const {
    GraphBuilder& builder = centered.builder();
    Var product = builder.apply("mul", {centered, factor});
    return builder.apply("add", {product, by_channel(builder, bias, centered)});
  }
};

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

// ONNX's attributes of both forms.
Attributes onnx_statistics(const OpInstance& instance) {
  Attributes attributes{{"epsilon", instance.attributes.real("epsilon")}};
  if (double momentum = instance.attributes.real("momentum"); momentum != kMomentum)
    attributes.set("momentum", momentum);
  return attributes;
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
    return {nodes.add(instance.op->onnx.name, {operands.begin(), operands.end()},
                      onnx_statistics(instance))};
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
    auto listed = [&](const Var& list) { return by_channel(builder, list, operands[0]); };
    return {ByStatistics(operands, listed(operands[3]), listed(operands[4]), attributes)
                .result(operands[2])};
  };
  return op;
}

// --- In training ---------------------------------------------------------------

// The elements that a statistic of a channel is of.
Var count_of(const Var& x, const Axes& axes) {
  Shape reduced;
  for (std::int64_t axis : axes) reduced.push_back(x.shape()[static_cast<std::size_t>(axis)]);
  return x.builder().apply("size_of", {}, {{"dims", reduced}, {"dtype", x.dtype()}});
}

// What the mean of n squares is multiplied by to be unbiased: n / (n - 1).
Var unbiasing(const Var& x, const Axes& axes) {
  GraphBuilder& builder = x.builder();
  Var count = count_of(x, axes);
  Var one = builder.scalar(x.dtype(), 1);
  Var fewer = builder.apply("maximum", {builder.apply("sub", {count, one}), one});
  return builder.apply("div", {count, fewer});
}

struct BatchStatistics {
  Axes axes;  // all but the channels
  Var mean;
  Var of_squares;  // of the deviations from the mean
  ByStatistics normalization;

  BatchStatistics(std::span<const Var> operands, const Attributes& attributes)
      : axes(axes_of(operands[0])),
        mean(reduce_keeping(operands[0].builder(), "reduce_mean", operands[0], axes)),
        of_squares(mean_of_squares(less_mean(operands[0], axes), axes)),
        normalization(operands, mean, of_squares, attributes) {}

  static Axes axes_of(const Var& x) {
    Axes axes = axes_from(2, x);
    axes.insert(axes.begin(), 0);
    return axes;
  }
};

// Of y and, where something reads them, of the running statistics, whose parts are added.
std::vector<Var> batch_norm_gradients(const GradientContext& context) {
  GraphBuilder& builder = context.builder;
  const Attributes& attributes = context.instance.attributes;
  Var x = context.operands[0], g = context.cotangents[0];
  const BatchStatistics batch(context.operands, attributes);
  const ByStatistics& n = batch.normalization;
  auto binary = [&](std::string_view op, const Var& a, const Var& b) {
    return builder.apply(op, {a, b});
  };
  auto list = [&](const Var& value) {
    return reshape_to(builder, value, context.operands[1].shape());
  };
  std::vector<Var> gradients(context.operands.size());
  // In an order in which the kernel that stores g can sum it.
  auto sum_of = [&](const Var& value) {
    const std::optional<Var> sum = sum_behind_windows(context.results[0], g, value);
    return sum ? reshape_to(builder, *sum, n.spread.shape())
               : reduce_keeping(builder, "reduce_sum", value, batch.axes);
  };
  if (context.reached[0]) {
    Var count = count_of(x, batch.axes);
    Var of_products = sum_of(binary("mul", g, n.centered)), sum = sum_of(g);
    Var left = less_projection(g, n.centered, n.variance, binary("div", of_products, count));
    left = binary("sub", left, binary("div", sum, count));
    gradients[0] = binary("mul", n.factor, left);
    gradients[1] = list(binary("div", of_products, n.spread));
    gradients[2] = list(sum);
  }
  auto of_running = [&](std::size_t result, Var of_x) {
    const double momentum = attributes.real("momentum");
    Var now = context.cotangents[result];
    Var share = binary("div", builder.scalar(x.dtype(), 1 - momentum), count_of(x, batch.axes));
    of_x = binary("mul", of_x, binary("mul", by_channel(builder, now, x), share));
    gradients[0] = gradients[0].valid() ? binary("add", gradients[0], of_x)
                                        : broadcast_to(builder, of_x, x.shape());
    gradients[result + 2] = binary("mul", now, builder.scalar(now.dtype(), momentum));
  };
  if (context.reached[1]) of_running(1, builder.scalar(x.dtype(), 1));
  if (context.reached[2]) {
    Var twice = binary("add", n.centered, n.centered);
    if (attributes.boolean("unbiased")) twice = binary("mul", twice, unbiasing(x, batch.axes));
    of_running(2, twice);
  }
  return gradients;
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
       "n is 1. The gradient of y is (g - mean(g) - c * mean(g * c) / (v + epsilon)) * scale / "
       "sqrt(v + epsilon), with c for x - m and g for that of y.",
       {"BatchNormalization"}});
  op.result_names = {"y", "running_mean", "running_variance"};
  op = with_momentum(std::move(op));
  op = with_attribute(std::move(op), "unbiased", false,
                      "Whether v is multiplied by n / (n - 1) for the running variance.");
  // ONNX's running variance is that of the batch as it is.
  op.to_onnx = [](OnnxNodes& nodes, const OpInstance& instance,
                  std::span<const OnnxValue> operands) -> std::vector<OnnxValue> {
    if (instance.operand(0).dtype != DType::f32 || instance.attributes.boolean("unbiased"))
      return {};
    Attributes attributes = onnx_statistics(instance);
    attributes.set("training_mode", true);
    return nodes.add_all(instance.op->onnx.name, {operands.begin(), operands.end()}, attributes,
                         instance.op->result_names.size());
  };
  op.values_of_statistic = [](const OpInstance& instance) {
    Dim count = 1;
    const Shape& shape = instance.operand(0).shape;
    for (std::size_t axis = 0; axis < shape.size(); ++axis)
      if (axis != 1) count = count * shape[axis];
    return count;
  };
  op.composite = [](GraphBuilder& builder, std::span<const Var> operands,
                    const Attributes& attributes) -> std::vector<Var> {
    const BatchStatistics batch(operands, attributes);
    double momentum = attributes.real("momentum");
    auto running = [&](Var before, Var now) {
      auto part = [&](Var value, double weight) {
        return builder.apply("mul", {value, builder.scalar(value.dtype(), weight)});
      };
      Var list = reshape_to(builder, now, before.shape());
      return builder.apply("add", {part(before, momentum), part(list, 1 - momentum)});
    };
    Var variance = batch.of_squares;
    if (attributes.boolean("unbiased"))
      variance = builder.apply("mul", {variance, unbiasing(operands[0], batch.axes)});
    return {batch.normalization.result(operands[2]), running(operands[3], batch.mean),
            running(operands[4], variance)};
  };
  return with_wide_gradient(std::move(op), batch_norm_gradients);
}

}  // namespace

void add_channel_norm_ops(OpTable& table) {
  table.add(instance_norm_op());
  table.add(group_norm_op());
  table.add(batch_norm_op());
  table.add(batch_norm_training_op());
}

}  // namespace weir
