// Losses of classification: the element of the target's class is picked by comparing a count of the
// classes with the target.
#include <fmt/format.h>

#include "compiler/frontend/onnx/converters.h"

namespace weir::onnx_format {
namespace {

using Axes = std::vector<std::int64_t>;

// What both losses have in common.
struct Targets {
  Var is_class;    // bool, in the shape of the scores: whether this is the target's class
  Var is_counted;  // bool, in the shape of the targets; invalid where all are
  Var weight;      // in the shape of the targets; invalid where all are 1
};

Var over_classes(Node& node, Var x) {
  return node.apply("reduce_sum", {x}, {{"axes", Axes{1}}, {"keep_dims", false}});
}

Targets targets_of(Node& node, Var scores) {
  const Shape& shape = scores.shape();
  if (shape.size() < 2)
    throw Error(fmt::format("the scores are {}; they must have a batch and classes",
                            to_string(scores.type())));
  Shape without = shape;
  without.erase(without.begin() + 1);
  Var labels = node.input(1);
  if (labels.shape() != without)
    throw Error(fmt::format("the targets are {}, and the scores {}", to_string(labels.type()),
                            to_string(scores.type())));
  Targets targets;
  labels = node.cast(labels, DType::i64);
  Shape apart = without;
  apart.insert(apart.begin() + 1, Dim(1));
  Shape column(shape.size() - 1, Dim(1));
  column[0] = shape[1];
  Var classes = node.apply("iota", {}, {{"shape", column}, {"axis", std::int64_t{0}}});
  targets.is_class = node.apply("equal", {node.reshaped(labels, apart), classes});
  if (node.has("ignore_index")) {
    auto ignored = static_cast<double>(node.integer("ignore_index"));
    targets.is_counted = node.apply("not_equal", {labels, node.like(labels, ignored)});
  }
  if (node.has_input(2)) {
    Var weights = node.input(2);
    if (weights.shape() != Shape{shape[1]})
      throw Error(
          fmt::format("the weights are {}; they must have one element for each of the {} "
                      "classes",
                      to_string(weights.type()), shape[1].to_string()));
    targets.weight =
        over_classes(node, node.apply("select", {targets.is_class, node.reshaped(weights, column),
                                                 node.like(weights, 0)}));
  }
  if (targets.is_counted.valid()) {
    Var one = node.like(scores, 1), zero = node.like(scores, 0);
    targets.weight = node.apply(
        "select", {targets.is_counted, targets.weight.valid() ? targets.weight : one, zero});
  }
  return targets;
}

// Minus the logarithm of the target's probability, weighted, and reduced as the node says.
Var loss(Node& node, Var log_probabilities, const Targets& targets) {
  std::string reduction = node.text("reduction", "mean");
  Var picked = over_classes(node, node.apply("select", {targets.is_class, log_probabilities,
                                                        node.like(log_probabilities, 0)}));
  Var value = node.apply("neg", {picked});
  if (targets.weight.valid()) value = node.apply("mul", {value, targets.weight});
  if (reduction == "none") return value;
  auto total = [&](Var x) { return node.apply("reduce_sum", {x}); };
  if (reduction == "sum") return total(value);
  if (reduction != "mean")
    throw Error("the attribute reduction must be \"none\", \"mean\" or \"sum\"");
  if (!targets.weight.valid()) return node.apply("reduce_mean", {value});
  return node.apply("div", {total(value), total(node.broadcast(targets.weight, value.shape()))});
}

void convert_negative_log_likelihood(Node& node) {
  node.check_inputs(2, 3);
  Var scores = node.input(0);
  node.set(0, loss(node, scores, targets_of(node, scores)));
}

void convert_softmax_cross_entropy(Node& node) {
  node.check_inputs(2, 3);
  Var scores = node.input(0);
  Targets targets = targets_of(node, scores);
  Var log_probabilities = node.apply("log_softmax", {scores}, {{"axis", std::int64_t{1}}});
  node.set(0, loss(node, log_probabilities, targets));
  if (node.wants(1)) node.set(1, log_probabilities);
}

}  // namespace

void add_loss_converters(ConverterTable& table) {
  table.add("NegativeLogLikelihoodLoss", 12, convert_negative_log_likelihood);
  table.add("SoftmaxCrossEntropyLoss", 12, convert_softmax_cross_entropy);
}

}  // namespace weir::onnx_format
