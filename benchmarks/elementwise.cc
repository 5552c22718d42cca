// LeakyReLU forward (x -> y) and gradient (x, g -> dx), f32, against loops that only move the same
// bytes: the best of plain and streaming stores and, with two threads, of one thread and both. Ours
// are of a program whose outputs are read soon, and, where that is clearly faster, of one whose
// outputs are not (CompileOptions::outputs_leave); nobody reads either here.
// Every array is in ordinary pages, and all sides work on the same ones.
//
// Goals: 92 % of the loop's speed from 2^14 to 2^26 elements, called through the C ABI as the loops
// are, and at 2^10 a call that costs less than 100 ns more than the loop, through `run_into` as
// well.
#include <exception>
#include <optional>

#include "benchmarks/loops.h"
#include "benchmarks/report.h"
#include "benchmarks/subject.h"

namespace weir::bench {
namespace {

constexpr double kGoal = 0.92;
constexpr double kCallGoal = 100e-9;
constexpr double kClearlyFaster = 1.05;

struct Kernel {
  const char* name;
  const char* text;
  std::size_t inputs;
};

constexpr Kernel kKernels[] = {
    {"forward", "graph @forward(%x: f32[N]) -> (f32[N]) { %y = leaky_relu(%x) return %y }", 1},
    {"gradient",
     "graph @gradient(%x: f32[N], %g: f32[N]) -> (f32[N]) { %d = leaky_relu.grad(%x, %g) return %d "
     "}",
     2},
};

struct Arrays {
  Buffer x, g, y;
  explicit Arrays(std::ptrdiff_t count) : x(count), g(count), y(count) {}
};

Side moving_loop(const Kernel& kernel, const Arrays& arrays, std::ptrdiff_t count, bool streaming,
                 ThreadPool* pool) {
  const float *x = arrays.x.data(), *g = arrays.g.data();
  float* y = arrays.y.data();
  if (kernel.inputs == 1) {
    auto* loop = streaming ? copy_streaming : copy_plain;
    return repeated([=] {
      in_parts(count, pool, [=](auto from, auto to) { loop(x + from, y + from, to - from); });
    });
  }
  auto* loop = streaming ? merge_streaming : merge_plain;
  return repeated([=] {
    in_parts(count, pool,
             [=](auto from, auto to) { loop(x + from, g + from, y + from, to - from); });
  });
}

struct Rival {
  const char* name;
  Side side;
};

std::vector<Rival> rivals_of(const Kernel& kernel, const Arrays& arrays, std::ptrdiff_t count,
                             ThreadPool* pool) {
  std::vector<Rival> rivals{
      {"plain, 1 thread", moving_loop(kernel, arrays, count, false, nullptr)},
      {"streaming, 1 thread", moving_loop(kernel, arrays, count, true, nullptr)}};
  if (pool != nullptr) {
    rivals.push_back({"plain", moving_loop(kernel, arrays, count, false, pool)});
    rivals.push_back({"streaming", moving_loop(kernel, arrays, count, true, pool)});
  }
  return rivals;
}

void measure_bandwidth(const Options& options, const Arrays& arrays, int largest, ThreadPool& two) {
  for (const Kernel& kernel : kKernels) {
    CompileOptions options_of_leaving;
    options_of_leaving.outputs_leave = true;
    const Executable staying = compile_text(kernel.text),
                     leaving = compile_text(kernel.text, options_of_leaving);
    Table table("elementwise",
                std::string("leaky_relu ") + kernel.name + ", f32: speed of the loop's, goal 92 %",
                {{"size", 4},
                 {"threads", 7},
                 {"ours", 7},
                 {"loop", 7},
                 {"GB/s", 5},
                 {"of the loop", 15},
                 {"run_into", 8},
                 {"read soon", 9},
                 {"the loop's stores", 0}},
                options);
    for (int power = 14; power <= largest; power += 2) {
      const std::string size = "2^" + std::to_string(power);
      if (!options.wants(kernel.name + (" " + size))) continue;
      std::ptrdiff_t count = std::ptrdiff_t{1} << power;
      for (ThreadPool* pool : {static_cast<ThreadPool*>(nullptr), &two}) {
        float* inputs[] = {arrays.x.data(), arrays.g.data()};
        const std::span given(inputs, kernel.inputs);
        Call stays(staying, count, given, arrays.y.data(), pool),
            leaves(leaving, count, given, arrays.y.data(), pool);
        std::vector<Rival> rivals = rivals_of(kernel, arrays, count, pool);
        std::vector<Side> sides{
            repeated([&] { stays.run_abi(); }), repeated([&] { stays.run_into(); }),
            repeated([&] { leaves.run_abi(); }), repeated([&] { leaves.run_into(); })};
        const std::size_t first_rival = sides.size();
        for (const Rival& rival : rivals) sides.push_back(rival.side);
        Samples samples = interleave(sides, options.effort());
        std::size_t best = samples.fastest(first_rival);
        const std::size_t chosen =
            samples.ratio(0, 2).median > kClearlyFaster ? std::size_t{2} : std::size_t{0};
        Spread ours = samples.seconds(chosen), loop = samples.seconds(best),
               ratio = samples.ratio(best, chosen),
               through_run_into = samples.ratio(best, chosen + 1), soon = samples.ratio(best, 0);
        double bytes = 4.0 * static_cast<double>(kernel.inputs + 1) * static_cast<double>(count);
        std::string name = rivals[best - first_rival].name;
        if (chosen != 0) name += "; ours leaves";
        if (ratio.median < kGoal) name += " BELOW";
        table.row({{size, double(count)},
                   {pool == nullptr ? "1" : "2", pool == nullptr ? 1.0 : 2.0},
                   {duration(ours.median), ours.median},
                   {duration(loop.median), loop.median},
                   {fmt::format("{:.1f}", bytes / ours.median * 1e-9), bytes / ours.median * 1e-9},
                   {percent(ratio), ratio},
                   {fmt::format("{:.0f} %", through_run_into.median * 100), through_run_into},
                   {fmt::format("{:.0f} %", soon.median * 100), soon},
                   name});
      }
    }
  }
}

void measure_calls(const Options& options, const Arrays& arrays, ThreadPool& two) {
  Table table("elementwise", "A call of 2^10 elements: time beyond the loop's, goal under 100 ns",
              {{"kernel", 8},
               {"threads", 7},
               {"through", 8},
               {"ours", 7},
               {"loop", 7},
               {"beyond", 7},
               {"", 0}},
              options);
  constexpr std::ptrdiff_t kCount = 1 << 10;
  for (const Kernel& kernel : kKernels) {
    Executable executable = compile_text(kernel.text);
    for (ThreadPool* pool : {static_cast<ThreadPool*>(nullptr), &two}) {
      float* inputs[] = {arrays.x.data(), arrays.g.data()};
      Call call(executable, kCount, std::span(inputs, kernel.inputs), arrays.y.data(), pool);
      std::vector<Side> sides{repeated([&] { call.run_into(); }), repeated([&] { call.run_abi(); }),
                              moving_loop(kernel, arrays, kCount, false, nullptr)};
      Samples samples = interleave(sides, options.effort());
      for (std::size_t side : {0, 1}) {
        Spread ours = samples.seconds(side), beyond = samples.difference(side, 2);
        table.row({kernel.name,
                   {pool == nullptr ? "1" : "2", pool == nullptr ? 1.0 : 2.0},
                   side == 0 ? "run_into" : "C ABI",
                   {duration(ours.median), ours.median},
                   {duration(samples.seconds(2).median), samples.seconds(2).median},
                   {duration(beyond.median), beyond},
                   beyond.median < kCallGoal ? "" : "ABOVE"});
      }
    }
  }
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) try {
  using namespace weir::bench;
  Options options =
      Options::parse(argc, argv, "Times leaky_relu and its gradient against copy loops.");
  TimingLock lock;
  print_machine();
  std::printf("Loops by %s.\n", loop_compiler());
  int largest = options.quick ? 20 : 26;
  Arrays arrays(std::ptrdiff_t{1} << largest);
  weir::ThreadPool two(2);
  measure_calls(options, arrays, two);
  measure_bandwidth(options, arrays, largest, two);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
