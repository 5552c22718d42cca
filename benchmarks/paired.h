// Paired timing: how fast two or more pieces of code are, one relative to the other, on a machine
// that does other things too.
//
// All sides run in turns within one process, on the same buffers and so on the same pages: round by
// round each side is timed once, and every round has an order of its own, for how fast a side is
// depends on the one before it. What counts is the ratio of two sides within a round; the median of
// these ratios and their quartiles are reported, so a disturbance that hits one round, or all sides
// of it, changes little. A side that lasts less than a sample's least time is repeated within the
// sample, and all sides are repeated equally often. Before its sample each side runs untimed for
// half as long: its threads wake, and the caches hold what it leaves there, not what another side
// has left. After a rest it runs for five milliseconds at least: a processor of a virtual machine that
// has slept takes a third of one to do anything, and several to be as fast as before.
//
// Timed runs hold a lock on a file, so two benchmarks never run at the same time.
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>

namespace weir::bench {

// Runs something the given number of times, one after the other.
using Side = std::function<void(std::int64_t repeats)>;

// Memory is taken to be read and written between two calls, so no call is optimized away.
template <class Call>
Side repeated(Call call) {
  return [call](std::int64_t repeats) {
    for (std::int64_t i = 0; i < repeats; ++i) {
      call();
      benchmark::ClobberMemory();
    }
  };
}

struct Effort {
  double sample_seconds = 300e-6;  // the least time of a sample; 0: single calls, none untimed
  double total_seconds = 0.6;      // of all samples of a comparison, about
  int fewest_rounds = 11;
  int most_rounds = 301;
  // Before each side's turn, if not 0: at least so long, and until no thread of this process spins.
  double rest_seconds = 0;
};

// Median and quartiles.
struct Spread {
  double low = 0, median = 0, high = 0;
};

inline Spread spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  auto at = [&](double part) {
    double place = part * static_cast<double>(values.size() - 1);
    auto below = static_cast<std::size_t>(place);
    std::size_t above = std::min(below + 1, values.size() - 1);
    return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
  };
  return {at(0.25), at(0.5), at(0.75)};
}

// Seconds of one call of each side, round by round.
class Samples {
 public:
  explicit Samples(std::size_t sides) : seconds_(sides) {}

  void add(std::size_t side, double seconds) { seconds_[side].push_back(seconds); }

  // Those of other rounds of the same sides.
  void append(const Samples& other) {
    for (std::size_t side = 0; side < seconds_.size(); ++side)
      seconds_[side].insert(seconds_[side].end(), other.seconds_[side].begin(),
                            other.seconds_[side].end());
  }

  Spread seconds(std::size_t side) const { return spread_of(seconds_[side]); }

  // Of seconds of side `a` to seconds of side `b`: how many times as fast `b` is.
  Spread ratio(std::size_t a, std::size_t b) const {
    return pairs(a, b, [](double x, double y) { return x / y; });
  }

  // Seconds of `a` beyond those of `b`.
  Spread difference(std::size_t a, std::size_t b) const {
    return pairs(a, b, [](double x, double y) { return x - y; });
  }

  // The fastest of the sides from `first` on, up to `end` where it is given.
  std::size_t fastest(std::size_t first, std::size_t end = SIZE_MAX) const {
    std::size_t best = first;
    for (std::size_t side = first + 1; side < std::min(end, seconds_.size()); ++side)
      if (seconds(side).median < seconds(best).median) best = side;
    return best;
  }

 private:
  template <class Combine>
  Spread pairs(std::size_t a, std::size_t b, Combine combine) const {
    std::vector<double> values;
    for (std::size_t i = 0; i < seconds_[a].size(); ++i)
      values.push_back(combine(seconds_[a][i], seconds_[b][i]));
    return spread_of(std::move(values));
  }

  std::vector<std::vector<double>> seconds_;
};

inline constexpr double kUntimedAfterRest = 5e-3;
// And where threads of another process may spin, which nobody here sees.
inline constexpr double kLeastRest = 0.5e-3, kRestOfOthers = 10e-3;

// Whether a thread of this process but the calling one runs, or would if it had a processor.
inline bool is_another_awake() {
  const std::string self = std::to_string(::gettid());
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task", none)) {
    if (entry.path().filename() == self) continue;
    std::ifstream file(entry.path() / "stat");
    std::string line;
    std::getline(file, line);
    const std::size_t name_end = line.rfind(')');
    if (name_end != std::string::npos && line.compare(name_end + 2, 1, "R") == 0) return true;
  }
  return false;
}

// Waits until the threads that a call left spinning sleep: they would hold the processor that
// somebody else's threads need. Some spin for 10 ms and more.
inline void rest(double least_seconds) {
  constexpr int kMostTries = 400;
  std::this_thread::sleep_for(std::chrono::duration<double>(least_seconds));
  for (int i = 0; i < kMostTries && is_another_awake(); ++i)
    std::this_thread::sleep_for(std::chrono::duration<double>(kLeastRest));
}

inline double time_of(const Side& side, std::int64_t repeats) {
  auto start = std::chrono::steady_clock::now();
  side(repeats);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// About how long one call takes, which is run a few times for that.
inline double rough_seconds(const Side& side, double sample_seconds) {
  side(1);
  std::int64_t tries = 1;
  double seconds = time_of(side, tries);
  while (seconds < sample_seconds / 8) {
    tries *= 4;
    seconds = time_of(side, tries);
  }
  return seconds / static_cast<double>(tries);
}

// Times the sides in turns. Each is run twice before, to touch its pages and to tell how long it
// takes.
inline Samples interleave(std::span<const Side> sides, const Effort& effort) {
  std::vector<double> rough;
  for (const Side& side : sides) rough.push_back(rough_seconds(side, effort.sample_seconds));
  const double shortest = *std::min_element(rough.begin(), rough.end());
  const auto repeats = std::max(
      std::int64_t{1}, static_cast<std::int64_t>(std::ceil(effort.sample_seconds / shortest)));
  const double untimed_seconds = effort.rest_seconds > 0 ? kUntimedAfterRest : 0;
  std::vector<std::int64_t> untimed;
  double one_round = 0;
  for (double seconds : rough) {
    untimed.push_back(effort.sample_seconds > 0
                          ? std::max((repeats + 1) / 2, static_cast<std::int64_t>(
                                                            std::ceil(untimed_seconds / seconds)))
                          : 0);
    one_round += seconds * static_cast<double>(repeats + untimed.back());
  }
  int rounds = static_cast<int>(std::clamp(
      effort.total_seconds / one_round, double(effort.fewest_rounds), double(effort.most_rounds)));
  Samples samples(sides.size());
  std::vector<std::size_t> order(sides.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::mt19937 generator(1);
  for (int i = 0; i < rounds; ++i) {
    std::shuffle(order.begin(), order.end(), generator);
    for (std::size_t side : order) {
      if (effort.rest_seconds > 0) rest(effort.rest_seconds);
      sides[side](untimed[side]);
      samples.add(side, time_of(sides[side], repeats) / static_cast<double>(repeats));
    }
  }
  return samples;
}

// Held while something is timed. Waits for whoever holds it.
class TimingLock {
 public:
  TimingLock() {
    auto path = std::filesystem::temp_directory_path() / "weir-benchmarks.lock";
    file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file_ < 0) return;
    if (::flock(file_, LOCK_EX | LOCK_NB) == 0) return;
    std::fprintf(stderr, "waiting for another benchmark to end\n");
    ::flock(file_, LOCK_EX);
  }
  ~TimingLock() {
    if (file_ >= 0) ::close(file_);
  }
  TimingLock(const TimingLock&) = delete;
  TimingLock& operator=(const TimingLock&) = delete;

 private:
  int file_;
};

}  // namespace weir::bench
