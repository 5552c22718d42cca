// Learning rates over a training: numbers that the host gives to each step.
//
// A rate is base * warm_up(t) * shape(t) for step t = 0, 1, ... The first `warm_up` steps rise
// evenly to the whole rate, (t + 1) / warm_up of it; the shapes are those of PyTorch's schedulers,
// counted in steps:
//   constant   1
//   staircase  factor^floor(t / every)
//   cosine     (1 + cos(pi * t / steps)) / 2, and 0 from `steps` on
#pragma once

#include <cstdint>
#include <string_view>

namespace weir {

struct RateSchedule {
  enum class Shape : std::uint8_t { constant, staircase, cosine };

  double base = 0.01;
  Shape shape = Shape::constant;
  std::int64_t warm_up = 0;  // steps; 0: none
  std::int64_t every = 1;    // of the staircase: steps of one height
  double factor = 0.1;
  std::int64_t steps = 1;  // of the cosine: where it reaches 0

  // The rate of a step.
  double at(std::int64_t step) const;
};

// "constant", "cosine:warmup=1", or "step:every=30,factor=0.1": the options of each are `warmup`,
// and those of the staircase `every`, both in epochs, and `factor`. An epoch has `steps_per_epoch`
// steps, and all of them are `epochs`. Error for what is not of this form, and for values out of
// range.
RateSchedule parse_rate_schedule(std::string_view text, double base, std::int64_t steps_per_epoch,
                                 std::int64_t epochs);

}  // namespace weir
