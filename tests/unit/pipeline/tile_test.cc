// Contractions in register tiles: every number of rows and columns about a tile's, at every vector
// level, against the interpreter bit for bit.
#include <array>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compiler/autodiff/gradient.h"
#include "compiler/codegen/object.h"
#include "compiler/lowering/schedule.h"
#include "tests/support/graphs.h"
#include "tests/unit/pipeline/compiled.h"

namespace weir::test {
namespace {

void expect_equal(const std::string& text, const Dim::Bindings& bindings) {
  Graph graph = parse(text);
  Generator generator(11);
  Inputs inputs = random_values(graph, graph.inputs(), generator, false, bindings);
  Weights weights = random_values(graph, graph.params(), generator, false, bindings);
  EXPECT_EQ(difference_on_levels(graph, weights, std::span(&inputs, 1)), std::nullopt);
}

TEST(Tiles, RowsKnownAtTheCall) {
  Graph graph =
      parse(R"(graph @m(%a: f32[M, K], %b: f32[K, N], %bias: f32[N], %r: f32[M, N]) -> (f32[M, N]) {
    %c = matmul(%a, %b)
    %s = add(%c, %bias)
    %y = leaky_relu(%s)
    %z = add(%y, %r)
    return %z
  })");
  std::vector<Inputs> runs;
  for (std::int64_t rows : {0, 1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 20}) {
    for (auto [columns, depth] :
         {std::pair{1, 5}, {16, 3}, {17, 0}, {63, 2}, {64, 1}, {65, 9}, {130, 1}, {40, 2100}}) {
      Generator generator(static_cast<std::uint64_t>(rows * 1000 + columns));
      runs.push_back(random_values(graph, graph.inputs(), generator, false,
                                   {{"M", rows}, {"N", columns}, {"K", depth}}));
    }
  }
  EXPECT_EQ(difference_on_levels(graph, {}, runs), std::nullopt);
}

// Of less than a tile's columns, which is found at the call: one tile, whose last vector has a mask.
TEST(Tiles, NarrowColumns) {
  for (const char* type : {"f32", "f64"}) {
    Graph graph = parse(fmt::format(
        "graph @m(%a: {0}[B, M, K], %b: {0}[B, K, N], %r: {0}[B, M, N]) -> ({0}[B, M, N]) {{ "
        "%c = matmul(%a, %b) %s = add(%c, %r) %y = leaky_relu(%s) return %y }}",
        type));
    std::vector<Inputs> runs;
    for (std::int64_t rows : {1, 2, 5, 6, 7, 8, 9, 15, 16, 17, 24})
      for (auto [columns, depth] : {std::pair{1, 4},
                                    {7, 1},
                                    {8, 8},
                                    {9, 3},
                                    {15, 6},
                                    {24, 5},
                                    {25, 9},
                                    {31, 0},
                                    {32, 4},
                                    {33, 7},
                                    {47, 2},
                                    {48, 13},
                                    {49, 4},
                                    {20, 1030}}) {
        Generator generator(static_cast<std::uint64_t>(rows * 1000 + columns));
        runs.push_back(
            random_values(graph, graph.inputs(), generator, false,
                          {{"B", 1 + rows % 2}, {"M", rows}, {"N", columns}, {"K", depth}}));
      }
    EXPECT_EQ(difference_on_levels(graph, {}, runs), std::nullopt);
  }
}

TEST(Tiles, RowsKnownAhead) {
  for (int rows : {1, 2, 5, 6, 7, 8, 13})
    for (auto [columns, depth] : {std::pair{1, 4}, {10, 33}, {64, 8}, {70, 1030}})
      expect_equal(
          fmt::format("graph @m(%a: f32[{0}, {2}], %b: f32[{2}, {1}]) -> (f32[{0}, {1}]) {{ "
                      "%c = matmul(%a, %b) %y = gelu(%c) return %y }}",
                      rows, columns, depth),
          {});
}

TEST(Tiles, BatchesAndTransposedOperands) {
  for (std::int64_t rows : {1, 6, 8}) {
    expect_equal(
        "graph @m(%a: f32[B, M, 20], %b: f32[B, 20, 70]) -> (f32[B, M, 70]) { %c = matmul(%a, %b) "
        "return %c }",
        {{"B", 3}, {"M", rows}});
    expect_equal(
        "graph @m(%a: f32[B, M, 20], %b: f32[20, 70]) -> (f32[B, M, 70]) { %c = matmul(%a, %b) "
        "return %c }",
        {{"B", 3}, {"M", rows}});
    expect_equal(
        "graph @m(%a: f64[20, M], %b: f64[70, 20]) -> (f64[M, 70]) { "
        "%c = matmul(%a, %b) {transpose_a = true, transpose_b = true} return %c }",
        {{"M", rows}});
  }
}

// Weights of many columns are cut into panels of 64 or 48, whether they are stored transposed or
// not.
TEST(Tiles, WeightsInPanels) {
  for (auto [columns, depth] : {std::pair{128, 64}, {96, 1030}, {144, 70}}) {
    expect_equal(
        fmt::format("graph @m(%a: f32[M, {1}]) -> (f32[M, {0}]) {{ param %w: f32[{0}, {1}] "
                    "param %b: f32[{0}] %y = linear(%a, %w, %b) %z = leaky_relu(%y) return %z }}",
                    columns, depth),
        {{"M", 7}});
    expect_equal(
        fmt::format("graph @m(%a: f64[1, {1}]) -> (f64[1, {0}]) {{ param %w: f64[{1}, {0}] "
                    "%y = matmul(%a, %w) return %y }}",
                    columns, depth),
        {});
  }
  expect_equal(
      "graph @c(%x: f32[N, 8, 5, 7]) -> (f32[N, 128, 5, 7]) { param %w: f32[128, 8, 3, 3] param "
      "%b: f32[128] "
      "%y = conv(%x, %w, %b) {low = [1, 1], high = [1, 1]} return %y }",
      {{"N", 2}});
  // Of filters in groups, panels of a tile's columns, and of a group's.
  for (int filters : {6, 16, 24, 32, 64})
    expect_equal(
        fmt::format(
            "graph @c(%x: f32[N, 16, 5, 7]) -> (f32[N, {0}, 5, 7]) {{ "
            "param %w: f32[{0}, 8, 3, 3] param %b: f32[{0}] "
            "%y = conv(%x, %w, %b) {{low = [1, 1], high = [1, 1], groups = 2}} return %y }}",
            2 * filters),
        {{"N", 2}});
}

// Vectors along an image's rows, and filters as the rows of a tile; windows that are written out.
TEST(Tiles, FewFiltersOverWideImages) {
  struct Case {
    const char* attributes;
    int rows;
    int (*columns)(int width);
  };
  const Case cases[] = {
      {"low = [1, 1], high = [1, 1]", 6, [](int width) { return width; }},
      {"low = [0, 2], high = [1, 0], strides = [2, 2]", 3,
       [](int width) { return (width + 1) / 2; }},
      {"dilations = [1, 2]", 4, [](int width) { return width - 4; }},
  };
  for (const Case& each : cases) {
    for (int width : {33, 64})
      expect_equal(
          fmt::format(
              "graph @c(%x: f32[1, 3, 6, {}], %w: f32[7, 3, 3, 3]) -> (f32[1, 7, {}, {}]) {{ "
              "%y = conv(%x, %w) {{{}}} return %y }}",
              width, each.rows, each.columns(width), each.attributes),
          {});
    expect_equal(
        fmt::format("graph @c(%x: f32[2, 5, 6, 20], %w: f32[5, 1, 3, 3]) -> (f32[2, 5, {}, {}]) {{ "
                    "%y = conv(%x, %w) {{{}, groups = 5}} return %y }}",
                    each.rows, each.columns(20), each.attributes),
        {});
  }
}

// Windows that overlap in a tile's rows and in vectors, whose frame is a mask or an address among
// zeros; strides, of which a vector's elements are picked; a frame that is not zero; and windows
// that are written out or not. Pixels so far apart that copies of them are spread, read by windows
// and, in the middle of a copy, by what else wants them.
TEST(Tiles, RowsThatAreSpread) {
  for (auto [type, channels, stride] :
       {std::tuple{"f32", 1024, 1}, {"f32", 512, 2}, {"f64", 512, 1}, {"f16", 2048, 1}})
    for (int images : {1, 2})
      expect_equal(
          fmt::format(
              R"(graph @far(%x: {0}[{3}, 3, 27], %s: {0}[1, {1}, 1]) -> ({0}[{3}, 70, {4}], {0}[{3}, {1}, 27]) {{
    param %v: {0}[{1}, 3, 1]
    param %w: {0}[70, {1}, 3]
    %c = conv(%x, %v) {{}}
    %a = leaky_relu(%c)
    %d = conv(%a, %w) {{strides = [{2}], low = [1], high = [1]}}
    %e = mul(%a, %s)
    return %d, %e
  }})",
              type, channels, stride, images, (27 - 1) / stride + 1),
          {});
}

TEST(Tiles, WindowsThatOverlap) {
  const char* window = "low = [1, 1], high = [1, 1], strides = [1, 2]";
  expect_equal(fmt::format("graph @d(%x: f32[1, 2, 8, 37], %w: f32[2, 1, 3, 3]) -> (f32[1, 2, 8, "
                           "19]) {{ %y = conv(%x, %w) {{{}, groups = 2}} return %y }}",
                           window),
               {});
  expect_equal(fmt::format("graph @f(%x: f32[1, 3, H, 37], %w: f32[8, 3, 3, 3]) -> (f32[1, 8, H, "
                           "19]) {{ %y = conv(%x, %w) {{{}}} return %y }}",
                           window),
               {{"H", 5}});
  for (const char* op : {"conv", "conv_transpose"})
    expect_equal(fmt::format("graph @s(%x: f32[N, 3, H, W], %w: f32[3, 1, 3, 3]) -> (f32[N, 3, H, "
                             "W]) {{ %y = {}(%x, %w) {{low = [1, 1], high = [1, 1], groups = 3}} "
                             "return %y }}",
                             op),
                 {{"N", 2}, {"H", 9}, {"W", 21}});
  expect_equal(fmt::format("graph @p(%x: f32[1, 2, 5, 37]) -> (f32[1, 2, 5, 19]) {{ "
                           "%y = max_pool(%x) {{kernel = [3, 3], {}}} return %y }}",
                           window),
               {});
  expect_equal(fmt::format("graph @c(%x: f32[1, 3, 6, 15], %u: f32[20, 3, 1, 1], %d: f32[20, 1, 3, "
                           "3], %v: f32[16, 20, 3, 3]) -> (f32[1, 16, 6, 8]) {{ "
                           "%a = conv(%x, %u) %b = leaky_relu(%a) "
                           "%c = conv(%b, %d) {{{}, groups = 20}} %e = leaky_relu(%c) "
                           "%y = conv(%e, %v) {{low = [1, 1], high = [1, 1]}} return %y }}",
                           window),
               {});
}

// Taps whose elements are picked from vectors that they have in common: strides, with fewer taps,
// as many and more, also than a vector has lanes; frames on either side, wide and narrow rows, and
// taps that are apart.
TEST(Tiles, TapsOfStrides) {
  struct Case {
    const char* type;
    int taps, stride, dilation, low;
  };
  for (const Case& each :
       {Case{"f32", 3, 2, 1, 1}, Case{"f32", 3, 2, 1, 0}, Case{"f32", 5, 2, 1, 2},
        Case{"f32", 2, 2, 1, 1}, Case{"f32", 5, 3, 1, 2}, Case{"f32", 4, 4, 1, 3},
        Case{"f32", 2, 3, 1, 0}, Case{"f32", 3, 2, 2, 2}, Case{"f64", 3, 2, 1, 1},
        Case{"f16", 3, 2, 1, 1}, Case{"f32", 7, 2, 1, 3}, Case{"f32", 11, 2, 1, 5},
        Case{"f32", 19, 2, 1, 0}, Case{"f32", 7, 3, 1, 2}, Case{"f64", 5, 2, 1, 2},
        Case{"f64", 7, 2, 1, 0}, Case{"f64", 7, 3, 1, 3}})
    for (int columns : {3, 8, 16, 20, 28, 57, 75}) {
      const int width =
          (columns - 1) * each.stride + (each.taps - 1) * each.dilation + 1 - 2 * each.low;
      if (width < 1) continue;
      expect_equal(
          fmt::format("graph @t(%x: {0}[1, 2, 9, {1}], %w: {0}[2, 1, 3, {2}]) -> "
                      "({0}[1, 2, 4, {3}]) {{ %y = conv(%x, %w) {{strides = [2, {4}], "
                      "dilations = [1, {5}], low = [0, {6}], high = [0, {6}], groups = 2}} "
                      "return %y }}",
                      each.type, width, each.taps, columns, each.stride, each.dilation, each.low),
          {});
    }
}

// The last tile of an image's row begins early where vectors one by one would take longer, in one
// block or in blocks of a tile each; but not where its results are given something of theirs alone.
TEST(Tiles, ColumnsThatAreRepeated) {
  for (int width : {22, 23, 46, 110, 142}) {
    for (int filters : {3, 4}) {
      const std::string image = fmt::format("f32[1, {}, 5, {}]", filters, width);
      expect_equal(
          fmt::format(
              "graph @c(%x: f32[1, 9, 5, {}], %w: f32[{}, 9, 3, 3], %b: f32[{}, 1, 1], %r: {}) -> "
              "({}, {}) {{ "
              "%c = conv(%x, %w) {{low = [1, 1], high = [1, 1]}} %y = add(%c, %b) "
              "%d = conv(%x, %w) {{low = [1, 1], high = [1, 1]}} %z = add(%d, %r) return %y, %z }}",
              width, filters, filters, image, image, image),
          {});
    }
  }
  expect_equal(
      "graph @t(%x: f32[1, 40, 4, 37], %w: f32[40, 3, 4, 4]) -> (f32[1, 3, 4, 70]) { "
      "%y = conv_transpose(%x, %w) {strides = [2, 2], low = [3, 3], high = [3, 3]} return %y }",
      {});
  // Rows that are stored between one another, in blocks of a vector.
  for (int width : {9, 13, 20})
    expect_equal(
        fmt::format("graph @t(%x: f32[2, 5, 3, {}], %w: f32[5, 1, 3, 3]) -> (f32[2, 5, 6, {}]) {{ "
                    "%y = conv_transpose(%x, %w) {{strides = [2, 2], low = [1, 1], high = [0, 0], "
                    "groups = 5}} return %y }}",
                    width, 2 * width),
        {});
}

// Vectors of a row that is shorter than a tile share some columns; not where its results are given
// something of theirs alone, nor where a vector is picked from several of memory.
TEST(Tiles, ColumnsThatVectorsShare) {
  for (int width : {5, 9, 12, 17, 28, 31, 33, 46, 55}) {
    const std::string image = fmt::format("f32[1, 20, 4, {}]", width);
    expect_equal(
        fmt::format(
            "graph @c(%x: f32[1, 6, 6, {}], %w: f32[20, 3, 3, 3], %b: f32[20, 1, 1], %r: {}) -> "
            "({}, {}) {{ %c = conv(%x, %w) {{groups = 2}} %e = add(%c, %b) %y = leaky_relu(%e) "
            "%d = conv(%x, %w) {{groups = 2}} %z = add(%d, %r) return %y, %z }}",
            width + 2, image, image, image),
        {});
    expect_equal(
        fmt::format("graph @c(%x: f32[1, 7, 13, {}], %w: f32[7, 1, 3, 3]) -> (f32[1, 7, 6, {}]) {{ "
                    "%y = conv(%x, %w) {{strides = [2, 2], groups = 7}} return %y }}",
                    2 * width + 1, width),
        {});
  }
}

// Columns with a bias are repeated, too, whether it is given or computed; what is added element by
// element, over which the result is laid, is read once.
TEST(Tiles, ColumnsWithABiasAreRepeated) {
  for (int rows : {1, 2, 7, 14})
    for (int columns : {9, 17, 24, 33, 40, 71})
      expect_equal(
          fmt::format(
              "graph @m(%x: f32[{0}, 20], %w: f32[20, {1}], %b: f32[{1}], %r: f32[{0}, {1}], "
              "%v: f32[{1}, {1}]) -> (f32[{0}, {1}], f32[{0}, {1}]) {{ "
              "%p = matmul(%x, %w) %s = add(%p, %b) %l = leaky_relu(%s) "
              "%e = tanh(%r) %q = matmul(%l, %v) %y = add(%q, %e) "
              "%c = reduce_sum(%v) {{axes = [0]}} %u = matmul(%y, %v) %z = add(%u, %c) "
              "return %y, %z }}",
              rows, columns),
          {});
}

// Rows that are counted at the call, in tiles of two heights of which the last may lie beyond the
// end; and columns behind whole vectors, with what follows the product stored for all rows at once.
TEST(Tiles, RowsCountedAtTheCall) {
  for (int columns : {20, 23})
    for (std::int64_t rows : {0, 1, 3, 5, 8, 13})
      expect_equal(
          fmt::format("graph @g(%x: f32[N, 9], %w: f32[9, {0}], %b: f32[{0}]) -> (f32[N, {0}]) {{ "
                      "%p = matmul(%x, %w) %s = add(%p, %b) %y = leaky_relu(%s) return %y }}",
                      columns),
          {{"N", rows}});
}

// Filters' gradients, whose tiles have all taps: of few channels and of one a group; operands that
// lie along the steps, which are turned in registers, and windows that lie across the vectors;
// guards that most steps are free of; and chunks that are shared among threads.
TEST(Tiles, GradientsOfFewTaps) {
  struct Case {
    const char* x;
    const char* g;
    const char* w;
    const char* attributes;
  };
  const Case cases[] = {
      {"f32[1, 3, 9, 37]", "f32[1, 16, 9, 37]", "f32[16, 3, 3, 3]", "low = [1, 1], high = [1, 1]"},
      {"f32[N, 20, H, 21]", "f32[N, 20, H, 21]", "f32[20, 1, 3, 3]",
       "low = [1, 1], high = [1, 1], groups = 20"},
      {"f32[1, 33, 9, 14]", "f32[1, 33, 4, 8]", "f32[33, 1, 3, 3]",
       "low = [0, 4], high = [1, 2], strides = [2, 2], dilations = [1, 2], groups = 33"},
      {"f64[2, 2, 3, 19]", "f64[2, 9, 7, 18]", "f64[9, 2, 1, 2]", "low = [2, 0], high = [2, 0]"},
      {"f16[1, 17, 6, 9]", "f16[1, 17, 4, 9]", "f16[17, 1, 3, 3]",
       "low = [0, 1], high = [0, 1], groups = 17"},
      {"f32[1, 2, 99, 93]", "f32[1, 18, 99, 93]", "f32[18, 2, 3, 1]",
       "low = [1, 0], high = [1, 0]"},
      // In panels of a tile's columns.
      {"f32[N, 96, H, 21]", "f32[N, 96, H, 21]", "f32[96, 1, 3, 3]",
       "low = [1, 1], high = [1, 1], groups = 96"},
      {"f32[1, 64, 9, 14]", "f32[1, 64, 5, 7]", "f32[64, 1, 3, 3]",
       "low = [1, 1], high = [1, 1], strides = [2, 2], groups = 64"},
      // No step at all, of positions that are not known.
      {"f32[N, 9, H, 1]", "f32[N, 9, H - 1, 0]", "f32[9, 1, 4, 4]", "low = [2, 2], groups = 9"},
      {"f32[N, 3, 3, 4]", "f32[N, 16, 0, 2]", "f32[16, 3, 4, 3]", "low = [0, 0]"},
      {"f32[N, 9, 3, 5]", "f32[N, 9, 0, 3]", "f32[9, 1, 4, 3]", "groups = 9"},
  };
  for (const Case& each : cases) {
    const std::string_view w = each.w;
    const std::string sizes(w.substr(w.size() - 5, 4));
    expect_equal(fmt::format("graph @g(%x: {}, %g: {}) -> ({}) {{ %w = conv_filter_gradient(%x, "
                             "%g) {{kernel = [{}], {}}} return %w }}",
                             each.x, each.g, each.w, sizes, each.attributes),
                 std::string_view(each.x).starts_with("f32[N") ? Dim::Bindings{{"N", 2}, {"H", 5}}
                                                               : Dim::Bindings{});
  }
}

// Depthwise filters, column by column: of several widths, whose last vector begins early, over rows
// that leave something over after turns, or are known only at the call, and with taps that are
// picked from what they have in common.
TEST(Tiles, ColumnsOfFewTaps) {
  struct Case {
    std::string_view x, g, sums, attributes;
  };
  const Case cases[] = {
      {"f32[N, 5, H + 9, 12]", "f32[N, 5, H + 9, 12]", "f32[5, 3, 3, 12]",
       "kernel = [3, 3], low = [1, 1], high = [1, 1]"},
      {"f32[1, 4, 21, 40]", "f32[1, 4, 21, 40]", "f32[4, 3, 3, 40]",
       "kernel = [3, 3], low = [1, 1], high = [1, 1]"},
      {"f32[1, 3, 8, 300]", "f32[1, 3, 8, 300]", "f32[3, 3, 3, 300]",
       "kernel = [3, 3], low = [1, 1], high = [1, 1]"},
      {"f64[N, 3, 20, 27]", "f64[N, 3, 20, 27]", "f64[3, 5, 3, 27]",
       "kernel = [5, 3], low = [2, 1], high = [2, 1]"},
      {"f32[1, 5, 40, 40]", "f32[1, 5, 20, 20]", "f32[5, 3, 3, 20]",
       "kernel = [3, 3], low = [1, 1], high = [1, 1], strides = [2, 2]"},
      {"f32[N, 2, 31, 112]", "f32[N, 2, 16, 56]", "f32[2, 3, 3, 56]",
       "kernel = [3, 3], low = [1, 1], high = [1, 1], strides = [2, 2]"},
      {"f32[1, 2, 30, 53]", "f32[1, 2, 10, 17]", "f32[2, 3, 4, 17]",
       "kernel = [3, 4], strides = [3, 3], high = [0, -1]"},
      {"f32[N, 3, 19, 40]", "f32[N, 3, 15, 36]", "f32[3, 3, 3, 36]",
       "kernel = [3, 3], dilations = [2, 2]"},
      {"bf16[2, 3, H + 4, 40]", "bf16[2, 3, H + 4, 40]", "bf16[3, 3, 3, 40]",
       "kernel = [3, 3], low = [1, 1], high = [1, 1]"},
  };
  for (const Case& each : cases)
    for (std::int64_t size : {1, 5, 23})
      expect_equal(fmt::format("graph @g(%x: {}, %g: {}) -> ({}) {{ %w = "
                               "conv_filter_gradient_columns(%x, %g) {{{}}} return %w }}",
                               each.x, each.g, each.sums, each.attributes),
                   {{"N", size % 4}, {"H", size}});
}

// Sums of several chunks whose results lie in memory: in parts of a chunk, of whole images and of
// rows of them, and where a chunk ends within a row.
TEST(Tiles, GradientsByChunks) {
  for (const auto& [channels, filters, height, width] :
       {std::array{3, 16, 8, 8}, {2, 21, 2, 64}, {3, 9, 8, 7}}) {
    for (int extra : {0, 1}) {
      const int images = 1024 / (height * width) + 1;
      expect_equal(
          fmt::format(
              "graph @g(%x: f32[N, {0}, {2}, {3}], %g: f32[N, {1}, {2}, {3}]) -> (f32[{1}, {0}, 3, "
              "3]) "
              "{{ %w = conv_filter_gradient(%x, %g) {{kernel = [3, 3], low = [1, 1], high = "
              "[1, 1]}} return %w }}",
              channels, filters, height, width),
          {{"N", extra == 0 ? images : 2 * images + 1}});
    }
  }
}

// Tiles of few rows whose columns of all steps do not stay in the second cache: all rows, of which
// the call knows how many, go through a chunk before the next, and what follows the sum stands
// behind them.
TEST(Tiles, FewRowsByChunks) {
  for (const auto& [width, filters] : {std::array{4, 33}, {3, 64}})
    for (std::int64_t images : {0, 1, 3})
      expect_equal(
          fmt::format(
              "graph @g(%x: f32[N, 73, 9, {0}], %w: f32[{1}, 73, 4, 4], %b: f32[{1}]) -> "
              "(f32[N, {1}, 4, {2}]) {{ %c = conv(%x, %w, %b) {{low = [1, 1], high = [1, 1], "
              "strides = [2, 2]}} %y = leaky_relu(%c) return %y }}",
              width * 2, filters, width),
          {{"N", images}});
}

// Between many channels both operands lie in panels, and of a sum that is known to have several
// chunks all results go through one before the next. Those of a number of images that is known at
// the call do not, and are the same. The interpreter would take a minute.
// Chunks of a fold that is divided by them, of few columns: several at once, the last one shorter or
// not, and as many as a task has.
TEST(Tiles, ChunksAtOnce) {
  for (const char* type : {"f32", "f64"})
    for (auto [rows, steps, columns] : {std::tuple{1, 8000, 16},
                                        {1, 8192, 16},
                                        {1, 3073, 5},
                                        {1, 9000, 1},
                                        {2, 4100, 3},
                                        {1, 12300, 40},
                                        {1, 2048, 64}})
      expect_equal(
          fmt::format("graph @m(%a: {0}[{1}, {2}], %b: {0}[{2}, {3}]) -> ({0}[{1}, {3}]) {{ "
                      "%c = matmul(%a, %b) %y = leaky_relu(%c) return %y }}",
                      type, rows, steps, columns),
          {});
}

TEST(Tiles, GradientsBetweenManyChannels) {
  auto layers = [](const char* images) {
    Graph graph = parse(fmt::format(
        "graph @d(%x: f32[{0}, 3, 16, 16], %a: f32[64, 3, 1, 1], %b: f32[128, 64, 4, 4], %c: "
        "f32[256, 128, 4, 4])"
        " -> (f32[{0}, 256, 4, 4]) {{ %0 = conv(%x, %a) %1 = leaky_relu(%0)"
        " %2 = conv(%1, %b) {{strides = [2, 2], low = [1, 1], high = [1, 1]}} %3 = leaky_relu(%2)"
        " %4 = conv(%3, %c) {{strides = [2, 2], low = [1, 1], high = [1, 1]}} return %4 }}",
        images));
    return gradient(graph, std::vector<std::string>{"b"});
  };
  Graph known = layers("35");
  Generator generator(7);
  Inputs inputs = random_values(known, known.inputs(), generator, false, {});
  for (const VectorLevel& level : vector_levels()) {
    Executable whole = compile(Program{layers("N"), {}, {}}, {level});
    std::vector<Tensor> operands;
    for (const auto& [name, type] : whole.inputs()) operands.push_back(inputs.at(name));
    EXPECT_EQ(difference_compiled(Program{known, {}, inputs}, {level}, whole.run(operands),
                                  test_executors()),
              std::nullopt)
        << level.name();
  }
}

// Sums in lanes whose columns lie side by side in memory, and what is summed does not: few elements
// and several chunks, columns that fill no vectors, and tuples.
TEST(Tiles, LanesByColumn) {
  for (auto [steps, columns] :
       {std::pair{"3", "16"}, {"64", "21"}, {"100", "8"}, {"K", "33"}, {"K", "5"}}) {
    for (const char* reduce : {"reduce_sum(%t)", "reduce_max(%t)", "reduce_mean(%t)",
                               "reduce_prod(%t)", "arg_max(%t)"}) {
      const bool is_index = std::string_view(reduce).starts_with("arg_max");
      for (std::int64_t size : {1, 70, 4100}) {
        if (steps[0] != 'K' && size > 1) continue;
        expect_equal(
            fmt::format(
                "graph @s(%x: f32[2, {0}, {1}]) -> ({3}[2, {1}]) {{ "
                "%t = transpose(%x) {{permutation = [0, 2, 1]}} %y = {2} {{{4}}} return %y }}",
                steps, columns, reduce, is_index ? "i64" : "f32",
                is_index ? "axis = 2, keep_dims = false" : "axes = [2]"),
            {{"K", size}});
      }
    }
  }
}

// Rows by residue: all taps of some rows take part or none do, of few channels and of chunks of
// them; and axes whose residues cannot be told apart.
TEST(Tiles, TransposedStrides) {
  struct Case {
    const char* x;
    const char* w;
    const char* y;
    const char* attributes;
  };
  const Case cases[] = {
      {"1, 5, 4, 5", "5, 66, 4, 4", "1, 66, 8, 10",
       "strides = [2, 2], low = [1, 1], high = [1, 1]"},
      {"2, 130, 2, 2", "130, 17, 3, 3", "2, 17, 4, 4",
       "strides = [2, 2], low = [1, 1], high = [0, 0]"},
      {"1, 5, 3, 20", "5, 7, 2, 5", "1, 7, 9, 60",
       "strides = [3, 3], low = [0, 1], high = [-1, 1]"},
      {"1, 4, 5, 3", "4, 33, 3, 3", "1, 33, 12, 9",
       "strides = [2, 3], dilations = [2, 2], low = [1, 1], high = [0, 1]"},
      {"1, 5, 3, 6", "5, 1, 4, 4", "1, 5, 6, 12",
       "strides = [2, 2], low = [1, 1], high = [1, 1], groups = 5"},
      {"1, 8, 3, 3", "8, 50, 1, 1", "1, 50, 6, 6", "strides = [2, 2], high = [-1, -1]"},
      {"2, 3, 4, 20", "3, 1, 3, 3", "2, 3, 8, 40", "strides = [2, 2], low = [1, 1], groups = 3"},
      {"1, 2, 4, 33", "2, 2, 2, 3", "1, 2, 10, 99", "strides = [3, 3], high = [1, 0]"},
      {"1, 5, 3, 4", "5, 65, 4, 4", "1, 65, 7, 10", "strides = [2, 2], low = [1, 0]"},
  };
  for (const Case& each : cases)
    expect_equal(fmt::format("graph @c(%x: f32[{}], %w: f32[{}]) -> (f32[{}]) {{ "
                             "%y = conv_transpose(%x, %w) {{{}}} %z = leaky_relu(%y) return %z }}",
                             each.x, each.w, each.y, each.attributes),
                 {});
  expect_equal(
      "graph @c(%x: f32[N, 9, H, 6], %w: f32[9, 70, 4, 4]) -> (f32[N, 70, 2*H, 12]) { "
      "%y = conv_transpose(%x, %w) {strides = [2, 2], low = [1, 1], high = [1, 1]} return %y }",
      {{"N", 2}, {"H", 3}});
}

// Of a window of one channel a tile has all residues, so that it is known which taps each takes, and
// a unit has all of an image's row, so that its vectors are in places that are known ahead.
TEST(Tiles, ResiduesOfAWholeRow) {
  CompileOptions options;
  for (const char* cpu : {"x86-64-v3", "x86-64-v4"}) {
    options.target = {"x86_64-linux-gnu", cpu, ""};
    const Target target = resolve_target(options.target);
    for (int columns : {5, 7, 16, 20, 28, 56, 75}) {
      const std::string text = fmt::format(
          "graph @c(%x: f32[1, 2, 7, {0}], %w: f32[2, 1, 3, 3]) -> (f32[1, 2, 14, {1}]) {{ "
          "%y = conv_transpose(%x, %w) {{strides = [2, 2], low = [1, 1], groups = 2}} "
          "return %y }}",
          columns, 2 * columns);
      const weir::Program program = lower_graph(parse(text), options);
      const Schedule schedule = make_schedule(program.kernels.back(), target.processor());
      EXPECT_EQ(schedule.rows_at_once, 4) << cpu << ", " << columns;
      EXPECT_EQ(schedule.tile_unroll, 1) << cpu << ", " << columns;
      EXPECT_GE(schedule.block, columns) << cpu;
      if (options.target.cpu == "x86-64-v4") expect_equal(text, {});
    }
  }
}

// With many columns and rows that share them an operand that varies is cut into panels, and with a
// number of rows that is only known at the call it is not. The interpreter would take minutes.
TEST(Tiles, OtherOperandsInPanels) {
  auto product = [](const char* rows, bool transposed) {
    return parse(fmt::format(
        "graph @m(%a: f32[{0}, 70], %b: f32[{1}], %r: f32[{0}, 1088]) -> (f32[{0}, 1088]) {{ "
        "%c = matmul(%a, %b) {{transpose_b = {2}}} %y = add(%c, %r) return %y }}",
        rows, transposed ? "1088, 70" : "70, 1088", transposed));
  };
  for (bool transposed : {false, true}) {
    Graph known = product("512", transposed);
    Generator generator(5);
    Inputs inputs = random_values(known, known.inputs(), generator, false, {});
    for (const VectorLevel& level : vector_levels()) {
      Executable whole = compile(Program{product("M", transposed), {}, {}}, {level});
      std::vector<Tensor> operands;
      for (const auto& [name, type] : whole.inputs()) operands.push_back(inputs.at(name));
      EXPECT_EQ(difference_compiled(Program{known, {}, inputs}, {level}, whole.run(operands),
                                    test_executors()),
                std::nullopt)
          << level.name();
    }
  }
}

// Maps that write along another axis than they read: whole squares and what is left of them, on all
// sizes of elements.
TEST(Tiles, TransposedMaps) {
  auto check = [](const char* type, int rows, int columns, const char* body) {
    expect_equal(fmt::format("graph @t(%x: {0}[2, {1}, {2}], %v: {0}[2, {1}, {2}]) -> "
                             "({0}[2, {2}, {1}]) {{ %t = transpose(%x) "
                             "{{permutation = [0, 2, 1]}} {3} return %y }}",
                             type, rows, columns, body),
                 {});
  };
  const char* difference = "%u = transpose(%v) {permutation = [0, 2, 1]} %y = sub(%t, %u)";
  for (auto [rows, columns] :
       {std::pair{16, 64}, {9, 100}, {3, 3}, {33, 130}, {100, 9}, {70, 5}, {19, 12}})
    check("f32", rows, columns, difference);
  for (const char* type : {"f64", "f16", "i8"}) check(type, 37, 19, difference);
  check("bool", 37, 19, "%y = logical_not(%t)");
  expect_equal(
      "graph @t(%x: f32[B, R, C, 5], %b: f32[B]) -> (f32[C, R, 5, B]) { "
      "%t = transpose(%x) {permutation = [2, 1, 3, 0]} %y = add(%t, %b) return %y }",
      {{"B", 19}, {"R", 2}, {"C", 37}});
}

// What follows the product also goes over an axis of its own, or needs more than one product.
TEST(Tiles, SeveralProductsInOneKernel) {
  expect_equal(
      "graph @m(%a: f32[M, 20], %b: f32[20, 70], %c: f32[20, 70]) -> (f32[M, 70]) { "
      "%p = matmul(%a, %b) %q = matmul(%a, %c) %g = sigmoid(%q) %y = mul(%p, %g) return %y }",
      {{"M", 15}});
}

}  // namespace
}  // namespace weir::test
