// How the time of something grows with its size: a bound that holds on any machine.
#pragma once

#include <ctime>

#include <algorithm>
#include <limits>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace weir::test {

// For linear work and for n log n, which is 10.4 from a thousand elements to eight thousand; the
// square is 64. The rest is for caches: where the smaller size lies in one and the larger does not,
// or not while another program fills it, even linear work grows by twice as much.
inline constexpr double kLinearGrowth = 24;

// Memory once given stays with the process: a page that the system hands over anew takes longer
// than all that is done with it on some virtual machines, and only the larger size would need such
// pages in every run.
inline void keep_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 32 << 20);  // the most that it takes
  mallopt(M_TRIM_THRESHOLD, -1);
#endif
}

// The processor time of action(8 * size) by that of action(size), the least of a few runs each:
// about 8 where the time is linear, 64 where it is quadratic. What else the machine does only adds
// to a run, so there are more of them before the growth is said to be above the bound. `size`
// should take some milliseconds.
template <class Action>
double growth(Action action, int size, double bound = kLinearGrowth) {
  constexpr int few = 3, most = 8;
  keep_memory();
  double small = std::numeric_limits<double>::infinity(), large = small;
  auto time = [&](int n, double& least) {
    std::clock_t begin = std::clock();
    action(n);
    least = std::min(least, std::max(static_cast<double>(std::clock() - begin), 1.0));
  };
  for (int run = 0; run < most && (run < few || large >= bound * small); ++run) {
    time(size, small);
    time(8 * size, large);
  }
  return large / small;
}

}  // namespace weir::test
