// Sums over rows that the kernel makes which stores what is summed: on both sides of every size of a chunk, a tile and a
// block, with a sum, a maximum and narrow types, known ahead and at the call only, against the interpreter, bit for bit.
#include <algorithm>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/graphs.h"
#include "tests/unit/pipeline/compiled.h"

namespace weir::test {
namespace {

// How many of a program's kernels fold across rows.
std::ptrdiff_t row_folds(const Graph& graph) {
  const weir::Program program = lower_graph(graph);
  return std::count_if(program.kernels.begin(), program.kernels.end(),
                       [](const Kernel& kernel) { return kernel.across.has_value(); });
}

void expect_equal(const Graph& graph, const Dim::Bindings& bindings) {
  Generator generator(11);
  Program program{graph, {}, random_values(graph, graph.inputs(), generator, false, bindings)};
  for (const VectorLevel& level : vector_levels()) {
    std::vector<Tensor> expected = interpret_expanded(program, level.has_fma);
    EXPECT_EQ(difference_compiled(program, {level}, expected, test_executors()), std::nullopt)
        << level.name() << "\n"
        << print(graph);
  }
}

// Behind a contraction: tiles, and the rows that are left of them.
TEST(RowSums, BehindAContraction) {
  auto gradient = [](const std::string& rows, std::int64_t depth, std::int64_t columns,
                     const std::string& type) {
    return parse(fmt::format(
        "graph @g(%u: {3}[{0}, {1}], %w: {3}[{1}, {2}], %h: {3}[{0}, {2}]) -> ({3}[{0}, {2}], "
        "{3}[{2}]) {{ "
        "%p = matmul(%u, %w) %d = leaky_relu.grad(%h, %p) %b = reduce_sum(%d) {{axes = [0]}} "
        "return %d, %b }}",
        rows, depth, columns, type));
  };
  const Graph at_call = gradient("N", 3, 200, "f32");
  EXPECT_EQ(row_folds(at_call), 1);
  for (std::int64_t rows : {0, 1, 2, 5, 7, 255, 256, 257, 261, 515, 1030})
    expect_equal(at_call, {{"N", rows}});
  for (std::int64_t rows : {1, 4, 6, 64, 256, 300, 512})
    expect_equal(gradient(fmt::format("{}", rows), 2, 70, "f32"), {});
  for (std::int64_t columns : {2, 8, 17, 63, 64, 131})
    expect_equal(gradient("N", 2, columns, "f32"), {{"N", 263}});
  for (const char* type : {"f64", "f16", "bf16"})
    expect_equal(gradient("N", 2, 40, type), {{"N", 259}});
}

// A map, whose rows are no tile; and another combiner.
TEST(RowSums, BehindAMap) {
  for (const char* reduce : {"reduce_sum", "reduce_max", "reduce_prod"}) {
    const Graph graph = parse(fmt::format(
        "graph @m(%x: f32[N, 37], %y: f32[37]) -> (f32[N, 37], f32[37]) {{ %p = mul(%x, %y) "
        "%e = tanh(%p) %s = {}(%e) {{axes = [0]}} return %e, %s }}",
        reduce));
    EXPECT_EQ(row_folds(graph), 1) << reduce;
    for (std::int64_t rows : {0, 1, 256, 300, 700}) expect_equal(graph, {{"N", rows}});
  }
}

// What is summed may have one row of columns only where threads find work besides.
TEST(RowSums, LeaveWorkForThreads) {
  auto graph = [](std::int64_t columns) {
    return parse(
        fmt::format("graph @g(%u: f32[N, 4096], %w: f32[4096, {0}]) -> (f32[N, {0}], f32[{0}]) {{ "
                    "%d = matmul(%u, %w) %b = reduce_sum(%d) {{axes = [0]}} return %d, %b }}",
                    columns));
  };
  EXPECT_EQ(row_folds(graph(16)), 0);
  EXPECT_EQ(row_folds(graph(512)), 1);
}

}  // namespace
}  // namespace weir::test
