#include "training_options.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "compiler/frontend/file.h"
#include "ir/escape.h"

namespace weir::tool {
namespace {

// An option of its own for what can also stand behind the optimizer's name.
void add_hyperparameter(Optimizer& optimizer, const char* name, const std::string& text,
                        std::string_view option) {
  if (text.empty()) return;
  double value = number_of(text, option, 0);
  if (!optimizer.values.emplace(name, value).second)
    throw Error(fmt::format("{} is given twice: by {} and behind --optimizer", name, option));
}

LossOptions given_loss(const TrainingArguments& arguments) {
  LossOptions loss = parse_loss(arguments.loss);
  if (arguments.label_smoothing.empty()) return loss;
  constexpr const char* kAttribute = "label_smoothing";
  if (loss.attributes.find(kAttribute) != nullptr)
    throw Error("label_smoothing is given twice: by --label-smoothing and behind --loss");
  std::optional<double> part = as_number(arguments.label_smoothing);
  if (!part || !(*part >= 0 && *part <= 1))
    throw Error(fmt::format("--label-smoothing takes a number from 0 to 1, and {} is given",
                            shown(arguments.label_smoothing)));
  LossOptions with = parse_loss(fmt::format("{}:{}={}", loss.op, kAttribute, *part));
  loss.attributes.set(kAttribute, *with.attributes.find(kAttribute));
  return loss;
}

}  // namespace

void add_training(CLI::App& command, TrainingArguments& arguments) {
  add_value(command, "--loss", arguments.loss, "LOSS",
            "What is minimized: mse, l1, huber, hinge, binary_cross_entropy or cross_entropy, of "
            "the model's first output and the targets, with options behind a colon, such as "
            "huber:delta=0.5; or an output of the model, a scalar.")
      ->required();
  add_value(command, "--label-smoothing", arguments.label_smoothing, "R",
            "The part of each target of cross_entropy that is spread over all classes.");
  add_value(command, "--optimizer", arguments.optimizer, "NAME",
            "sgd, momentum, nesterov, adam, adamw, rmsprop or adagrad, with hyperparameters behind "
            "a colon, such as adam:beta1=0.95; adamw if left out.");
  add_value(command, "--momentum", arguments.momentum, "R", "The optimizer's momentum.");
  add_value(command, "--weight-decay", arguments.weight_decay, "R",
            "How much of each param its gradient is increased by, or with adamw, times the rate, "
            "the param decreased.");
  add_value(command, "--clip-value", arguments.clip_value, "R",
            "Holds each element of a gradient from -R to R.");
  add_value(command, "--clip-norm", arguments.clip_norm, "R",
            "Scales all gradients so that their norm together is at most R.");
  command.add_flag("--check-finite", arguments.check_finite,
                   "A step that gives numbers that are infinite or NaN updates nothing.");
}

Optimizer given_optimizer(const TrainingArguments& arguments) {
  Optimizer optimizer =
      parse_optimizer(arguments.optimizer.empty() ? "adamw" : arguments.optimizer);
  add_hyperparameter(optimizer, "momentum", arguments.momentum, "--momentum");
  add_hyperparameter(optimizer, "weight_decay", arguments.weight_decay, "--weight-decay");
  auto clip = [](const std::string& text, std::string_view option) {
    if (text.empty()) return 0.0;
    const double most = number_of(text, option, 0);
    if (most == 0)
      throw Error(fmt::format(
          "{} takes a number above 0; gradients are not clipped if it is left out", option));
    return most;
  };
  optimizer.clip_value = clip(arguments.clip_value, "--clip-value");
  optimizer.clip_norm = clip(arguments.clip_norm, "--clip-norm");
  checked(optimizer);
  return optimizer;
}

GivenTraining given_training(const Graph& graph, const TrainingArguments& arguments, DType labels) {
  GivenTraining training;
  training.optimizer = given_optimizer(arguments);
  training.options.check_finite = arguments.check_finite;
  std::string own = plain_name(arguments.loss);
  auto is_it = [&](const Graph::Output& output) { return output.name == own; };
  auto found = std::find_if(graph.outputs().begin(), graph.outputs().end(), is_it);
  if (found != graph.outputs().end()) {
    const TensorType& type = graph.type(found->value);
    if (!type.shape.empty() || !is_float(type.dtype))
      throw Error(graph.value(found->value).location,
                  fmt::format("the loss {} is {}; it must be a floating-point scalar, such as the "
                              "mean over the batch",
                              value_name(own), to_string(type)));
    if (!arguments.label_smoothing.empty())
      throw Error(
          fmt::format("--label-smoothing is for the loss cross_entropy; {} is an output of "
                      "the model",
                      own));
    training.graph = graph;
    training.options.loss = own;
    return training;
  }
  LossOptions loss = given_loss(arguments);
  loss.labels = labels;
  training.graph = with_loss(graph, loss);
  training.target = "target";
  return training;
}

void add_training_step(CLI::App& command, TrainingStepArguments& arguments,
                       const std::string& summary, bool draws) {
  std::size_t before = command.get_options().size();
  CLI::Option* train = command.add_flag("--train", arguments.train, summary + " Needs --loss.");
  add_training(command, arguments.training);
  add_value(command, "--learning-rate", arguments.learning_rate, "R",
            "The rate of every step; if left out, each is given its own.");
  if (draws)
    add_value(command, "--seed", arguments.seed, "N",
              "Where the first values of params come from that have none, and what dropout leaves "
              "out; 0 if left out.");
  std::vector<CLI::Option*> all = command.get_options();
  for (std::size_t i = before + 1; i < all.size(); ++i) all[i]->required(false)->needs(train);
  train->needs("--loss")->excludes("--gradient");
}

GivenTraining given_training(const Graph& graph, const TrainingStepArguments& arguments,
                             DType labels) {
  GivenTraining training = given_training(graph, arguments.training, labels);
  if (!arguments.learning_rate.empty())
    training.options.learning_rate = number_of(arguments.learning_rate, "--learning-rate", 0);
  return training;
}

std::uint64_t given_seed(const std::string& option) {
  if (option.empty()) return 0;
  return static_cast<std::uint64_t>(integer_of(option, "--seed", 0, INT64_MAX));
}

}  // namespace weir::tool
