// How the time of something grows with its size: a bound that holds on any machine.
#pragma once

#include <ctime>

#include <algorithm>
#include <limits>

namespace weir::test {

// The processor time of action(8 * size) by that of action(size), the least of a few runs each:
// about 8 where the time is linear, 64 where it is quadratic. `size` should take some milliseconds.
template <class Action>
double growth(Action action, int size) {
  auto least = [&](int n) {
    double best = std::numeric_limits<double>::infinity();
    for (int run = 0; run < 3; ++run) {
      std::clock_t begin = std::clock();
      action(n);
      best = std::min(best, static_cast<double>(std::clock() - begin));
    }
    return std::max(best, 1.0);
  };
  return least(8 * size) / least(size);
}

// Between linear with a logarithm, and the square.
inline constexpr double kLinearGrowth = 24;

}  // namespace weir::test
