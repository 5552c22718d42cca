#include "compiler/rate_schedule.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>

#include <fmt/format.h>

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

RateSchedule parse_rate_schedule(std::string_view text, double base, std::int64_t steps_per_epoch,
                                 std::int64_t epochs) {
  auto fail = [&](std::string_view why) {
    throw Error(fmt::format(
        "{} is no schedule: {}; write constant, cosine, or step:every=30,factor=0.1, and "
        "warmup=E behind it for E epochs of rising",
        text, why));
  };
  RateSchedule schedule;
  schedule.base = base;
  schedule.steps = std::max<std::int64_t>(1, steps_per_epoch * epochs);
  std::string_view name = text.substr(0, text.find_first_of(":,"));
  std::string_view rest = text.substr(std::min(text.size(), name.size() + 1));
  if (name == "cosine") {
    schedule.shape = RateSchedule::Shape::cosine;
  } else if (name == "step") {
    schedule.shape = RateSchedule::Shape::staircase;
    schedule.every = 30 * steps_per_epoch;
  } else if (name != "constant") {
    fail("there is none of that name");
  }
  while (!rest.empty()) {
    std::string_view item = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), item.size() + 1));
    std::size_t equals = item.find('=');
    double value = 0;
    const char* end = item.data() + item.size();
    std::from_chars_result read{item.data(), std::errc::invalid_argument};
    if (equals != std::string_view::npos)
      read = std::from_chars(item.data() + equals + 1, end, value);
    if (read.ec != std::errc() || read.ptr != end)
      fail(fmt::format("{} is no number by name", item));
    std::string_view key = item.substr(0, equals);
    bool counts = key == "warmup" || (key == "every" && name == "step");
    if (!(value >= 0) || value > 1e9) fail(fmt::format("{} is out of range", item));
    if (counts && value != std::floor(value)) fail(fmt::format("{} is no whole number", item));
    if (key == "warmup") {
      schedule.warm_up = static_cast<std::int64_t>(value) * steps_per_epoch;
    } else if (counts) {
      if (value == 0) fail("every must be at least 1");
      schedule.every = static_cast<std::int64_t>(value) * steps_per_epoch;
    } else if (key == "factor" && name == "step") {
      schedule.factor = value;
    } else {
      fail(fmt::format("{} has no {}", name, key));
    }
  }
  schedule.every = std::max<std::int64_t>(1, schedule.every);
  return schedule;
}

}  // namespace weir
