// Training as a graph: forward, backward and update in one.
//
//   graph   inputs x, target    ->  step   inputs x, target, learning_rate
//           params w, b                    params w, b, and what the optimizer remembers, all
//           updated outputs logits, loss           outputs loss
//
// What the model updates by itself - the running statistics of batch_norm, the counter of dropout -
// is updated too: the step is that of the model's training form
// (compiler/autodiff/training_form.h).
//
// The step prints, compiles and is compiled ahead of time like any other graph. Its params that are
// trained are state (ir/graph.h), and so is what the optimizer remembers: w.momentum,
// optimizer.step.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/autodiff/optimizer.h"
#include "ir/builder.h"
#include "ir/graph.h"

namespace weir {

struct TrainingOptions {
  // The output that is minimized: a floating-point scalar.
  std::string loss = "loss";
  // Names of the params that are trained; empty: all of floating point that the model does not
  // update by itself.
  std::vector<std::string> trained = {};
  // Outputs that the step has besides the loss.
  std::vector<std::string> outputs = {};
  // The rate of every step; otherwise each is given its own, as the input learning_rate.
  std::optional<double> learning_rate = std::nullopt;
  // Gives the step a last plain output `finite`, of bool: whether the loss, the gradients and all
  // next values are neither infinite nor NaN. Where it is false, nothing is updated.
  bool check_finite = false;
};

struct TrainingStep {
  // Inputs: those of the graph, and, unless the options fix it, the scalar learning_rate, which is
  // f64 if a param with a gradient is, else f32. Outputs: the loss, those asked for, `finite`, and
  // the updates.
  Graph graph;
  // The first values of what the optimizer remembers, and of the counter of random numbers.
  Weights initial;
  // Those of the trained params from which no path with a derivative leads to the loss. They are
  // state as well, but stay as they are, and nothing is remembered of them.
  std::vector<std::string> unreached = {};
};

// Error if there is no such output, if the loss is not a scalar of floating point, if a name in
// `trained` is no param of floating point or there is none at all, if an op on the way from one to
// the loss has no gradient, if no path with a derivative leads from any to the loss, or if a name
// that the step adds is taken.
TrainingStep training_step(const Graph& graph, const Optimizer& optimizer,
                           const TrainingOptions& options = {});

// The graph itself, in its form for inference, with the params that the training step updates as
// state that is only read, at the places in the state block that they have there: both run on one
// block.
Graph on_state(const Graph& graph, const TrainingOptions& options = {});

// How an output of a model becomes a loss.
struct LossOptions {
  std::string op;           // "cross_entropy"; "mse" and "mse_loss" are the same
  std::string output = {};  // what is compared with the target; empty: the first output
  Attributes attributes = {};
  DType labels = DType::i64;  // of a loss that takes labels: their type, or a floating-point type
};

// "mse", or "cross_entropy:label_smoothing=0.1": a loss with attributes of its op. Error for what
// is not of this form, and if there is no such loss, or it has no such attribute.
LossOptions parse_loss(std::string_view text);

// The graph with an input `target` and an output `loss` more. Error if there is no such loss or
// output, or a name is taken.
Graph with_loss(const Graph& graph, const LossOptions& options);

}  // namespace weir
