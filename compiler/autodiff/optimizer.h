// Optimizers: graph functions from a param and its gradient to the param's next value.
//
// The definitions are PyTorch's, their default values included (torch.optim: SGD, Adam, AdamW,
// RMSprop, Adagrad). An optimizer is one row of a table: its hyperparameters, and a function that
// writes the update of one param. What it remembers between steps - momenta, mean squares - are
// params of the training step's graph, of the shape of the param that they belong to and named
// after it: w.momentum. All arithmetic is that of the param's type, or f32 for f16 and bf16.
//
// The learning rate is no hyperparameter but an input of every step: schedules are the host's.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/builder.h"

namespace weir {

struct Hyperparameter {
  std::string name;
  double default_value = 0;
  double least = 0;  // the range of values; `most` is not in it
  double most = 0;
  std::string summary = {};
};

// What the rule of an optimizer sees: one param in one step.
class ParamUpdate {
 public:
  virtual ~ParamUpdate() = default;

  Var param, gradient;  // of the type that is computed in
  Var rate;             // the learning rate, a scalar of that type
  // The number of this step, from 1 on, as an f64 scalar.
  virtual Var step() = 0;
  virtual double value(std::string_view hyperparameter) const = 0;
  // What was remembered under this name, at first `initial` everywhere; and what to remember now.
  virtual Var remembered(const std::string& name, double initial = 0) = 0;
  virtual void remember(const std::string& name, Var value) = 0;
};

struct OptimizerDef {
  std::string name;
  std::string summary;
  double learning_rate;  // a usual one
  std::vector<Hyperparameter> hyperparameters;
  std::function<Var(ParamUpdate&)> next_value;
};

// All of them: sgd, momentum, nesterov, adam, adamw, rmsprop, adagrad.
std::span<const OptimizerDef> optimizers();

// An optimizer with values for its hyperparameters.
struct Optimizer {
  std::string name = "sgd";
  std::map<std::string, double, std::less<>> values = {};  // others have their defaults
  // Before anything else, gradients are held within -clip_value and clip_value, or scaled so that
  // the norm of all of them together is at most clip_norm; 0: they are not.
  double clip_value = 0;
  double clip_norm = 0;
};

// "adam", or "adam:beta1=0.95,weight_decay=0.1". Error for what is not of this form.
Optimizer parse_optimizer(std::string_view text);
// The row of the table. Error if there is no such optimizer, if it has no hyperparameter of a name
// that is given, or a value is out of its range.
const OptimizerDef& checked(const Optimizer& optimizer);

}  // namespace weir
