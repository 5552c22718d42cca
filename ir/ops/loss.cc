// Losses: composites. Each is a number for every prediction, or for every row of logits, of which
// the attribute `reduction` takes the mean or the sum, or keeps all.

#include <array>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ir/ops/helpers.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;

constexpr std::array<std::string_view, 3> kReductions{"mean", "sum", "none"};

void check_reduction(const OpInstance& instance) {
  const std::string& given = instance.attributes.text("reduction");
  for (std::string_view known : kReductions)
    if (given == known) return;
  throw Error(fmt::format("the attribute reduction must be mean, sum or none, not {}", given));
}

void check_same_shape(const OpInstance& instance) {
  if (instance.operand(0).shape != instance.operand(1).shape)
    throw Error(fmt::format("{} and {} must have one shape, and are {} and {}; reshape one of them",
                            instance.op->operands[0].name, instance.op->operands[1].name,
                            to_string(instance.operand(0)), to_string(instance.operand(1))));
}

Var reduced(GraphBuilder& builder, Var losses, const Attributes& attributes) {
  const std::string& reduction = attributes.text("reduction");
  if (reduction == "none") return losses;
  return builder.apply(reduction == "mean" ? "reduce_mean" : "reduce_sum", {losses});
}

using Check = std::function<void(const OpInstance&)>;

OpDef loss(Text text, OperandSpec prediction, OperandSpec target, Check check) {
  OpDef op = declare("loss", std::move(text));
  op.operands = {std::move(prediction), std::move(target)};
  op.is_loss = true;
  op.check = [check = std::move(check)](const OpInstance& instance) {
    check_reduction(instance);
    check(instance);
  };
  return op;
}

// Behind the other attributes.
OpDef with_reduction(OpDef op) {
  return with_attribute(std::move(op), "reduction", std::string("mean"),
                        "What becomes of the losses: mean, sum or none.");
}

// The loss of each element of a prediction with its target.
using ElementLoss = std::function<Var(GraphBuilder&, Var, Var, const Attributes&)>;

OpDef elementwise(OpDef op, ElementLoss losses) {
  op.composite = [losses = std::move(losses)](GraphBuilder& builder, std::span<const Var> operands,
                                              const Attributes& attributes) -> std::vector<Var> {
    return {reduced(builder, losses(builder, operands[0], operands[1], attributes), attributes)};
  };
  return with_reduction(std::move(op));
}

OpDef of_differences(Text text, Check check = check_same_shape) {
  OpDef op = loss(std::move(text), {"prediction", TypeSet::floats}, {"target", TypeSet::floats},
                  std::move(check));
  constexpr double kMost = std::numeric_limits<double>::max();
  op.targets =
      TargetRange{-kMost, kMost, false, fmt::format("those of {} are finite numbers", op.name)};
  return op;
}

OpDef mse_loss_op() {
  return elementwise(of_differences({"mse_loss", "The squared error, (prediction - target)^2.",
                                     "The gradient is 2 * (prediction - target), over the number "
                                     "of elements for the mean.",
                                     OnnxOp::none()}),
                     [](GraphBuilder& builder, Var prediction, Var target, const Attributes&) {
                       Var d = builder.apply("sub", {prediction, target});
                       return builder.apply("mul", {d, d});
                     });
}

OpDef l1_loss_op() {
  return elementwise(
      of_differences({"l1_loss", "The absolute error, |prediction - target|.",
                      "The gradient is the sign of the difference, and 0 where there is none.",
                      OnnxOp::none()}),
      [](GraphBuilder& builder, Var prediction, Var target, const Attributes&) {
        return builder.apply("abs", {builder.apply("sub", {prediction, target})});
      });
}

OpDef huber_loss_op() {
  OpDef op = of_differences(
      {"huber_loss", "Half the squared error d^2 / 2 up to |d| = delta, and linear beyond.",
       "delta * (|d| - delta / 2) where |d| > delta. The gradient is d, held "
       "within -delta and delta.",
       OnnxOp::none()},
      [](const OpInstance& instance) {
        check_same_shape(instance);
        check_finite(instance, "delta");
        if (instance.attributes.real("delta") <= 0)
          throw Error(fmt::format("the attribute delta must be above 0, not {}",
                                  instance.attributes.real("delta")));
      });
  op = with_attribute(std::move(op), "delta", 1.0, "Where the loss turns linear.");
  return elementwise(std::move(op), [](GraphBuilder& builder, Var prediction, Var target,
                                       const Attributes& attributes) {
    Var d = builder.apply("sub", {prediction, target});
    Var size = builder.apply("abs", {d});
    Var half = builder.scalar(d.dtype(), 0.5);
    Var delta = builder.scalar(d.dtype(), attributes.real("delta"));
    Var inside = builder.apply("mul", {builder.apply("mul", {half, d}), d});
    Var beyond = builder.apply("sub", {size, builder.apply("mul", {half, delta})});
    return builder.apply("select", {builder.apply("less_equal", {size, delta}), inside,
                                    builder.apply("mul", {delta, beyond})});
  });
}

OpDef hinge_loss_op() {
  OpDef op =
      of_differences({"hinge_loss", "max(0, 1 - prediction * target), for targets -1 and 1.",
                      "The gradient is 0 where prediction * target reaches 1.", OnnxOp::none()});
  op.targets = TargetRange{-1, 1, true, "those of the hinge loss are -1 and 1"};
  return elementwise(std::move(op),
                     [](GraphBuilder& builder, Var prediction, Var target, const Attributes&) {
                       Var one = builder.scalar(prediction.dtype(), 1);
                       Var product = builder.apply("mul", {prediction, target});
                       return builder.apply("relu", {builder.apply("sub", {one, product})});
                     });
}

// What each loss is multiplied by in the gradient: the cotangent, of the losses' shape.
Var cotangent_of_losses(const GradientContext& context, const Shape& shape) {
  GraphBuilder& builder = context.builder;
  Var cotangent = context.cotangents[0];
  if (context.instance.attributes.text("reduction") == "mean") {
    Var count = builder.apply("size_of", {}, {{"dims", shape}, {"dtype", cotangent.dtype()}});
    cotangent = builder.apply("div", {cotangent, count});
  }
  return broadcast_to(builder, cotangent, shape);
}

OpDef binary_cross_entropy_op() {
  OpDef op =
      loss({"binary_cross_entropy", "The cross-entropy of sigmoid(logit) with targets from 0 to 1.",
            "max(x, 0) - x * target + log(1 + exp(-|x|)), which neither overflows nor loses "
            "digits for targets 0 and 1. The gradient for the logit is sigmoid(x) - "
            "target, and -x for the target.",
            OnnxOp::none()},
           {"logit", TypeSet::floats}, {"target", TypeSet::floats}, check_same_shape);
  op.targets = TargetRange{0, 1, false, "those of binary_cross_entropy are from 0 to 1"};
  op = elementwise(std::move(op), [](GraphBuilder& builder, Var x, Var target, const Attributes&) {
    Var linear =
        builder.apply("sub", {builder.apply("relu", {x}), builder.apply("mul", {x, target})});
    Var negative = builder.apply("neg", {builder.apply("abs", {x})});
    return builder.apply("add", {linear, builder.apply("softplus", {negative})});
  });
  return with_gradient(std::move(op), [](const GradientContext& context) {
    GraphBuilder& builder = context.builder;
    Var x = context.operands[0], target = context.operands[1];
    Var g = cotangent_of_losses(context, x.shape());
    std::vector<Var> gradients(2);
    if (context.wanted[0])
      gradients[0] =
          builder.apply("mul", {g, builder.apply("sub", {builder.apply("sigmoid", {x}), target})});
    if (context.wanted[1]) gradients[1] = builder.apply("neg", {builder.apply("mul", {g, x})});
    return gradients;
  });
}

// Labels of the classes along an axis of the logits.
TensorType labels_along(const TensorType& logits, int axis, DType type) {
  TensorType labels{type, logits.shape};
  labels.shape.erase(labels.shape.begin() + axis);
  return labels;
}

// The axis that would take the target as labels, for a message: images have their classes along
// axis 1.
std::string other_axis(const TensorType& logits, const TensorType& target) {
  for (int axis = 0; axis < logits.rank() && target.dtype != DType::boolean; ++axis)
    if (target == labels_along(logits, axis, target.dtype))
      return fmt::format("; {{axis = {0}}} takes it as labels of the classes along axis {0}", axis);
  return "";
}

void check_cross_entropy(const OpInstance& instance) {
  const TensorType& logits = instance.operand(0);
  const TensorType& target = instance.operand(1);
  int axis = instance.axis(logits.rank());
  double smoothing = instance.attributes.real("label_smoothing");
  if (!(smoothing >= 0 && smoothing <= 1))
    throw Error(
        fmt::format("the attribute label_smoothing must be from 0 to 1, not {}", smoothing));
  if (is_float(target.dtype)) {
    if (!(target == logits))
      throw Error(fmt::format("target is {}; as probabilities it must be {}, as logits is",
                              to_string(target), to_string(logits)));
    return;
  }
  if (target.dtype != DType::boolean && target == labels_along(logits, axis, target.dtype)) return;
  throw Error(
      fmt::format("target is {}; it must be probabilities {}, or labels of an integer type for "
                  "{} rows, {}{}",
                  to_string(target), to_string(logits), to_string(logits),
                  to_string(labels_along(logits, axis, DType::i64)), other_axis(logits, target)));
}

// The elements of `logarithms` at the labels, 0 elsewhere.
Var at_labels(GraphBuilder& builder, Var logarithms, Var labels, std::size_t axis) {
  labels = builder.apply(
      "in_range", {labels},
      {{"sizes", Shape{logarithms.shape()[axis]}}, {"op", get_op("cross_entropy").name}});
  DType type = compute_type(labels.dtype());
  if (byte_size(type) < 4) type = DType::i32;
  if (labels.dtype() != type) labels = builder.apply("cast", {labels}, {{"dtype", type}});
  const Shape& shape = logarithms.shape();
  Shape column(shape.begin() + static_cast<std::ptrdiff_t>(axis), shape.end());
  std::fill(column.begin() + 1, column.end(), Dim(1));
  Var classes = builder.apply("iota", {}, {{"shape", column}, {"dtype", type}});
  Shape expanded = shape;
  expanded[axis] = 1;
  Var chosen = builder.apply("equal", {reshape_to(builder, labels, expanded), classes});
  return builder.apply("select", {chosen, logarithms, builder.scalar(logarithms.dtype(), 0)});
}

std::vector<Var> cross_entropy_body(GraphBuilder& builder, std::span<const Var> operands,
                                    const Attributes& attributes) {
  Var logits = operands[0], target = operands[1];
  std::vector<TensorType> types{logits.type(), target.type()};
  std::int64_t axis =
      OpInstance{&get_op("cross_entropy"), types, attributes}.axis(logits.type().rank());
  Var logarithms = builder.apply("log_softmax", {logits}, {{"axis", axis}});
  Var chosen = is_float(target.dtype())
                   ? builder.apply("mul", {target, logarithms})
                   : at_labels(builder, logarithms, target, static_cast<std::size_t>(axis));
  Attributes over_classes{{"axes", std::vector<std::int64_t>{axis}}, {"keep_dims", false}};
  Var total = builder.apply("reduce_sum", {chosen}, over_classes);
  if (double smoothing = attributes.real("label_smoothing"); smoothing != 0) {
    auto scaled = [&](double factor, Var value) {
      return builder.apply("mul", {builder.scalar(logits.dtype(), factor), value});
    };
    Var mean = builder.apply("reduce_mean", {logarithms}, over_classes);
    total = builder.apply("add", {scaled(1 - smoothing, total), scaled(smoothing, mean)});
  }
  return {reduced(builder, builder.apply("neg", {total}), attributes)};
}

OpDef cross_entropy_op() {
  OpDef op = loss(
      {"cross_entropy", "The cross-entropy of softmax(logits) with labels or probabilities.",
       "-sum(target * log_softmax(logits)) over the classes, for each row of logits. Targets are "
       "probabilities of the logits' type, or labels: integers of the rows' shape, each the number "
       "of a class; another number is a data fault. The mean is that over the "
       "rows. The gradient is softmax(logits) - target, for probabilities that add up to 1. Others "
       "are not refused, as "
       "they are not in PyTorch: a row that adds up to s weighs s times as much as one of the same "
       "proportions, with the "
       "gradient s * softmax(logits) - target.",
       OnnxOp::none()},
      {"logits", TypeSet::floats},
      {"target", TypeSet::numbers, OperandSpec::Presence::required, -1}, check_cross_entropy);
  op = with_attribute(std::move(op), "axis", std::int64_t{-1},
                      "The axis of the classes; negative counts from the end.");
  op = with_attribute(std::move(op), "label_smoothing", 0.0,
                      "The part of each target that is spread evenly over all classes.");
  op.targets =
      TargetRange{0, 1, false, "those of cross_entropy are labels, or probabilities from 0 to 1"};
  op.composite = cross_entropy_body;
  op.index_operands = [](const OpInstance& instance) -> std::vector<IndexOperand> {
    if (is_float(instance.operand(1).dtype)) return {};
    const TensorType& logits = instance.operand(0);
    return {{1, {logits.shape[static_cast<std::size_t>(instance.axis(logits.rank()))]}, false}};
  };
  return with_reduction(std::move(op));
}

}  // namespace

void add_loss_ops(OpTable& table) {
  table.add(mse_loss_op());
  table.add(l1_loss_op());
  table.add(huber_loss_op());
  table.add(hinge_loss_op());
  table.add(binary_cross_entropy_op());
  table.add(cross_entropy_op());
}

}  // namespace weir
