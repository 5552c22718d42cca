// Every shape that has work for two threads gives it to them: contractions of few rows and columns
// and many steps, single rows, and rows and columns that are summed. The tasks that a program asks
// an executor for are counted.
#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/graphs.h"
#include "tests/unit/pipeline/compiled.h"

namespace weir::test {
namespace {

// What is work enough for two threads depends on the width of vectors: here it is the same on every
// machine that has AVX2.
VectorLevel level_of_work() {
  const std::span<const VectorLevel> levels = vector_levels();
  auto avx2 = std::ranges::find(levels, "x86-64-v3", &VectorLevel::cpu);
  return avx2 == levels.end() ? levels.front() : *avx2;
}

// The tasks of the loop that has most.
std::ptrdiff_t most_tasks(const Program& program) {
  std::ptrdiff_t most = 0;
  auto count = [](void* context, std::ptrdiff_t tasks, weir_task task, void* argument) {
    auto& result = *static_cast<std::ptrdiff_t*>(context);
    result = std::max(result, tasks);
    for (std::ptrdiff_t i = 0; i < tasks; ++i) task(argument, i, static_cast<int>(i % 2));
  };
  const weir_executor executor{&most, 2, count, nullptr, nullptr, nullptr};
  compile(program, {level_of_work()}).run(program.inputs, &executor);
  return most;
}

Program program_of(const std::string& text) {
  Graph graph = parse(text);
  Generator generator(23);
  Weights weights = random_values(graph, graph.params(), generator);
  Inputs inputs = random_values(graph, graph.inputs(), generator);
  return {std::move(graph), std::move(weights), std::move(inputs)};
}

TEST(ThreadWork, OfProducts) {
  for (auto [rows, steps, columns] : std::vector<std::array<std::int64_t, 3>>{{1, 8000, 256},
                                                                              {1, 1024, 256},
                                                                              {1, 512, 64},
                                                                              {1, 2048, 16},
                                                                              {1, 1600, 40},
                                                                              {1, 8000, 1},
                                                                              {2, 4000, 3},
                                                                              {5, 3000, 20},
                                                                              {6, 4000, 16},
                                                                              {6, 512, 32},
                                                                              {13, 1024, 8},
                                                                              {300, 256, 1}}) {
    const std::string shapes = fmt::format("[{}, {}] by {} columns", rows, steps, columns);
    EXPECT_GT(most_tasks(program_of(fmt::format(
                  "graph @m(%a: f32[{0}, {1}], %b: f32[{1}, {2}]) -> (f32[{0}, {2}]) {{ "
                  "%c = matmul(%a, %b) return %c }}",
                  rows, steps, columns))),
              1)
        << shapes;
    EXPECT_GT(most_tasks(program_of(fmt::format(
                  "graph @l(%a: f32[{0}, {1}]) -> (f32[{0}, {2}]) {{ param %w: f32[{2}, {1}] "
                  "%c = linear(%a, %w) %r = leaky_relu(%c) return %r }}",
                  rows, steps, columns))),
              1)
        << shapes << ", constant weights";
  }
}

TEST(ThreadWork, OfWindowsAndSums) {
  for (const char* text :
       {"graph @w(%x: f32[1, 64, 9, 9]) -> (f32[1, 8, 1, 1]) { param %w: f32[8, 64, 9, 9] "
        "%y = conv(%x, %w) return %y }",
        "graph @s(%x: f32[65536]) -> (f32[]) { %y = reduce_sum(%x) return %y }",
        "graph @c(%x: f32[8192, 2]) -> (f32[2]) { %y = reduce_sum(%x) {axes = [0]} return %y }",
        "graph @i(%x: f32[1, 20000]) -> (i64[1]) { %y = arg_max(%x) {axis = 1} return %y }"})
    EXPECT_GT(most_tasks(program_of(text)), 1) << text;
}

// What is divided by its chunks: those of a fold are complete or not, rows fill tiles or not, and a
// window's go across rows.
TEST(ThreadWork, HasTheInterpretersBits) {
  for (const char* text :
       {"graph @m(%a: f32[1, 2050], %b: f32[2050, 17]) -> (f32[1, 17]) { %c = matmul(%a, %b) "
        "return %c }",
        "graph @m(%a: f32[7, 1536], %b: f32[1536, 9]) -> (f32[7, 9]) { %c = matmul(%a, %b) "
        "%r = leaky_relu(%c) return %r }",
        "graph @m(%a: f64[3, 3000], %b: f64[5, 3000]) -> (f64[3, 5]) { %c = linear(%a, %b) "
        "return %c }",
        "graph @l(%a: f32[1, 4097]) -> (f32[1, 10]) { param %w: f32[10, 4097] "
        "param %d: f32[10] %c = linear(%a, %w, %d) %r = leaky_relu(%c) return %r }",
        "graph @m(%a: f16[2, 1700], %b: f16[1700, 19]) -> (f16[2, 19]) { %c = matmul(%a, %b) "
        "return %c }",
        "graph @w(%x: f32[1, 70, 5, 6]) -> (f32[1, 3, 2, 3]) { param %w: f32[3, 70, 5, 5] "
        "%y = conv(%x, %w) {low = [1, 0], high = [0, 1]} return %y }",
        "graph @s(%a: f32[1, 300], %b: f32[300, 131]) -> (f32[1, 131]) { %c = matmul(%a, %b) "
        "return %c }"}) {
    const Program program = program_of(text);
    EXPECT_EQ(difference_on_levels(program.graph, program.weights, std::span(&program.inputs, 1)),
              std::nullopt);
  }
}

}  // namespace
}  // namespace weir::test
