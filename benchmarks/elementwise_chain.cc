// y = leaky(x*a + b)*c + leaky(d - x) over six arrays of f32, one kernel, against the same loop in
// C and against ONNX Runtime, on the same arrays in ordinary pages. With two threads the loop in C
// is the better of one thread and of equal parts on our thread pool.
//
// C contracts a*b + c into one operation that rounds once. So there are two comparisons, each
// between programs that give the same bits: the chain contracted (CompileOptions::contract) with
// the loop as C compiles it, and the chain as written with the loop that rounds every operation.
//
// Equal code is not equally fast at every place, nor on all pages: the same loop differs by a tenth
// from 2^12 to 2^16. So a row is measured at several places: each has a program and a copy of the
// loop in C of its own, and other parts of the arrays. A second copy takes turns with both: what it
// differs from the first by stands beside our figure, and is what the measurement resolves.
//
// Goals: never slower than C, at least 3 times as fast as ONNX Runtime.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <exception>
#include <random>
#include <vector>

#include "benchmarks/loops.h"
#include "benchmarks/onnxruntime_chain.h"
#include "benchmarks/report.h"
#include "benchmarks/subject.h"

namespace weir::bench {
namespace {

constexpr std::string_view kChain = R"(
graph @chain(%x: f32[N], %a: f32[N], %b: f32[N], %c: f32[N], %d: f32[N]) -> (f32[N]) {
  %xa = mul(%x, %a)
  %s = add(%xa, %b)
  %ls = leaky_relu(%s)
  %left = mul(%ls, %c)
  %dx = sub(%d, %x)
  %right = leaky_relu(%dx)
  %y = add(%left, %right)
  return %y
}
)";

using Pointers = std::array<float*, 6>;

// Room for arrays of up to `most` elements and for shorter ones at many places.
class Arrays {
 public:
  explicit Arrays(std::ptrdiff_t most) : room_(most + kSlack) {
    for (std::size_t i = 0; i < Pointers{}.size(); ++i) buffers_.emplace_back(room_);
  }

  // Arrays of `count` elements that begin with a line, each at its own place, another one for every
  // `place`.
  Pointers at(int place, std::ptrdiff_t count) const {
    std::mt19937_64 generator(static_cast<std::uint64_t>(place));
    std::uniform_int_distribution<std::ptrdiff_t> line(0, (room_ - count) / kLineFloats);
    Pointers result;
    for (std::size_t i = 0; i < result.size(); ++i)
      result[i] = buffers_[i].data() + line(generator) * kLineFloats;
    return result;
  }

 private:
  static constexpr std::ptrdiff_t kLineFloats = 16, kSlack = 1 << 16;
  std::ptrdiff_t room_;
  std::vector<Buffer> buffers_;
};

// The loop in C on such arrays, ready to be repeated; what it is given lies where a Call would.
struct LoopInC {
  chain_function loop;
  const Pointers& v;
  std::ptrdiff_t count;
  ThreadPool* pool;

  void run() const {
    in_parts(count, pool, [this](std::ptrdiff_t from, std::ptrdiff_t to) {
      loop(v[0] + from, v[1] + from, v[2] + from, v[3] + from, v[4] + from, v[5] + from, to - from);
    });
  }
};

// Processors take a load for one that waits for a store before it if their addresses agree in the
// last twelve bits. A result that is shorter than a page is therefore written where the stack's
// addresses around `frame` differ from it in these, or a call of a few nanoseconds would take a
// fifth longer by where the stack begins.
float* apart_from_stack(float* result, std::ptrdiff_t count, const void* frame) {
  constexpr std::uintptr_t kPage = 4096, kLine = 64, kGap = 256;
  constexpr std::ptrdiff_t kShort = 256;
  if (count > kShort) return result;
  const auto shift = (reinterpret_cast<std::uintptr_t>(frame) + kGap) % kPage / kLine * kLine;
  return result + shift / sizeof(float);
}

constexpr int kPlaces = 8;

// The chain, compiled for each place, and the loop in C that gives the same bits.
struct Pair {
  const char* title;
  std::vector<Executable> programs;
  const chain_function* loops;

  explicit Pair(bool contract)
      : title(contract ? "Contracted, against C: times as fast, goal 1"
                       : "As written, against C that does not contract: times as fast, goal 1"),
        loops(contract ? chain_loops : chain_loops_rounding) {
    CompileOptions options;
    options.contract = contract;
    for (int place = 0; place < kPlaces; ++place) programs.push_back(compile_text(kChain, options));
  }

  const Executable& program(int place) const { return programs[static_cast<std::size_t>(place)]; }
  chain_function loop(int place) const { return loops[place % chain_copies]; }
};

void check_same_bits(const Arrays& arrays, const Pair& pair) {
  // Far enough for lines of each operand together, and no whole number of vectors.
  constexpr std::ptrdiff_t kCount = (1 << 16) + 77;
  const Pointers all = arrays.at(0, kCount);
  auto result_of = [&](const Side& side) {
    side(1);
    return std::vector<float>(all[5], all[5] + kCount);
  };
  Call call(pair.program(0), kCount, std::span(all).first(5), all[5], nullptr);
  const LoopInC loop{pair.loop(0), all, kCount, nullptr};
  std::vector<float> ours = result_of(repeated([&] { call.run_into(); }));
  std::vector<float> expected = result_of(repeated([&] { loop.run(); }));
  if (std::memcmp(ours.data(), expected.data(), kCount * sizeof(float)) != 0)
    throw Error("the chain and the loop in C disagree");
}

std::vector<std::pair<int, ThreadPool*>> cases(int largest, ThreadPool& two) {
  std::vector<std::pair<int, ThreadPool*>> result;
  for (int power : {8, 10, 12, 14, 16, 18, 20, 22, 24, 26}) {
    if (power > largest) continue;
    result.emplace_back(power, nullptr);
    result.emplace_back(power, &two);
  }
  return result;
}

std::vector<Cell> start_of_row(int power, const ThreadPool* pool, const Spread& ours) {
  std::ptrdiff_t count = std::ptrdiff_t{1} << power;
  double rate = 24.0 * static_cast<double>(count) / ours.median * 1e-9;
  return {{"2^" + std::to_string(power), static_cast<double>(count)},
          {pool == nullptr ? "1" : "2", pool == nullptr ? 1.0 : 2.0},
          {duration(ours.median), ours.median},
          {fmt::format("{:.1f}", rate), rate}};
}

// A lag of 1 % is not told from noise, nor is one that a quarter of the samples of the same loop
// have.
constexpr double kResolved = 0.99;

// Ours, the loop in C and its next copy, whole; on several threads also both in parts.
Samples sample(const Options& options, const Arrays& arrays, const Pair& pair, int place,
               std::ptrdiff_t count, ThreadPool* pool) {
  Pointers all = arrays.at(place, count);
  all[5] = apart_from_stack(all[5], count, __builtin_frame_address(0));
  Call call(pair.program(place), count, std::span(all).first(5), all[5], pool);
  const LoopInC whole{pair.loop(place), all, count, nullptr},
      parts{pair.loop(place), all, count, pool},
      whole_again{pair.loop(place + 1), all, count, nullptr},
      parts_again{pair.loop(place + 1), all, count, pool};
  const std::array<Side, 5> sides{repeated([&] { call.run_abi(); }), repeated([&] { whole.run(); }),
                                  repeated([&] { whole_again.run(); }),
                                  repeated([&] { parts.run(); }),
                                  repeated([&] { parts_again.run(); })};
  Effort effort = options.effort();
  effort.total_seconds /= kPlaces / 2;
  effort.fewest_rounds = 3;
  return interleave(std::span(sides).first(pool == nullptr ? 3 : 5), effort);
}

void compare_with_c(const Options& options, const Arrays& arrays, const Pair& pair, int largest,
                    ThreadPool& two) {
  Table table("elementwise_chain", pair.title,
              {{"size", 4},
               {"threads", 7},
               {"ours", 7},
               {"GB/s", 5},
               {"C", 7},
               {"times as fast", 17},
               {"C again", 17},
               {"", 0}},
              options);
  for (auto [power, pool] : cases(largest, two)) {
    if (!options.wants("2^" + std::to_string(power))) continue;
    std::ptrdiff_t count = std::ptrdiff_t{1} << power;
    Samples samples = sample(options, arrays, pair, 0, count, pool);
    for (int place = 1; place < kPlaces; ++place)
      samples.append(sample(options, arrays, pair, place, count, pool));
    const bool in_parts = pool != nullptr && samples.seconds(3).median < samples.seconds(1).median;
    const std::size_t best = in_parts ? 3 : 1;
    Spread ratio = samples.ratio(best, 0), again = samples.ratio(best, best + 1),
           loop = samples.seconds(best);
    std::vector<Cell> row = start_of_row(power, pool, samples.seconds(0));
    row.push_back({duration(loop.median), loop.median});
    row.push_back({times(ratio), ratio});
    row.push_back({times(again), again});
    row.push_back(ratio.median < std::min(kResolved, again.low) ? "SLOWER" : "");
    table.row(row);
  }
}

constexpr double kOnnxGoal = 3;

void compare_with_onnxruntime(const Options& options, const Arrays& arrays,
                              const Executable& executable, int largest, ThreadPool& two) {
  const char* path = test::onnxruntime_path();
  if (path == nullptr) {
    std::printf(
        "\nONNX Runtime: set WEIR_ONNXRUNTIME to the path of libonnxruntime.so; ./dev setup "
        "--peers fetches it.\n");
    return;
  }
  OnnxRuntime runtime(path);
  Table table(
      "elementwise_chain",
      "Against ONNX Runtime " + runtime.version() + " through run_into: times as fast, goal 3",
      {{"size", 4},
       {"threads", 7},
       {"ours", 7},
       {"GB/s", 5},
       {"ORT", 7},
       {"times as fast", 17},
       {"", 0}},
      options);
  for (auto [power, pool] : cases(largest, two)) {
    std::ptrdiff_t count = std::ptrdiff_t{1} << power;
    const Pointers all = arrays.at(0, count);
    Call call(executable, count, std::span(all).first(5), all[5], pool);
    // Where ours uses two threads, its threads shall not spin on after a run, on the processor that
    // ours need; waking them again is little beside so long a run.
    bool rests = pool != nullptr && power >= 18;
    OnnxChain chain(runtime, kChain, pool == nullptr ? 1 : 2, all, count, rests);
    std::vector<Side> sides{repeated([&] { call.run_into(); }), repeated([&] { chain.run(); })};
    Effort effort = options.effort();
    if (rests) effort.rest_seconds = kLeastRest;
    if (rests) effort.most_rounds = 61;
    Samples samples = interleave(sides, effort);
    Spread ratio = samples.ratio(1, 0), theirs = samples.seconds(1);
    std::vector<Cell> row = start_of_row(power, pool, samples.seconds(0));
    row.push_back({duration(theirs.median), theirs.median});
    row.push_back({times(ratio), ratio});
    row.push_back(ratio.median < kOnnxGoal ? "BELOW" : "");
    table.row(row);
  }
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) try {
  using namespace weir::bench;
  Options options = Options::parse(
      argc, argv, "Times leaky(x*a + b)*c + leaky(d - x) against C and ONNX Runtime.");
  TimingLock lock;
  print_machine();
  std::printf("The loop in C is compiled by %s -O3 -march=native.\n", loop_compiler());
  int largest = options.quick ? 18 : 26;
  Arrays arrays(std::ptrdiff_t{1} << largest);
  weir::ThreadPool two(2);
  const Pair contracted(true), written(false);
  for (const Pair* pair : {&contracted, &written}) check_same_bits(arrays, *pair);
  for (const Pair* pair : {&contracted, &written})
    compare_with_c(options, arrays, *pair, largest, two);
  compare_with_onnxruntime(options, arrays, written.program(0), largest, two);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
