#include "compiler/training/rate_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include "compiler/autodiff/named_options.h"
#include "ir/diagnostic.h"

namespace weir {

double RateSchedule::at(std::int64_t step) const {
  double rate = base;
  if (step < warm_up) rate *= static_cast<double>(step + 1) / static_cast<double>(warm_up);
  switch (shape) {
    case Shape::constant:
      return rate;
    case Shape::staircase:
      return rate * std::pow(factor, static_cast<double>(step / every));
    case Shape::cosine:
      break;
  }
  if (step >= steps) return 0;
  double part = static_cast<double>(step) / static_cast<double>(steps);
  return rate * (1 + std::cos(std::numbers::pi * part)) / 2;
}

namespace {

std::int64_t steps_of_epochs(std::string_view key, double epochs, std::int64_t steps_per_epoch) {
  constexpr double kMost = 1e9;
  if (!(epochs >= 0 && epochs <= kMost) || epochs != std::floor(epochs))
    throw Error(fmt::format("{} takes a number of epochs from 0 to {:g}, and {} is given", key,
                            kMost, epochs));
  return static_cast<std::int64_t>(epochs) * steps_per_epoch;
}

}  // namespace

RateSchedule parse_rate_schedule(std::string_view text, double base, std::int64_t steps_per_epoch,
                                 std::int64_t epochs) {
  NamedOptions given = parse_named_options(text);
  RateSchedule schedule;
  schedule.base = base;
  schedule.steps = std::max<std::int64_t>(1, steps_per_epoch * epochs);
  bool is_staircase = given.name == "step";
  if (is_staircase) {
    schedule.shape = RateSchedule::Shape::staircase;
    schedule.every = 30 * steps_per_epoch;
  } else if (given.name == "cosine") {
    schedule.shape = RateSchedule::Shape::cosine;
  } else if (given.name != "constant") {
    throw Error(
        fmt::format("there is no schedule {}; there are constant, cosine and step", given.name));
  }
  for (const auto& [key, text_of_value] : given.options) {
    double value = number_of_option(key, text_of_value);
    if (key == "warmup") {
      schedule.warm_up = steps_of_epochs(key, value, steps_per_epoch);
    } else if (key == "every" && is_staircase) {
      schedule.every = steps_of_epochs(key, value, steps_per_epoch);
      if (schedule.every == 0) throw Error("every must be at least 1");
    } else if (key == "factor" && is_staircase) {
      if (value < 0) throw Error(fmt::format("factor must be at least 0; it is {}", value));
      schedule.factor = value;
    } else {
      throw Error(fmt::format("the schedule {} has no option {}; it has {}", given.name, key,
                              is_staircase ? "every, factor and warmup" : "warmup"));
    }
  }
  return schedule;
}

}  // namespace weir
