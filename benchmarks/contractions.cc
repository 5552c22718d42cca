// matmul f32, square, against three loops in C and against the multiply-add units at their limit, which
// a loop in registers measures on the same threads.
#include <cmath>
#include <exception>

#include "benchmarks/loops.h"
#include "benchmarks/report.h"
#include "benchmarks/subject.h"

namespace weir::bench {
namespace {

constexpr std::string_view kMatmul = "graph @matmul(%a: f32[N, N], %b: f32[N, N]) -> (f32[N, N]) { %c = matmul(%a, %b) return %c }";

// Floating-point operations a second, one thread or all of the pool.
double measure_peak(const Options& options, ThreadPool* pool) {
  constexpr std::ptrdiff_t kRounds = 1 << 18;
  std::vector<Side> sides{repeated([=] {
    in_parts(kRounds, pool, [](std::ptrdiff_t from, std::ptrdiff_t to) {
      float sum = fma_rounds(to - from);
      benchmark::DoNotOptimize(sum);
    });
  })};
  Samples samples = interleave(sides, options.effort());
  return fma_flops_per_round() * static_cast<double>(kRounds) / samples.seconds(0).low;
}

void check(const Buffer& expected, const Buffer& given, std::ptrdiff_t count, std::ptrdiff_t size) {
  for (std::ptrdiff_t i = 0; i < count; ++i)
    if (std::abs(expected.data()[i] - given.data()[i]) > 1e-6f * static_cast<float>(size))
      throw Error("matmul and the loops in C disagree");
}

void measure_matmul(const Options& options, ThreadPool& two) {
  const ThreadPool* pools[] = {nullptr, &two};
  const double peaks[] = {measure_peak(options, nullptr), measure_peak(options, &two)};
  Table table("contractions",
              fmt::format("matmul f32: GFLOP/s; peak {:.0f} on 1 thread, {:.0f} on 2", peaks[0] * 1e-9, peaks[1] * 1e-9),
              {{"size", 16}, {"threads", 7}, {"ours", 6}, {"peak", 5}, {"C", 6}, {"times as fast", 0}}, options);
  for (std::ptrdiff_t size : {64, 128, 256, 512, 1024}) {
    if (options.quick && size > 256) break;
    std::ptrdiff_t count = size * size;
    Buffer a(count), b(count), c(count), expected(count);
    matmul_loop(a.data(), b.data(), expected.data(), size, size, size);
    Executable executable = compile_text(kMatmul);
    float* inputs[] = {a.data(), b.data()};
    for (std::size_t threads : {0, 1}) {
      Call call(executable, size, inputs, c.data(), pools[threads]);
      call.run_into();
      check(expected, c, count, size);
      std::vector<Side> sides{repeated([&] { call.run_into(); }),
                              repeated([&] { matmul_loop(a.data(), b.data(), c.data(), size, size, size); })};
      Effort effort = options.effort();
      effort.fewest_rounds = 5;
      Samples samples = interleave(sides, effort);
      Spread ratio = samples.ratio(1, 0);
      double flops = 2.0 * static_cast<double>(count) * static_cast<double>(size);
      double ours = flops / samples.seconds(0).median, theirs = flops / samples.seconds(1).median;
      table.row({{fmt::format("{0} x {0} x {0}", size), static_cast<double>(size)},
                 {threads == 0 ? "1" : "2", static_cast<double>(threads + 1)},
                 {fmt::format("{:.1f}", ours * 1e-9), ours},
                 {fmt::format("{:.0f} %", ours / peaks[threads] * 100), ours / peaks[threads]},
                 {fmt::format("{:.1f}", theirs * 1e-9), theirs},
                 {times(ratio), ratio}});
    }
  }
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) try {
  using namespace weir::bench;
  Options options = Options::parse(argc, argv, "Times matmul against loops in C and the multiply-add units.");
  TimingLock lock;
  print_machine();
  std::printf("The loops in C are compiled by %s -O3 -march=native, and run on one thread.\n", loop_compiler());
  weir::ThreadPool two(2);
  measure_matmul(options, two);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
