// How a loop is divided follows what the executor says it costs: none where that is too much, an
// equal one where it does not say, and otherwise one with a longer first share. The bits are those
// of a run on one thread.
#include <algorithm>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/graphs.h"
#include "tests/unit/pipeline/compiled.h"

namespace weir::test {
namespace {

// Says what it is told to; runs the tasks of a loop in order, and counts them and the loops.
struct TellingExecutor {
  explicit TellingExecutor(int workers, int nanoseconds = WEIR_HAND_OVER) : told(nanoseconds) {
    executor.max_workers = workers;
  }
  TellingExecutor(const TellingExecutor&) = delete;
  TellingExecutor& operator=(const TellingExecutor&) = delete;

  int told;
  int asked = 0;
  std::vector<std::ptrdiff_t> loops;  // how many tasks each of them had
  std::function<void(std::ptrdiff_t)> after = [](std::ptrdiff_t) {};  // called with each task
  weir_executor executor{this,
                         0,
                         [](void* context, std::ptrdiff_t count, weir_task task, void* argument) {
                           auto& self = *static_cast<TellingExecutor*>(context);
                           self.loops.push_back(count);
                           for (std::ptrdiff_t i = 0; i < count; ++i) {
                             task(argument, i, static_cast<int>(i % self.executor.max_workers));
                             self.after(i);
                           }
                         },
                         nullptr,
                         nullptr,
                         [](void* context) {
                           auto& self = *static_cast<TellingExecutor*>(context);
                           ++self.asked;
                           return self.told;
                         }};
};

constexpr const char* kChain = R"(graph @chain(%x: f32[N], %a: f32[N]) -> (f32[N]) {
  %xa = mul(%x, %a)
  %l = leaky_relu(%xa)
  %d = sub(%l, %x)
  %y = leaky_relu(%d)
  return %y
})";

struct Chain {
  explicit Chain(std::int64_t count) : elements(count) {
    Generator generator(3);
    Graph graph = parse(kChain);
    Inputs inputs = random_values(graph, graph.inputs(), generator, false, {{"N", count}});
    program = {std::move(graph), {}, std::move(inputs)};
    executable.emplace(compile(program, {vector_levels().front()}));
  }

  // How many elements each task writes. No result is NaN, and each that is not written yet is.
  std::vector<std::int64_t> shares(TellingExecutor& telling) {
    Tensor y(DType::f32, {elements});
    std::vector<std::int64_t> found;
    std::int64_t before = 0;
    std::memset(y.mutable_data(), 0xff, static_cast<std::size_t>(elements) * sizeof(float));
    telling.after = [&](std::ptrdiff_t) {
      auto written = std::ranges::count_if(y.elements<float>(), [](float e) { return e == e; });
      found.push_back(written - before);
      before = written;
    };
    std::vector<Tensor> given, results;
    for (const auto& [name, tensor] : program.inputs) given.push_back(tensor);
    results.push_back(Tensor::view(DType::f32, {elements}, y.mutable_data()));
    executable->run_into(given, results, &telling.executor);
    telling.after = [](std::ptrdiff_t) {};
    return found;
  }

  std::int64_t elements;
  Program program;
  std::optional<Executable> executable;
};

TEST(HandOver, ALoopThatIsWorthLessRunsWhole) {
  Chain chain(1 << 16);
  TellingExecutor telling(2, 1);
  std::vector<Tensor> divided = chain.executable->run(chain.program.inputs, &telling.executor);
  EXPECT_EQ(telling.asked, 1);
  ASSERT_EQ(telling.loops.size(), 1U);
  EXPECT_GT(telling.loops[0], 1);
  for (int never : {1'000'000, 0x7fffffff, -1}) {
    TellingExecutor slow(2, never);
    std::vector<Tensor> whole = chain.executable->run(chain.program.inputs, &slow.executor);
    EXPECT_EQ(slow.asked, 1);
    EXPECT_TRUE(slow.loops.empty()) << never;
    EXPECT_EQ(difference(chain.program.graph, whole, divided), std::nullopt);
  }
}

// A small loop is whole at any price, and nobody is asked.
TEST(HandOver, ASmallLoopIsNotAskedFor) {
  Chain chain(256);
  TellingExecutor telling(2, 1);
  chain.executable->run(chain.program.inputs, &telling.executor);
  EXPECT_EQ(telling.asked, 0);
  EXPECT_TRUE(telling.loops.empty());
}

// A worker has more than one task only where each is worth a microsecond as the compiler counts it,
// and the figure: three arrays of four bytes, 128 bytes in a nanosecond.
TEST(HandOver, FurtherTasksAreWorthAMicrosecondAndTheFigure) {
  auto tasks_of = [](int elements, int nanoseconds) {
    Chain chain(elements);
    TellingExecutor telling(2, nanoseconds);
    chain.executable->run(chain.program.inputs, &telling.executor);
    return telling.loops.empty() ? 0 : telling.loops[0];
  };
  EXPECT_EQ(tasks_of(1 << 14, 150), 2);
  EXPECT_EQ(tasks_of(1 << 15, 150), 4);
  EXPECT_EQ(tasks_of(1 << 16, 150), 4);  // 6.1 us, of which twice the figure is for dividing it
  EXPECT_EQ(tasks_of(1 << 17, 150), 8);
  EXPECT_EQ(tasks_of(1 << 17, 2000), 4);
  EXPECT_EQ(tasks_of(1 << 18, 2000), 8);
}

TEST(HandOver, LongLoopsHaveSixteenTasksForEachWorker) {
  Graph graph = parse(R"(graph @product(%x: f32[N, 512], %w: f32[512, 512]) -> (f32[N, 512]) {
  %y = matmul(%x, %w)
  return %y
})");
  for (auto [rows, tasks] : {std::pair{64, 8}, {1024, 32}}) {
    Generator generator(23);
    Inputs inputs = random_values(graph, graph.inputs(), generator, false, {{"N", rows}});
    const Program program{graph, {}, std::move(inputs)};
    TellingExecutor telling(2);
    compile(program, {vector_levels().front()}).run(program.inputs, &telling.executor);
    EXPECT_EQ(telling.loops, std::vector<std::ptrdiff_t>{tasks}) << rows << " rows";
  }
}

// A single worker is none, for a program of one loop and for one of several: it is not asked, and is
// given nothing to run.
TEST(HandOver, OneWorkerIsAsNone) {
  for (const char* text : {kChain, R"(graph @two(%x: f32[N], %a: f32[N]) -> (f32[N], f32[]) {
  %y = leaky_relu.grad(%x, %a)
  %s = reduce_sum(%y)
  return %y, %s
})"}) {
    Graph graph = parse(text);
    Generator generator(19);
    Inputs inputs = random_values(graph, graph.inputs(), generator, false, {{"N", 1 << 20}});
    const Program program{std::move(graph), {}, std::move(inputs)};
    const Executable executable = compile(program, {vector_levels().front()});
    const std::vector<Tensor> expected = executable.run(program.inputs);
    for (int workers : {1, 2}) {
      TellingExecutor telling(workers, 1);
      EXPECT_EQ(
          difference(program.graph, executable.run(program.inputs, &telling.executor), expected),
          std::nullopt);
      EXPECT_EQ(telling.loops.empty(), workers == 1);
      EXPECT_EQ(telling.asked == 0, workers == 1);
    }
  }
}

// The loop that is just worth it is half as long where dividing costs half as much.
TEST(HandOver, TheLeastLoopGrowsWithTheFigure) {
  auto least = [](int nanoseconds) {
    TellingExecutor telling(2, nanoseconds);
    if (nanoseconds < 0) telling.executor.hand_over = nullptr;
    Chain chain(64);
    for (std::int64_t count = 64; count < (1 << 20); count += 64) {
      std::vector<Tensor> given(2, Tensor(DType::f32, {count}));
      chain.executable->run(given, &telling.executor);
      if (!telling.loops.empty()) return count;
    }
    return std::int64_t{0};
  };
  const std::int64_t at_default = least(WEIR_HAND_OVER), doubled = least(2 * WEIR_HAND_OVER);
  EXPECT_EQ(least(-1), at_default);
  EXPECT_NEAR(static_cast<double>(doubled) / static_cast<double>(at_default), 2.0, 0.1);
}

TEST(HandOver, TheFirstShareIsLongerByIt) {
  Chain chain(1 << 17);
  TellingExecutor silent(2);
  silent.executor.hand_over = nullptr;
  std::vector<std::int64_t> equal = chain.shares(silent);
  ASSERT_GE(equal.size(), 2U);
  EXPECT_EQ(equal[0], equal[1]);
  std::int64_t last = 0;
  for (int nanoseconds : {1, 500, 1500, 3000}) {
    TellingExecutor telling(2, nanoseconds);
    std::vector<std::int64_t> shares = chain.shares(telling);
    ASSERT_GE(shares.size(), 2U);
    const std::int64_t longer = shares[0] - shares[1];
    EXPECT_GE(longer, last);  // to the nearest share of all
    std::int64_t sum = 0;
    for (std::int64_t share : shares) sum += share;
    EXPECT_EQ(sum, chain.elements);
    last = longer;
  }
  EXPECT_GT(last, 0);
}

// Eight units of a loop of twice the figure are five and three, not four and four: the caller has
// more work by the figure than the other then, as nearly as units allow.
TEST(HandOver, SharesAreTheNearestToWhatTheyShouldBe) {
  Chain chain(1 << 14);
  TellingExecutor telling(2, 1);
  chain.executable->run(chain.program.inputs, &telling.executor);
  std::vector<std::int64_t> shares;
  for (int nanoseconds = 1; nanoseconds < 4000; nanoseconds += 10) {
    telling.told = nanoseconds;
    telling.loops.clear();
    std::vector<std::int64_t> found = chain.shares(telling);
    if (telling.loops.empty()) break;
    shares = found;
  }
  ASSERT_EQ(shares.size(), 2U);  // at the greatest figure with which it is divided
  EXPECT_NEAR(static_cast<double>(shares[0]) / static_cast<double>(chain.elements), 0.625, 0.07);
}

// The greatest figure at which some loop of the program is divided.
int most_figure(const std::string& text) {
  Generator generator(5);
  Graph graph = parse(text);
  Inputs inputs = random_values(graph, graph.inputs(), generator, false, {{"N", 64}});
  const Program program{std::move(graph), {}, std::move(inputs)};
  const Executable executable = compile(program, {vector_levels().front()});
  int low = 0, high = 1 << 20;
  while (high - low > 1) {
    TellingExecutor telling(2, (low + high) / 2);
    executable.run(program.inputs, &telling.executor);
    (!telling.loops.empty() ? low : high) = telling.told;
  }
  return low;
}

// Two products are the same work whether the one reads the other's result or not; what a worker has
// to fetch from another's cache is not.
TEST(HandOver, WhatWorkersHaveFromEachOtherCounts) {
  const int apart = most_figure(
      R"(graph @apart(%x: f32[N, 16], %w: f32[16, 256], %z: f32[N, 256], %v: f32[256, 16]) ->
    (f32[N, 256], f32[N, 16]) {
  %h = matmul(%x, %w)
  %y = matmul(%z, %v)
  return %h, %y
})");
  const int behind =
      most_figure(R"(graph @behind(%x: f32[N, 16], %w: f32[16, 256], %v: f32[256, 16]) ->
    (f32[N, 16]) {
  %h = matmul(%x, %w)
  %y = matmul(%h, %v)
  return %y
})");
  ASSERT_GT(apart, 0);
  // Both figures say that the threads are apart: 64 KB in between are as much as four of them.
  EXPECT_NEAR(static_cast<double>(behind) / apart, 1 / (1 + 4.0), 0.03);
}

// A turned copy of 18 KB in front of a product of two microseconds comes from the other core's cache
// sooner where that is near. Where whole blocks of columns are turned by the workers that read them
// there is nothing to wait for.
TEST(HandOver, WhatWorkersHaveFromFarCoresCountsMore) {
  auto is_divided = [](int rows, int columns, int nanoseconds) {
    const Graph graph = parse(fmt::format(
        "graph @m(%g: f32[{}, 64], %w: f32[{}, 64]) {{ %y = matmul(%g, %w) {{transpose_b = true}} "
        "return %y }}",
        rows, columns));
    Generator generator(4);
    const Inputs inputs = random_values(graph, graph.inputs(), generator, false, {});
    Executable executable = compile(Program{graph, {}, inputs}, {vector_levels().front()});
    TellingExecutor telling(2, nanoseconds);
    executable.run(inputs, &telling.executor);
    return !telling.loops.empty();
  };
  EXPECT_TRUE(is_divided(56, 72, WEIR_HAND_OVER));
  EXPECT_FALSE(is_divided(56, 72, 560));
  EXPECT_TRUE(is_divided(64, 64, 560));
}

// A worker reads the panels that it has written, so they are no reason to leave their copy, nor the
// sum behind it, to one of them: both loops are divided.
TEST(HandOver, CopiesInPanelsStayWithTheirWorkers) {
  Graph graph = parse(R"(graph @gradient(%x: f32[1, 64, 40, 40], %g: f32[1, 128, 40, 40]) ->
    (f32[128, 64, 1, 1]) {
  %w = conv_filter_gradient(%x, %g) {kernel = [1, 1]}
  return %w
})");
  Generator generator(3);
  Inputs inputs = random_values(graph, graph.inputs(), generator);
  Program program{std::move(graph), {}, std::move(inputs)};
  for (const VectorLevel& level : vector_levels()) {
    Executable executable = compile(program, {level});
    TellingExecutor telling(2, 1000);
    executable.run(program.inputs, &telling.executor);
    EXPECT_EQ(telling.loops.size(), 2) << level.name();
  }
}

// Rows in lanes and in chunks, chains, products and gathers: the same bits however they are
// divided.
TEST(HandOver, TheBitsDoNotDependOnIt) {
  Generator generator(7);
  Graph graph = parse(R"(graph @mixed(%x: f32[N, 37], %w: f32[37, 37]) ->
    (f32[N, 37], f32[37], f32[], f32[N], f32[37, N]) {
  %a = leaky_relu(%x)
  %s = softmax(%a)
  %columns = reduce_sum(%x) {axes = [0]}
  %all = reduce_sum(%a) {axes = [0, 1]}
  %rows = reduce_max(%x) {axes = [1]}
  %product = matmul(%s, %w)
  %t = transpose(%product)
  return %product, %columns, %all, %rows, %t
})");
  Inputs inputs = random_values(graph, graph.inputs(), generator, false, {{"N", 3001}});
  Program program{std::move(graph), {}, std::move(inputs)};
  for (const VectorLevel& level : vector_levels()) {
    Executable executable = compile(program, {level});
    std::vector<Tensor> expected = executable.run(program.inputs);
    std::ptrdiff_t most = 0;
    for (int workers : {1, 2, 3, 8})
      for (int nanoseconds : {0, 1, 100, 333, 1000, 5000, 50'000}) {
        TellingExecutor telling(workers, nanoseconds);
        EXPECT_EQ(
            difference(program.graph, executable.run(program.inputs, &telling.executor), expected),
            std::nullopt)
            << workers << " workers, " << nanoseconds << " ns";
        for (std::ptrdiff_t tasks : telling.loops) most = std::max(most, tasks);
      }
    EXPECT_GT(most, 8);
  }
}

// Threads that are far from each other may store past the caches what others keep: a result of 3
// MB, of a program that is one loop and of one of several.
TEST(HandOver, WhereThreadsAreApartTheBitsAreTheSame) {
  for (const char* text :
       {kChain, R"(graph @two(%a: f32[N], %g: f32[N], %c: f32[3, N]) -> (f32[N], f32[3, N]) {
  %y = leaky_relu.grad(%a, %g)
  %z = leaky_relu(%c)
  return %y, %z
})"}) {
    Generator generator(11);
    Graph graph = parse(text);
    Inputs inputs = random_values(graph, graph.inputs(), generator, false, {{"N", (1 << 18) + 77}});
    const Program program{std::move(graph), {}, std::move(inputs)};
    const Executable executable = compile(program, {vector_levels().front()});
    const std::vector<Tensor> expected = executable.run(program.inputs);
    for (int nanoseconds : {100, WEIR_HAND_OVER, WEIR_HAND_OVER + 1, 1000}) {
      TellingExecutor telling(2, nanoseconds);
      EXPECT_EQ(
          difference(program.graph, executable.run(program.inputs, &telling.executor), expected),
          std::nullopt)
          << nanoseconds << " ns";
      EXPECT_FALSE(telling.loops.empty());
    }
    TellingExecutor silent(2);
    silent.executor.hand_over = nullptr;
    EXPECT_EQ(difference(program.graph, executable.run(program.inputs, &silent.executor), expected),
              std::nullopt);
  }
}

}  // namespace
}  // namespace weir::test
