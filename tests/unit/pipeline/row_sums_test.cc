// Sums over rows that the kernel makes which stores what is summed: on both sides of every size of
// a chunk, a tile and a block, with a sum, a maximum and narrow types, known ahead and at the call
// only, against the interpreter, bit for bit.
#include <tuple>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/graphs.h"
#include "tests/unit/pipeline/sums.h"

namespace weir::test {
namespace {

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
  expect_equal(at_call, rows_of({0, 1, 2, 5, 7, 255, 256, 257, 261, 515, 1030}));
  for (std::int64_t rows : {1, 4, 6, 64, 256, 300, 512})
    expect_equal(gradient(fmt::format("{}", rows), 2, 70, "f32"), {{}});
  for (std::int64_t columns : {2, 8, 17, 63, 64, 131})
    expect_equal(gradient("N", 2, columns, "f32"), rows_of({263}));
  for (const char* type : {"f64", "f16", "bf16"})
    expect_equal(gradient("N", 2, 40, type), rows_of({259}));
}

// A map, whose rows are no tile; and another combiner.
TEST(RowSums, BehindAMap) {
  for (const char* reduce : {"reduce_sum", "reduce_max", "reduce_prod"}) {
    const Graph graph = parse(fmt::format(
        "graph @m(%x: f32[N, 37], %y: f32[37]) -> (f32[N, 37], f32[37]) {{ %p = mul(%x, %y) "
        "%e = tanh(%p) %s = {}(%e) {{axes = [0]}} return %e, %s }}",
        reduce));
    EXPECT_EQ(row_folds(graph), 1) << reduce;
    expect_equal(graph, rows_of({0, 1, 256, 300, 700}));
  }
  // With little arithmetic it takes as many sums that rows go to.
  for (const auto& [columns, lanes, folds] :
       std::vector<std::tuple<std::int64_t, std::int64_t, std::ptrdiff_t>>{
           {16, 1, 0}, {16, 2, 1}, {13, 2, 0}, {32, 1, 1}}) {
    const Graph graph = parse(
        fmt::format("graph @m(%x: f32[N, {2}, {0}]) -> (f32[N, {2}, {0}], f32[N, {1}, {0}]) {{ "
                    "%e = leaky_relu(%x) %r = reshape(%e) {{shape = [N, 7, {1}, {0}]}} "
                    "%s = reduce_sum(%r) {{axes = [1]}} return %e, %s }}",
                    columns, lanes, 7 * lanes));
    EXPECT_EQ(row_folds(graph), folds) << print(graph);
    expect_equal(graph, rows_of({1, 4}));
  }
}

// What is summed may have one row of columns only where threads find work besides: in columns, in
// chunks of rows that are known; or where all of it is little, of rows that are known to be few, or
// of a batch of usual size. With AVX-512 a tile has 64 columns.
TEST(RowSums, LeaveWorkForThreads) {
  auto graph = [](const std::string& rows, std::int64_t steps, std::int64_t columns) {
    return parse(fmt::format(
        "graph @g(%u: f32[{0}, {1}], %w: f32[{1}, {2}]) -> (f32[{0}, {2}], f32[{2}]) {{ "
        "%d = matmul(%u, %w) %b = reduce_sum(%d) {{axes = [0]}} return %d, %b }}",
        rows, steps, columns));
  };
  for (const auto& [rows, steps, columns, folds] :
       std::vector<std::tuple<std::string, std::int64_t, std::int64_t, std::ptrdiff_t>>{
           {"N", 4096, 16, 0},
           {"N", 4096, 512, 1},
           {"N", 64, 64, 1},
           {"N", 65, 64, 0},
           {"32", 128, 64, 1},
           {"32", 129, 64, 0},
           {"32", 128, 120, 1},
           {"32", 129, 120, 0},
           {"64", 65, 64, 0},
           {"256", 64, 64, 1},
           {"768", 65, 64, 0},
           {"769", 65, 64, 1}})
    EXPECT_EQ(row_folds(graph(rows, steps, columns), "x86-64-v4"), folds)
        << rows << " x " << steps << " x " << columns;
  expect_equal(graph("N", 64, 64), rows_of({1, 32, 257}));
}

// Of several sums along the rows that go to them in turn: in chunks, known ahead and at the call
// only.
TEST(RowSums, InTurn) {
  auto gradient = [](const std::string& rows, const std::string& elements, std::int64_t lanes) {
    return parse(fmt::format(
        "graph @g(%u: f32[N, {0}, 3], %w: f32[3, 70], %h: f32[N, {0}, 70]) -> (f32[N, {0}, 70], "
        "f32[N, {2}, 70]) {{ "
        "%p = matmul(%u, %w) %d = leaky_relu.grad(%h, %p) %r = reshape(%d) {{shape = [N, {1}, {2}, "
        "70]}} "
        "%b = reduce_sum(%r) {{axes = [1]}} return %d, %b }}",
        rows, elements, lanes));
  };
  for (std::int64_t lanes : {1, 2, 3, 4}) {
    const Graph at_call = gradient(fmt::format("{}*M", lanes), "M", lanes);
    EXPECT_EQ(row_folds(at_call), 1) << print(at_call);
    std::vector<Dim::Bindings> sizes;
    for (std::int64_t elements : {0, 1, 5, 261}) sizes.push_back({{"N", 2}, {"M", elements}});
    expect_equal(at_call, sizes);
    for (std::int64_t elements : {2, 7, 256, 259}) {
      const Graph known =
          gradient(fmt::format("{}", lanes * elements), fmt::format("{}", elements), lanes);
      EXPECT_EQ(row_folds(known), 1) << print(known);
      expect_equal(known, rows_of({2}));
    }
  }
}

// Where the last sums have an element less: what is beyond the end is not added. With fewer elements
// than sums, or several chunks of them, some would have nothing to begin with.
TEST(RowSums, InTurnWithARest) {
  for (const auto& [elements, lanes, folds] :
       std::vector<std::tuple<std::int64_t, std::int64_t, std::ptrdiff_t>>{
           {5, 2, 1}, {7, 3, 1}, {511, 2, 1}, {33, 16, 1}, {3, 4, 0}, {513, 2, 0}, {1030, 4, 0}}) {
    const std::int64_t each = (elements + lanes - 1) / lanes;
    const Graph graph = parse(fmt::format(
        "graph @g(%u: f32[N, {0}, 3], %w: f32[3, 70], %h: f32[N, {0}, 70]) -> (f32[N, {0}, 70], "
        "f32[N, {2}, 70]) {{ %p = matmul(%u, %w) %d = leaky_relu.grad(%h, %p) "
        "%f = pad(%d) {{low = [0, 0, 0], high = [0, {3}, 0]}} "
        "%r = reshape(%f) {{shape = [N, {1}, {2}, 70]}} %b = reduce_sum(%r) {{axes = [1]}} "
        "return %d, %b }}",
        elements, each, lanes, each * lanes - elements));
    EXPECT_EQ(row_folds(graph), folds) << print(graph);
    expect_equal(graph, rows_of({2}), true);
  }
}

// Across an axis outside the tile, whatever has it: more elements than a chunk, none, several sums
// that elements go to in turn, rows that a tile computes again beyond the last one, and a combiner
// that a row added twice would not leave as it is.
TEST(RowSums, OutsideTheTile) {
  auto graph = [](const std::string& elements, std::int64_t lanes, const std::string& rows,
                  std::int64_t columns, const std::string& reduce) {
    return parse(fmt::format(
        "graph @o(%u: f32[N, {0}*{1}, {2}, 3], %w: f32[3, {3}]) -> (f32[N, {0}*{1}, {2}, {3}], "
        "f32[N, {1}, {2}, {3}]) {{ %p = matmul(%u, %w) %d = leaky_relu(%p) "
        "%r = reshape(%d) {{shape = [N, {0}, {1}, {2}, {3}]}} %b = {4}(%r) {{axes = [1]}} "
        "return %d, %b }}",
        elements, lanes, rows, columns, reduce));
  };
  for (const char* reduce : {"reduce_sum", "reduce_prod"}) {
    for (std::int64_t lanes : {1, 3}) {
      const Graph at_call = graph("M", lanes, "K", 70, reduce);
      EXPECT_EQ(row_folds(at_call), 1) << print(at_call);
      std::vector<Dim::Bindings> sizes;
      for (std::int64_t elements : {0, 1, 5, 261})
        for (std::int64_t rows : {1, 2, 5, 7})
          sizes.push_back({{"N", 2}, {"M", elements}, {"K", rows}});
      expect_equal(at_call, sizes);
      for (std::int64_t rows : {1, 7, 13}) {
        const Graph known = graph("5", lanes, fmt::format("{}", rows), 37, reduce);
        expect_equal(known, rows_of({1, 4}));
      }
    }
  }
}

// Across the outermost axis, where threads find work in parts of another one: of the tile's rows, of
// rows between, or of the sums that elements go to in turn.
TEST(RowSums, AcrossTheOutermostAxis) {
  auto graph = [](const std::string& elements, std::int64_t lanes, const std::string& rows) {
    return parse(fmt::format(
        "graph @o(%u: f32[{0}*{1}, {2}, 3], %w: f32[3, 37]) -> (f32[{0}*{1}, {2}, 37], "
        "f32[{1}, {2}, 37]) {{ %p = matmul(%u, %w) %d = leaky_relu(%p) "
        "%r = reshape(%d) {{shape = [{0}, {1}, {2}, 37]}} %b = reduce_sum(%r) {{axes = [0]}} "
        "return %d, %b }}",
        elements, lanes, rows));
  };
  for (const auto& [elements, lanes, rows, folds] :
       std::vector<std::tuple<std::string, std::int64_t, std::string, std::ptrdiff_t>>{
           {"5", 1, "40", 1},
           {"300", 1, "32", 1},
           {"5", 1, "7, 3", 1},
           {"5", 1, "12, 5", 1},
           {"5", 8, "3", 1},
           {"5", 9, "3", 1},
           {"5", 1, "3, 3", 0},
           {"5", 1, "30", 0},
           {"5", 3, "3", 0},
           {"M", 1, "8, 3", 1},
           {"M", 8, "3", 0}}) {
    const Graph sums = graph(elements, lanes, rows);
    EXPECT_EQ(row_folds(sums), folds) << print(sums);
    expect_equal(sums, {{{"M", 4}}, {{"M", 300}}});
  }
}

// Rows and columns of the remainders by a stride, of which a kernel stores one at a time.
TEST(RowSums, OfRemainders) {
  const Graph graph = parse(
      "graph @r(%g: f32[N, 4, 7, 12], %w: f32[4, 5, 4, 4], %h: f32[N, 5, 14, 24]) -> "
      "(f32[N, 5, 14, 24], f32[N, 5, 2, 12, 2]) { "
      "%p = conv_transpose(%g, %w) {strides = [2, 2], low = [1, 1], high = [1, 1]} "
      "%d = leaky_relu.grad(%h, %p) %r = reshape(%d) {shape = [N, 5, 7, 2, 12, 2]} "
      "%b = reduce_sum(%r) {axes = [2]} return %d, %b }");
  EXPECT_EQ(row_folds(graph), 1) << print(graph);
  expect_equal(graph, rows_of({0, 1, 4}));
}

// The same where one kernel goes through all columns, as a map that turns results does; and with
// few columns, where the axis of the sums lies outside of another one.
TEST(RowSums, OfAllRemainders) {
  for (const auto& [channels, rows, columns, row_step, column_step, folds] :
       std::vector<std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t,
                              std::ptrdiff_t>>{{5, 14, 24, 2, 2, 1},
                                               {5, 14, 36, 2, 3, 1},
                                               {9, 7, 18, 1, 3, 1},
                                               {2, 7, 20, 1, 1, 1},
                                               {1, 7, 20, 1, 1, 0},
                                               {40, 7, 15, 1, 1, 0},
                                               {5, 600, 24, 2, 2, 0}}) {
    const Graph graph = parse(fmt::format(
        "graph @r(%x: f32[N, {0}, {1}, {2}]) -> (f32[N, {0}, {1}, {2}], f32[N, {0}, {4}, {5}, "
        "{6}]) {{ %d = leaky_relu(%x) %r = reshape(%d) {{shape = [N, {0}, {3}, {4}, {5}, {6}]}} "
        "%b = reduce_sum(%r) {{axes = [2]}} return %d, %b }}",
        channels, rows, columns, rows / row_step, row_step, columns / column_step, column_step));
    EXPECT_EQ(row_folds(graph), folds) << print(graph);
    expect_equal(graph, rows_of({0, 1, 4}), true);
  }
}

}  // namespace
}  // namespace weir::test
