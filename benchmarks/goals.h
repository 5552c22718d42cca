// What a row of a benchmark is to reach, and what the machine gives at most.
//
// A goal is so many times the speed of the best of the others; or 95% of what the multiply-add
// units can do, or 93% of what memory can be read with, whichever is lower: nobody can be faster
// than the machine. The machine's limits are loops of multiply-adds in registers and of loads,
// measured when a benchmark starts. How fast a processor is changes from second to second, so where
// a row comes near a limit, that limit's loop takes turns with the row's other sides.
#pragma once

#include <array>
#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "benchmarks/for_processor.h"
#include "benchmarks/loops.h"
#include "benchmarks/report.h"
#include "benchmarks/subject.h"
#include "benchmarks/work.h"

namespace weir::bench {

inline constexpr double kUnreachable = std::numeric_limits<double>::infinity();

struct Goal {
  double times = 1;     // as fast as the best of the others; kUnreachable: the others do not count
  double peak = 0.95;   // of the multiply-add units
  double reads = 0.93;  // of the speed with which memory of that size is read
};

// Against a row's goal.
struct Verdict {
  std::string text;  // "1.05: met", "95 % of peak: BEHIND"
  double goal = 0;   // the lowest of the three, and what stands against it
  double reached = 0;
  bool met = true;
};

// The limit of the machine that a row is nearest to, among its sides; 0 where it is far from both.
struct LimitSides {
  std::size_t peak = 0, reads = 0;
};

class Machine {
 public:
  // Measures and prints. `two` has two threads.
  Machine(const Options& options, ThreadPool& two)
      : two_(two), vector_bytes_(vector_bytes(options)), memory_(kMostBytes / 4) {
    Effort effort = options.effort();
    effort.total_seconds /= 4;
    for (int threads : {1, 2}) {
      std::vector<Side> peak{multiplying(1 << 16, threads)};
      of(threads).flops =
          flops_per_round() * (1 << 16) / interleave(peak, effort).seconds(0).median;
      for (std::size_t i = 0; i < kSizes.size(); ++i) {
        std::vector<Side> reads{reading(kSizes[i], threads)};
        of(threads).bytes[i] =
            static_cast<double>(kSizes[i]) / interleave(reads, effort).seconds(0).median;
      }
    }
    for (int threads : {1, 2}) {
      std::printf("%d thread%s: multiply-add units %.0f GFLOP/s; reads of", threads,
                  threads == 1 ? "" : "s", of(threads).flops * 1e-9);
      for (std::size_t i = 0; i < kSizes.size(); ++i)
        std::printf("%s %s %.0f", i == 0 ? "" : ",", size_text(kSizes[i]).c_str(),
                    of(threads).bytes[i] * 1e-9);
      std::printf(" GB/s\n");
    }
  }

  double flops(int threads) const { return limits_[index(threads)].flops; }
  // Of memory of so many bytes that is read over and over.
  double bytes(double size, int threads) const {
    std::size_t i = 0;
    while (i + 1 < kSizes.size() && static_cast<double>(kSizes[i]) * 1.5 < size) ++i;
    return limits_[index(threads)].bytes[i];
  }

  // Adds the loops of the limits that the first side is near to.
  LimitSides add_limits(std::vector<Side>& sides, const Work& work, int threads) {
    LimitSides limits;
    const double seconds = rough_seconds(sides[0], Effort().sample_seconds);
    if (work.flops / flops(threads) > seconds * kNear) {
      limits.peak = sides.size();
      sides.push_back(
          multiplying(static_cast<std::ptrdiff_t>(work.flops / flops_per_round()), threads));
    }
    if (work.bytes <= static_cast<double>(kMostBytes) && work.bytes >= kLeastBytes &&
        work.bytes / bytes(work.bytes, threads) > seconds * kNear) {
      limits.reads = sides.size();
      sides.push_back(reading(static_cast<std::ptrdiff_t>(work.bytes), threads));
    }
    return limits;
  }

  // The parts of the limits that the first side reaches.
  double part_of_peak(const Samples& samples, const LimitSides& limits, const Work& work,
                      int threads) const {
    if (limits.peak != 0) return samples.ratio(limits.peak, 0).median;
    return work.flops / flops(threads) / samples.seconds(0).median;
  }
  double part_of_reads(const Samples& samples, const LimitSides& limits, const Work& work,
                       int threads) const {
    if (limits.reads != 0) return samples.ratio(limits.reads, 0).median;
    return work.bytes / bytes(work.bytes, threads) / samples.seconds(0).median;
  }

  // `times`: how many times as fast as the best of the others the first side is; none, if there are
  // no others.
  Verdict judge(const Goal& goal, std::optional<double> times, const Samples& samples,
                const LimitSides& limits, const Work& work, int threads) const {
    const double peak = part_of_peak(samples, limits, work, threads),
                 reads = part_of_reads(samples, limits, work, threads);
    Verdict verdict;
    auto consider = [&](double wanted, double reached, std::string words) {
      if (wanted == kUnreachable ||
          (verdict.goal > 0 && reached / wanted <= verdict.reached / verdict.goal))
        return;
      verdict = {std::move(words), wanted, reached, reached >= wanted};
    };
    if (times) consider(goal.times, *times, fmt::format("{:.2f}", goal.times));
    // A limit that is far away, and was not measured beside the row, makes no goal lower; nor does
    // one that was disturbed, so that the row is beyond it.
    if ((limits.peak != 0 && peak < kBeyond) || goal.times == kUnreachable)
      consider(goal.peak, peak, fmt::format("{:.0f} % of peak", goal.peak * 100));
    if (limits.reads != 0 && reads < kBeyond)
      consider(goal.reads, reads, fmt::format("{:.0f} % of reads", goal.reads * 100));
    if (verdict.goal > 0) verdict.text += verdict.met ? ": met" : ": BEHIND";
    return verdict;
  }

 private:
  static constexpr std::array<std::ptrdiff_t, 5> kSizes{1 << 14, 1 << 18, 1 << 20, 1 << 22,
                                                        1 << 26};
  static constexpr std::ptrdiff_t kMostBytes = kSizes.back(), kLeastBytes = 1 << 16;
  // A limit of less than this part of a row's time is not measured beside it.
  static constexpr double kNear = 0.4;
  static constexpr double kBeyond = 1.05;

  struct Limits {
    double flops = 0;
    std::array<double, kSizes.size()> bytes{};  // a second, of memory of kSizes
  };

  double flops_per_round() const { return fma_flops_per_round(vector_bytes_); }

  static std::size_t index(int threads) { return static_cast<std::size_t>(threads - 1); }
  Limits& of(int threads) { return limits_[index(threads)]; }

  static std::string size_text(std::ptrdiff_t bytes) {
    return bytes < 1 << 20 ? fmt::format("{} KB", bytes >> 10) : fmt::format("{} MB", bytes >> 20);
  }

  // All repeats at once, so that two threads are handed their parts once.
  Side multiplying(std::ptrdiff_t rounds, int threads) {
    return [=, bytes = vector_bytes_, pool = threads == 1 ? nullptr : &two_](std::int64_t repeats) {
      in_parts(rounds * repeats, pool, [bytes](std::ptrdiff_t from, std::ptrdiff_t to) {
        float sum = fma_rounds(bytes, to - from);
        benchmark::DoNotOptimize(sum);
      });
    };
  }

  // Each thread reads a part of its own.
  Side reading(std::ptrdiff_t bytes, int threads) {
    return [=, this, pool = threads == 1 ? nullptr : &two_](std::int64_t repeats) {
      constexpr std::ptrdiff_t kBlock = 128;
      const std::ptrdiff_t blocks = bytes / static_cast<std::ptrdiff_t>(kBlock * sizeof(float));
      in_parts(blocks, pool, [&](std::ptrdiff_t from, std::ptrdiff_t to) {
        for (std::int64_t i = 0; i < repeats; ++i) {
          float sum = read_loop(memory_.data() + from * kBlock, (to - from) * kBlock);
          benchmark::DoNotOptimize(sum);
        }
      });
    };
  }

  ThreadPool& two_;
  int vector_bytes_;
  Buffer memory_;
  std::array<Limits, 2> limits_;
};

// The last column of a table, and what JSON has of it.
inline void add_verdict(std::vector<Cell>& row, const Verdict& verdict) {
  row.emplace_back(verdict.text);
  if (verdict.goal == 0) return;
  row.back().json = fmt::format("{{\"goal\": {:.9g}, \"reached\": {:.9g}, \"met\": {}}}",
                                verdict.goal, verdict.reached, verdict.met);
}

}  // namespace weir::bench
