// What the commands that train have in common: from a model and the options --loss, --optimizer and
// so on to what training_step() takes.
#pragma once

#include <string>

#include "common.h"
#include "compiler/autodiff/training_step.h"

namespace weir::tool {

// As given; empty for what is left out.
struct TrainingArguments {
  std::string loss, label_smoothing;
  std::string optimizer, momentum, weight_decay, clip_value, clip_norm;
  bool check_finite = false;
};
void add_training(CLI::App& command, TrainingArguments& arguments);

// --optimizer, adamw if it is left out, with what other options say of it.
Optimizer given_optimizer(const TrainingArguments& arguments);

// A graph with its loss: what training_step() and Trainer take.
struct GivenTraining {
  Graph graph;
  // The input that is compared with the model's output; empty if the loss is an output of the model
  // itself.
  std::string target;
  Optimizer optimizer;
  TrainingOptions options;
};
// `labels` is the type of targets that a loss takes as labels or as probabilities: an integer, or
// the floating-point type of the output. Error for whatever is wrong in the options.
GivenTraining given_training(const Graph& graph, const TrainingArguments& arguments,
                             DType labels = DType::i64);

// Of a command that writes training programs if it is told to.
struct TrainingStepArguments {
  bool train = false;
  TrainingArguments training;
  std::string learning_rate, seed;
};
// --train, with what it means for this command, and the options that say nothing without it; --seed
// is for those that draw first values.
void add_training_step(CLI::App& command, TrainingStepArguments& arguments,
                       const std::string& summary, bool draws = true);
// What --train asks for.
GivenTraining given_training(const Graph& graph, const TrainingStepArguments& arguments,
                             DType labels);

// The value of --seed, which is 0 if left out.
std::uint64_t given_seed(const std::string& option);

}  // namespace weir::tool
