// What it costs to hand a loop to other threads and to learn that they are done: measured while
// programs run, for it changes by several times when the system moves threads, or the processors of
// a virtual machine, from one part of the machine to another.
//
// A figure is the median of a few samples, so whatever disturbs fewer than half of them changes
// little, and it lies between 1 and `most` nanoseconds. It is due again after `lifetime`. Samples
// are taken in the middle of a program's run: they last less than a thousandth of that.
//
// A sample of `most` or more says that a thread was not there, because it had just been woken, or
// because its processor did something else. Then nothing is learnt, and it is tried again soon;
// when that has gone on for a while, `away` is the figure. It is no more than what far processors
// need: a loop does not wait for a thread that is not there, and one that comes back soon helps.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "runtime/abi.h"

namespace weir {

// All members may be called from many threads at once, `set` by one at a time.
class HandOver {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr std::size_t samples = 7;
  static constexpr std::chrono::nanoseconds most{4000}, away{1000};
  static constexpr std::chrono::milliseconds lifetime{20}, lifetime_away{2};
  // How often in a row threads are not there before that is the figure.
  static constexpr int patience = 8;

  // In nanoseconds; WEIR_HAND_OVER before anything is measured.
  int figure() const noexcept { return figure_.load(std::memory_order_relaxed); }

  // Whether to measure it. Looks at the clock once in a while: most calls only count.
  bool is_due() noexcept {
    const std::uint32_t calls = calls_.load(std::memory_order_relaxed);
    calls_.store(calls + 1, std::memory_order_relaxed);
    return calls % calls_per_look == 0 &&
           Clock::now().time_since_epoch().count() >= due_.load(std::memory_order_relaxed);
  }

  // Calls `sample`, which returns how long a loop of nothing took, and sets the figure.
  template <class Sample>
  void measure(Sample sample) noexcept {
    std::array<std::chrono::nanoseconds, samples> durations;
    for (std::chrono::nanoseconds& duration : durations) {
      duration = sample();
      if (duration >= most) return miss();
    }
    set(durations);
  }

 private:
  static constexpr std::uint32_t calls_per_look = 32;

  void set(std::array<std::chrono::nanoseconds, samples> durations) noexcept;
  void miss() noexcept;
  void set(std::chrono::nanoseconds figure, Clock::duration valid) noexcept;

  std::atomic<int> figure_{WEIR_HAND_OVER};
  int misses_ = 0;  // in a row
  std::atomic<std::uint32_t> calls_{0};
  std::atomic<Clock::rep> due_{Clock::time_point::min().time_since_epoch().count()};
};

}  // namespace weir
