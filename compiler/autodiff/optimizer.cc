#include "compiler/autodiff/optimizer.h"

#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/autodiff/named_options.h"

namespace weir {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Hyperparameter at_least_zero(std::string name, double value, std::string summary) {
  return {std::move(name), value, 0, kInfinity, std::move(summary)};
}

Hyperparameter below_one(std::string name, double value, std::string summary) {
  return {std::move(name), value, 0, 1, std::move(summary)};
}

constexpr double kBeyondTruth = 2;

Hyperparameter truth(std::string name, double value, std::string summary) {
  return {std::move(name), value, 0, kBeyondTruth, std::move(summary)};
}

Hyperparameter weight_decay(double value = 0) {
  return at_least_zero("weight_decay", value, "Times the param, added to its gradient.");
}

Hyperparameter epsilon(double value) {
  return at_least_zero("epsilon", value, "Added to what is divided by.");
}

Var decayed_gradient(ParamUpdate& update) {
  double decay = update.value("weight_decay");
  return decay == 0 ? update.gradient : update.gradient + decay * update.param;
}

Var sqrt(Var x) { return x.builder().apply("sqrt", {x}); }

Var in_type(Var value, DType type) {
  return value.dtype() == type ? value : value.builder().apply("cast", {value}, {{"dtype", type}});
}

Var in_f64(Var value) { return in_type(value, DType::f64); }

Var sgd(ParamUpdate& update) {
  Var gradient = decayed_gradient(update);
  double momentum = update.value("momentum");
  if (momentum != 0) {
    double dampening = update.value("dampening");
    Var velocity = momentum * update.remembered("momentum");
    Var next = velocity + (dampening == 0 ? gradient : (1 - dampening) * gradient);
    // The first gradient is remembered whole.
    if (dampening != 0)
      next = gradient.builder().apply("select", {update.step() <= 1, gradient, next});
    update.remember("momentum", next);
    gradient = update.value("nesterov") != 0 ? gradient + momentum * next : next;
  }
  return update.param - update.rate * gradient;
}

// The step from the moments of the gradient, whose bias toward zero is taken out.
Var adam_step(ParamUpdate& update, Var param, Var gradient) {
  double beta1 = update.value("beta1"), beta2 = update.value("beta2");
  Var mean = beta1 * update.remembered("mean") + (1 - beta1) * gradient;
  Var square = beta2 * update.remembered("mean_square") + (1 - beta2) * (gradient * gradient);
  update.remember("mean", mean);
  update.remember("mean_square", square);
  GraphBuilder& builder = param.builder();
  auto correction = [&](double beta) {
    return 1 - builder.apply("pow", {builder.scalar(DType::f64, beta), update.step()});
  };
  Var rate = in_type(in_f64(update.rate) / correction(beta1), param.dtype());
  Var root = in_type(sqrt(correction(beta2)), param.dtype());
  Var divisor = sqrt(square) / root + update.value("epsilon");
  return param - rate * (mean / divisor);
}

Var adam(ParamUpdate& update) { return adam_step(update, update.param, decayed_gradient(update)); }

Var adamw(ParamUpdate& update) {
  double decay = update.value("weight_decay");
  Var param = update.param;
  if (decay != 0) param = param * (1 - decay * update.rate);
  return adam_step(update, param, update.gradient);
}

Var rmsprop(ParamUpdate& update) {
  Var gradient = decayed_gradient(update);
  double alpha = update.value("alpha"), momentum = update.value("momentum");
  Var square = alpha * update.remembered("mean_square") + (1 - alpha) * (gradient * gradient);
  update.remember("mean_square", square);
  if (update.value("centered") != 0) {
    Var mean = alpha * update.remembered("mean") + (1 - alpha) * gradient;
    update.remember("mean", mean);
    square = square - mean * mean;
  }
  Var step = gradient / (sqrt(square) + update.value("epsilon"));
  if (momentum != 0) {
    step = momentum * update.remembered("momentum") + step;
    update.remember("momentum", step);
  }
  return update.param - update.rate * step;
}

Var adagrad(ParamUpdate& update) {
  Var gradient = decayed_gradient(update);
  double decay = update.value("rate_decay");
  Var sum = update.remembered("square_sum", update.value("initial_sum")) + gradient * gradient;
  update.remember("square_sum", sum);
  Var rate = update.rate;
  if (decay != 0) rate = in_type(in_f64(rate) / (1 + decay * (update.step() - 1)), rate.dtype());
  return update.param - rate * (gradient / (sqrt(sum) + update.value("epsilon")));
}

std::vector<Hyperparameter> sgd_values(double momentum, double nesterov) {
  return {below_one("momentum", momentum, "How much of the last step goes into the next."),
          below_one("dampening", 0, "How much less of a gradient than all of it does."),
          truth("nesterov", nesterov, "1: looks a step of the momentum ahead."), weight_decay()};
}

std::vector<Hyperparameter> adam_values(double decay) {
  return {below_one("beta1", 0.9, "How much of the mean of gradients is kept."),
          below_one("beta2", 0.999, "How much of the mean of their squares is kept."),
          epsilon(1e-8), weight_decay(decay)};
}

std::vector<OptimizerDef> make_table() {
  std::vector<OptimizerDef> table{
      {"sgd", "Gradient descent.", 0.01, sgd_values(0, 0), sgd},
      {"momentum", "Gradient descent with momentum.", 0.01, sgd_values(0.9, 0), sgd},
      {"nesterov", "Gradient descent with Nesterov's momentum.", 0.01, sgd_values(0.9, 1), sgd},
      {"adam", "Adam.", 0.001, adam_values(0), adam},
      {"adamw", "Adam with weight decay apart from the gradient.", 0.001, adam_values(0.01), adamw},
      {"rmsprop",
       "RMSprop.",
       0.01,
       {below_one("alpha", 0.99, "How much of the mean of squares is kept."), epsilon(1e-8),
        below_one("momentum", 0, "How much of the last step goes into the next."),
        truth("centered", 0, "1: divides by the variance, not by the mean of squares."),
        weight_decay()},
       rmsprop},
      {"adagrad",
       "Adagrad.",
       0.01,
       {at_least_zero("rate_decay", 0, "Takes the rate down with the number of steps."),
        at_least_zero("initial_sum", 0, "Where the sums of squares start."), epsilon(1e-10),
        weight_decay()},
       adagrad}};
  // AdamW takes it from the param itself.
  table[4].hyperparameters.back().summary = "Times rate and param, taken from the param.";
  return table;
}

const OptimizerDef& find(std::string_view name) {
  std::vector<std::string_view> names;
  for (const OptimizerDef& optimizer : optimizers()) {
    if (optimizer.name == name) return optimizer;
    names.push_back(optimizer.name);
  }
  throw Error(fmt::format("there is no optimizer {}; there are {}", name, fmt::join(names, ", ")));
}

// As PyTorch has it: what is looked ahead of is a momentum that takes gradients whole.
void check_nesterov(const Optimizer& optimizer, const OptimizerDef& definition) {
  auto value = [&](std::string_view name) -> double {
    if (auto given = optimizer.values.find(name); given != optimizer.values.end())
      return given->second;
    for (const Hyperparameter& known : definition.hyperparameters)
      if (known.name == name) return known.default_value;
    return 0;
  };
  if (value("nesterov") != 0 && (value("momentum") == 0 || value("dampening") != 0))
    throw Error("nesterov needs a momentum above 0 and no dampening");
}

void check_clip(std::string_view name, double value) {
  if (!(value >= 0) || std::isinf(value))
    throw Error(fmt::format("{} must be a positive number, or 0 for none; it is {}", name, value));
}

// All but what hyperparameters ask of each other, some of which may still come.
const OptimizerDef& check_each(const Optimizer& optimizer) {
  const OptimizerDef& definition = find(optimizer.name);
  for (const auto& [name, value] : optimizer.values) {
    std::vector<std::string_view> names;
    const Hyperparameter* found = nullptr;
    for (const Hyperparameter& known : definition.hyperparameters) {
      names.push_back(known.name);
      if (known.name == name) found = &known;
    }
    if (!found)
      throw Error(fmt::format("{} has no hyperparameter {}; it has {}", optimizer.name, name,
                              fmt::join(names, ", ")));
    if (found->most == kBeyondTruth && value != 0 && value != 1)
      throw Error(fmt::format("{} of {} must be 0 or 1; it is {}", name, optimizer.name, value));
    if (!(value >= found->least && value < found->most))
      throw Error(fmt::format("{} of {} must be from {} to below {}; it is {}", name,
                              optimizer.name, found->least, found->most, value));
  }
  return definition;
}

}  // namespace

std::span<const OptimizerDef> optimizers() {
  static const std::vector<OptimizerDef> table = make_table();
  return table;
}

Optimizer parse_optimizer(std::string_view text) {
  NamedOptions given = parse_named_options(text);
  Optimizer result;
  result.name = given.name;
  for (const auto& [key, value] : given.options)
    result.values.emplace(key, number_of_option(key, value));
  check_each(result);
  return result;
}

const OptimizerDef& checked(const Optimizer& optimizer) {
  const OptimizerDef& definition = check_each(optimizer);
  check_nesterov(optimizer, definition);
  check_clip("clip_value", optimizer.clip_value);
  check_clip("clip_norm", optimizer.clip_norm);
  return definition;
}

}  // namespace weir
