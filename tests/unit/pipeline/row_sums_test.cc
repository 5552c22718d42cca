// Sums over rows that the kernel makes which stores what is summed: on both sides of every size of
// a chunk, a tile and a block, with a sum, a maximum and narrow types, known ahead and at the call
// only, against the interpreter, bit for bit.
#include <algorithm>
#include <tuple>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compiler/autodiff/gradient.h"
#include "tests/support/graphs.h"
#include "tests/unit/pipeline/compiled.h"

namespace weir::test {
namespace {

// How many of a program's kernels fold across rows, on a processor of this kind or on this machine.
std::ptrdiff_t row_folds(const Graph& graph, const std::string& cpu = {}) {
  CompileOptions options;
  if (!cpu.empty()) options.target = {"x86_64-linux-gnu", cpu, {}};
  const weir::Program program = lower_graph(graph, options);
  return std::count_if(program.kernels.begin(), program.kernels.end(),
                       [](const Kernel& kernel) { return kernel.across.has_value(); });
}

void expect_equal(const Graph& graph, const std::vector<Dim::Bindings>& sizes,
                  bool special = false) {
  Generator generator(11);
  std::vector<Inputs> runs;
  for (const Dim::Bindings& bindings : sizes)
    runs.push_back(random_values(graph, graph.inputs(), generator, special, bindings));
  EXPECT_EQ(difference_on_levels(graph, {}, runs), std::nullopt);
}

std::vector<Dim::Bindings> rows_of(std::initializer_list<std::int64_t> counts) {
  std::vector<Dim::Bindings> sizes;
  for (std::int64_t rows : counts) sizes.push_back({{"N", rows}});
  return sizes;
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

// The images of two convolutions, and what lies between them.
struct Images {
  std::string size, type = "f32";
  std::int64_t channels = 16;
  std::string first = "", second = "", between = "";
  std::int64_t taps = 3;  // of a filter, along each axis

  // The gradients of both layers' filters and biases, where no image's gradient is a constant.
  Graph gradients() const {
    const std::size_t axes = 1 + static_cast<std::size_t>(std::ranges::count(size, ','));
    std::string kernel;
    for (std::size_t i = 0; i < axes; ++i) kernel += fmt::format(", {}", taps);
    const std::string shape = fmt::format("{}[{{}}, {{}}{}]", type, kernel);
    const Graph forward =
        parse(fmt::format("graph @images(%x: {0}[N, 2, {1}], %w0: {2}, %b0: {0}[{4}], %w1: {3}, "
                          "%b1: {0}[40]) -> ({0}[]) {{ "
                          "%h0 = conv(%x, %w0, %b0) {5} %a0 = leaky_relu(%h0) {7} "
                          "%h1 = conv({8}, %w1, %b1) {6} %a1 = leaky_relu(%h1) %s = mul(%a1, %a1) "
                          "%l = reduce_sum(%s) return %l }}",
                          type, size, fmt::format(fmt::runtime(shape), channels, 2),
                          fmt::format(fmt::runtime(shape), 40, channels), channels, first, second,
                          between, between.empty() ? "%a0" : "%p0"));
    const std::vector<std::string> wrt{"w0", "b0", "w1", "b1"};
    return gradient(forward, wrt);
  }
};

// Behind a convolution, its rows and every other one of them, also where a tile has other rows;
// behind a window's maximum; behind a map; and where no kernel has an image's rows as its own.
TEST(RowSums, BehindConvolutions) {
  const std::string padded = "{low = [1, 1], high = [1, 1]}";
  const std::string strided = "{strides = [2, 2], low = [1, 1], high = [1, 1]}";
  const std::string pooled = "%p0 = max_pool(%a0) {kernel = [2, 2], strides = [2, 2]}";
  const std::string averaged = "%p0 = average_pool(%a0) {kernel = [2, 2], strides = [2, 2]}";
  const std::vector<std::pair<Images, std::ptrdiff_t>> cases{
      {{.size = "5, 14", .first = padded, .second = padded}, 2},
      {{.size = "5, 13", .first = padded, .second = padded}, 2},
      {{.size = "8, 12", .first = padded, .second = strided}, 2},
      {{.size = "12, 12", .first = strided, .second = strided}, 2},
      {{.size = "4, 4", .first = padded, .second = padded}, 2},
      {{.size = "8, 8", .channels = 32, .first = padded, .second = strided}, 2},
      {{.size = "8, 12", .first = padded, .second = padded, .between = pooled}, 2},
      {{.size = "8, 12", .first = padded, .second = padded, .between = averaged}, 2},
      {{.size = "5, 6", .type = "f64", .first = padded, .second = padded}, 2},
      {{.size = "5, 6", .type = "f16", .first = padded, .second = padded}, 2},
      {{.size = "4, 5, 6", .second = "{low = [1, 1, 1], high = [1, 1, 1]}"}, 2},
      {{.size = "5, W", .first = padded, .second = padded}, 2},
      {{.size = "70"}, 2},
      {{.size = "9, 12", .first = padded, .second = "{strides = [3, 3]}"}, 2},
      {{.size = "8, 16", .first = padded, .second = "{strides = [4, 4]}"}, 2},
      {{.size = "10, 12", .first = padded, .second = "{strides = [3, 3]}"}, 2},
  };
  for (const auto& [images, folds] : cases) {
    const Graph graph = images.gradients();
    EXPECT_EQ(row_folds(graph), folds) << print(graph);
    expect_equal(graph, {{{"N", 2}, {"W", 11}}});
  }
  expect_equal(cases.front().first.gradients(), rows_of({0, 1}));
}

// Where channels are not innermost, or few: along an axis outside the tiles, in whichever order
// values lie; and in lanes of the vectors of a 1-D image.
TEST(RowSums, BehindConvolutionsIntoFewChannels) {
  const std::string padded = "{low = [1, 1], high = [1, 1]}";
  const std::string strided = "{strides = [2, 2], low = [1, 1], high = [1, 1]}";
  const std::string line = "{low = [1], high = [1]}";
  const std::string pooled = "%p0 = max_pool(%a0) {kernel = [2, 2], strides = [2, 2]}";
  const std::string overlapping =
      "%p0 = max_pool(%a0) {kernel = [3, 3], low = [1, 1], high = [1, 1]}";
  const std::string averaged = "%p0 = average_pool(%a0) {kernel = [2, 2], strides = [2, 2]}";
  const std::vector<std::pair<Images, std::ptrdiff_t>> cases{
      {{.size = "5, 12", .channels = 3, .first = padded, .second = padded}, 1},
      {{.size = "9, 37", .channels = 7, .first = padded, .second = padded}, 2},
      {{.size = "300, 9", .channels = 2, .first = padded, .second = padded}, 1},
      {{.size = "H, 24", .channels = 5, .first = padded, .second = padded}, 2},
      {{.size = "8, 24", .type = "f64", .channels = 5, .first = padded, .second = padded}, 2},
      {{.size = "8, 24", .type = "f16", .channels = 5, .first = padded, .second = padded}, 2},
      {{.size = "12, 24", .channels = 8, .first = padded, .second = strided}, 2},
      {{.size = "12, 24", .channels = 5, .first = padded, .second = padded, .between = pooled}, 2},
      {{.size = "12, 32", .channels = 5, .first = padded, .second = padded, .between = averaged},
       2},
      {{.size = "7, 24", .channels = 5, .first = padded, .second = padded, .between = overlapping},
       2},
      {{.size = "4, 5, 9", .channels = 6, .second = "{low = [1, 1, 1], high = [1, 1, 1]}"}, 2},
      {{.size = "12, 24", .channels = 8, .taps = 1}, 2},
      {{.size = "66", .channels = 3, .second = line}, 2},
      {{.size = "64", .channels = 3, .taps = 1}, 2},
      {{.size = "66", .channels = 32, .second = line}, 2},
      {{.size = "66", .channels = 70, .second = line}, 2},
      {{.size = "82", .type = "f64", .channels = 5, .second = line}, 2},
      {{.size = "82", .type = "f16", .channels = 5, .second = line}, 2},
  };
  for (const auto& [images, folds] : cases) {
    const Graph graph = images.gradients();
    EXPECT_EQ(row_folds(graph), folds) << print(graph);
    expect_equal(graph, {{{"N", 4}, {"H", 6}}});
  }
  expect_equal(cases[0].first.gradients(), rows_of({0, 1, 3}));
  expect_equal(cases[12].first.gradients(), rows_of({0, 1, 3}));
}

// Behind single positions, whose kernel goes through an image as one row: channels that lie apart
// and those that are innermost, as beside windows of 3 x 3; sums of more vectors than one; and
// images that do not divide into whole vectors, have less than one, or whose number of pixels is
// known only at the call.
TEST(RowSums, BehindSinglePositions) {
  const std::vector<std::pair<Images, std::ptrdiff_t>> cases{
      {{.size = "12, 24", .channels = 8, .taps = 1}, 2},
      {{.size = "12, 24", .channels = 37, .taps = 1}, 2},
      {{.size = "4, 20", .type = "f64", .channels = 5, .taps = 1}, 2},
      {{.size = "4, 20", .type = "f16", .channels = 16, .taps = 1}, 2},
      {{.size = "65, 64", .channels = 3, .taps = 1}, 2},
      {{.size = "2, 6, 4", .channels = 6, .taps = 1}, 2},
      {{.size = "2, 6, 4", .channels = 16, .taps = 1}, 2},
      {{.size = "32, 1", .channels = 6, .taps = 1}, 2},
      {{.size = "1, 32", .channels = 6, .taps = 1}, 2},
      {{.size = "128", .channels = 70, .taps = 1}, 2},
      {{.size = "9, 13", .channels = 5, .taps = 1}, 2},
      {{.size = "7, 7", .channels = 37, .taps = 1}, 2},
      {{.size = "13, 13", .type = "f64", .channels = 16, .taps = 1}, 2},
      {{.size = "4, 5", .type = "f16", .channels = 5, .taps = 1}, 1},
      {{.size = "65, 65", .channels = 3, .taps = 1}, 2},
      {{.size = "17", .channels = 6, .taps = 1}, 1},
      {{.size = "3, 5", .channels = 5, .taps = 1}, 0},
      {{.size = "16, W", .channels = 5, .taps = 1}, 2},
      {{.size = "12, 24", .channels = 5, .second = "{low = [1, 1], high = [1, 1]}", .taps = 1}, 1},
      {{.size = "12, 24", .channels = 5, .second = "{strides = [2, 2]}", .taps = 1}, 1},
  };
  for (const auto& [images, folds] : cases) {
    const Graph graph = images.gradients();
    EXPECT_EQ(row_folds(graph), folds) << print(graph);
    expect_equal(graph, {{{"N", 4}, {"W", 11}}});
  }
  expect_equal(cases[1].first.gradients(), rows_of({0, 1, 3}));
  // Beyond the end of an image nothing is added, whatever the elements are.
  expect_equal(Images{.size = "9, 13", .channels = 5, .taps = 1}.gradients(), rows_of({0, 1, 5}),
               true);
  // Between windows of 3 x 3, and in groups.
  for (const auto& [size, groups] : {std::pair{"7, 16", 1}, {"7, 16", 2}, {"6, 24", 4}}) {
    const Graph between = parse(fmt::format(
        "graph @between(%x: f32[N, 8, {0}], %w0: f32[32, 8, 3, 3], %b0: f32[32], %w1: f32[16, "
        "{2}, 1, 1], %b1: f32[16], %w2: f32[24, 16, 3, 3]) -> (f32[]) {{ "
        "%h0 = conv(%x, %w0, %b0) {{low = [1, 1], high = [1, 1]}} %a0 = leaky_relu(%h0) "
        "%h1 = conv(%a0, %w1, %b1) {{groups = {1}}} %a1 = leaky_relu(%h1) %h2 = conv(%a1, %w2) "
        "%s = mul(%h2, %h2) %l = reduce_sum(%s) return %l }}",
        size, groups, 32 / groups));
    const std::vector<std::string> wrt{"w0", "b0", "w1", "b1", "w2"};
    const Graph graph = gradient(between, wrt);
    EXPECT_GE(row_folds(graph), 1) << print(graph);
    expect_equal(graph, rows_of({1, 4}));
  }
}

// Of images of few pixels and 16 channels and more, pixel by pixel, in one chain or two, where channels are
// innermost; the last layer's, whose pixels lie side by side, stays a kernel that reads them once.
TEST(RowSums, OfFewPixels) {
  for (const char* size : {"4, 4", "5, 5", "2, 3, 4", "26"}) {
    for (const char* type : {"f32", "f64", "f16"}) {
      const std::string taps = std::string(size).find(',') == std::string::npos ? "1"
                               : std::string(size).size() == 4                  ? "1, 1"
                                                                                : "1, 1, 1";
      const Graph forward = parse(fmt::format(
          "graph @points(%x: {0}[N, 64, {1}], %w0: {0}[64, 64, {2}], %b0: {0}[64], %w1: {0}[64, "
          "64, {2}], %b1: {0}[64], %w2: {0}[64, 64, {2}], %b2: {0}[64]) -> ({0}[]) {{ "
          "%h0 = conv(%x, %w0, %b0) %a0 = leaky_relu(%h0) %h1 = conv(%a0, %w1, %b1) "
          "%a1 = leaky_relu(%h1) %h2 = conv(%a1, %w2, %b2) %s = mul(%h2, %h2) "
          "%l = reduce_sum(%s) return %l }}",
          type, size, taps));
      const std::vector<std::string> wrt{"w0", "b0", "w1", "b1", "w2", "b2"};
      const Graph graph = gradient(forward, wrt);
      EXPECT_GE(row_folds(graph, "x86-64-v4"), 1) << print(graph);
      expect_equal(graph, rows_of({0, 1, 4}));
    }
  }
}

// Of 16 channels and more that lie apart, and of those that might: row by row.
TEST(RowSums, BehindConvolutionsThatLieApart) {
  const std::string padded = "{low = [1, 1], high = [1, 1]}";
  for (const Images& images :
       {Images{.size = "5, 32", .channels = 16, .first = padded, .second = padded},
        Images{.size = "5, 64", .channels = 17, .first = padded, .second = padded},
        Images{
            .size = "6, 48", .type = "f64", .channels = 24, .first = padded, .second = padded}}) {
    const Graph graph = images.gradients();
    EXPECT_GE(row_folds(graph), 1) << print(graph);
    expect_equal(graph, rows_of({1, 4}));
  }
}

// Of the last layer, whose gradient the kernel of the forward pass stores behind the loss: of
// features, and of images whose channels are innermost, lie apart or are few, whatever its windows
// are. What the loss divides by may be known only at the call.
TEST(RowSums, BehindALoss) {
  const std::string padded = "{low = [1, 1], high = [1, 1]}";
  const std::string spread = "{strides = [2, 2], low = [1, 1], high = [1, 1]}";
  auto gradients = [](const std::string& images, const std::string& filters,
                      const std::string& layer, const std::string& result, std::int64_t biases,
                      const std::string& loss) {
    const Graph forward = parse(fmt::format(
        "graph @last(%x: f32[{0}], %w: f32[{1}], %b: f32[{4}], %t: f32[{3}]) -> (f32[]) {{ "
        "%y = {2} %l = {5}(%y, %t) return %l }}",
        images, filters, layer, result, biases, loss));
    const std::vector<std::string> wrt{"w", "b"};
    return gradient(forward, wrt);
  };
  for (const char* loss : {"mse_loss", "binary_cross_entropy"}) {
    const std::vector<Graph> graphs{
        gradients("N, 7", "10, 7", "linear(%x, %w, %b)", "N, 10", 10, loss),
        gradients("N, 3, 5, 14", "40, 3, 3, 3", "conv(%x, %w, %b) " + padded, "N, 40, 5, 14", 40,
                  loss),
        gradients("N, 3, 5, 32", "16, 3, 3, 3", "conv(%x, %w, %b) " + padded, "N, 16, 5, 32", 16,
                  loss),
        gradients("N, 16, 6, 28", "16, 16, 3, 3", "conv(%x, %w, %b) " + padded, "N, 16, 6, 28", 16,
                  loss),
        gradients("N, 4, 6, 24", "5, 4, 3, 3", "conv(%x, %w, %b) " + padded, "N, 5, 6, 24", 5,
                  loss),
        gradients("N, 4, 12, 24", "8, 4, 1, 1", "conv(%x, %w, %b)", "N, 8, 12, 24", 8, loss),
        gradients("N, 4, 7, 9", "16, 4, 1, 1", "conv(%x, %w, %b)", "N, 16, 7, 9", 16, loss),
        gradients("N, 4, 66", "5, 4, 3", "conv(%x, %w, %b)", "N, 5, 64", 5, loss),
        gradients("N, 4, 6, 12", "4, 3, 4, 4", "conv_transpose(%x, %w, %b) " + spread,
                  "N, 3, 12, 24", 3, loss)};
    for (const Graph& graph : graphs) {
      EXPECT_EQ(row_folds(graph), 1) << print(graph);
      expect_equal(graph, rows_of({1, 4}));
    }
  }
}

// Of the last layer behind a loss whose gradient is a map, as that of cross_entropy, along any of
// its axes: row by row, whether channels are innermost or lie apart.
TEST(RowSums, BehindTheMapOfALoss) {
  for (const auto& [channels, size, filter, axis] :
       std::vector<std::tuple<std::int64_t, std::string, std::int64_t, std::int64_t>>{
           {16, "6, 32", 3, 1},
           {16, "6, 32", 1, 1},
           {21, "7, 13", 3, 1},
           {70, "5, 14", 1, 1},
           {16, "300, 9", 3, 1},
           {16, "6, 32", 3, -1},
           {32, "13, 13", 3, -1},
           {24, "8, 9", 1, 2},
           {16, "3, 5, 8", 3, 1},
           {16, "H, 24", 1, 1}}) {
    const std::size_t axes = 1 + static_cast<std::size_t>(std::ranges::count(size, ','));
    std::string kernel, frame;
    for (std::size_t i = 0; i < axes; ++i) {
      kernel += fmt::format(", {}", filter);
      frame += fmt::format("{}{}", i == 0 ? "" : ", ", filter / 2);
    }
    const Graph forward = parse(fmt::format(
        "graph @map(%x: f32[N, 3, {0}], %w: f32[{1}, 3{2}], %b: f32[{1}], %p: f32[N, {1}, {0}]) -> "
        "(f32[]) {{ %y = conv(%x, %w, %b) {{low = [{3}], high = [{3}]}} "
        "%t = arg_max(%p) {{axis = {4}, keep_dims = false}} %l = cross_entropy(%y, %t) {{axis = "
        "{4}}} return %l }}",
        size, channels, kernel, frame, axis));
    const std::vector<std::string> wrt{"w", "b"};
    const Graph graph = gradient(forward, wrt);
    EXPECT_EQ(row_folds(graph), 1) << print(graph);
    expect_equal(graph, {{{"N", 0}, {"H", 5}}, {{"N", 1}, {"H", 5}}, {{"N", 4}, {"H", 5}}});
  }
}

// Behind windows that go through each channel for itself, of any number of channels.
TEST(RowSums, BehindDepthwiseWindows) {
  for (const auto& [channels, size, stride] :
       std::vector<std::tuple<std::int64_t, std::string, std::int64_t>>{{16, "5, 32", 1},
                                                                        {64, "5, 32", 1},
                                                                        {70, "6, 13", 1},
                                                                        {5, "6, 24", 1},
                                                                        {48, "6, 32", 2},
                                                                        {70, "6, 24", 2},
                                                                        {20, "7, 13", 2}}) {
    const Graph forward = parse(fmt::format(
        "graph @depthwise(%x: f32[N, 3, {1}], %w0: f32[{0}, 3, 1, 1], %b0: f32[{0}], %w1: "
        "f32[{0}, 1, 3, 3]) -> (f32[]) {{ %h0 = conv(%x, %w0, %b0) %a0 = leaky_relu(%h0) "
        "%h1 = conv(%a0, %w1) {{low = [1, 1], high = [1, 1], strides = [{2}, {2}], groups = {0}}} "
        "%s = mul(%h1, %h1) %l = reduce_sum(%s) return %l }}",
        channels, size, stride));
    const std::vector<std::string> wrt{"w0", "b0", "w1"};
    const Graph graph = gradient(forward, wrt);
    EXPECT_EQ(row_folds(graph), 1) << print(graph);
    expect_equal(graph, rows_of({1, 4}));
  }
}

// Of two layers that one gradient goes back through, as beside a projection, the last to add to it
// stores the sum; the two biases in front of it have the same gradient.
TEST(RowSums, BehindAProjection) {
  const Graph forward = parse(
      "graph @projection(%x: f32[N, 3, 6, 32], %w0: f32[32, 3, 1, 1], %b0: f32[32], %w1: "
      "f32[32, 32, 3, 3], %b1: f32[32], %w2: f32[32, 32, 1, 1], %b2: f32[32], %w3: "
      "f32[32, 32, 3, 3]) -> (f32[]) { %h0 = conv(%x, %w0, %b0) %a0 = leaky_relu(%h0) "
      "%h1 = conv(%a0, %w1, %b1) {low = [1, 1], high = [1, 1]} %h2 = conv(%a0, %w2, %b2) "
      "%t = add(%h1, %h2) %a1 = leaky_relu(%t) %h3 = conv(%a1, %w3) {low = [1, 1], high = [1, 1]} "
      "%s = mul(%h3, %h3) %l = reduce_sum(%s) return %l }");
  const std::vector<std::string> wrt{"w0", "b0", "w1", "b1", "w2", "b2", "w3"};
  const Graph graph = gradient(forward, wrt);
  // One of b0, one of b1 and b2.
  EXPECT_EQ(row_folds(graph), 2) << print(graph);
  expect_equal(graph, rows_of({3}));
}

// The gradient behind a global pool is the same for a whole image: one chain a row, not one for
// each column.
TEST(RowSums, BehindAGlobalPool) {
  for (const char* size : {"7, 7", "8, 8", "5, 16"}) {
    const Graph forward = parse(fmt::format(
        "graph @pool(%x: f32[N, 3, {0}], %w: f32[24, 3, 3, 3], %b: f32[24]) -> (f32[]) {{ "
        "%h = conv(%x, %w, %b) {{low = [1, 1], high = [1, 1]}} %a = leaky_relu(%h) "
        "%p = average_pool(%a) {{kernel = [{0}], strides = [{0}]}} %s = mul(%p, %p) %l = "
        "reduce_sum(%s) return %l }}",
        size));
    const std::vector<std::string> wrt{"w", "b"};
    const Graph graph = gradient(forward, wrt);
    EXPECT_EQ(row_folds(graph), 1) << print(graph);
    expect_equal(graph, rows_of({1, 4}));
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

// Behind windows with a stride: that the rows and columns do not divide by, or one of them; that
// differs between them; along 1-D images, in lanes of each remainder.
TEST(RowSums, BehindStrides) {
  auto strides = [](const char* sizes) {
    return fmt::format("{{strides = [{0}], low = [{1}], high = [{1}]}}", sizes,
                       std::string_view(sizes).find(',') == std::string_view::npos ? "1" : "1, 1");
  };
  const std::vector<std::pair<Images, std::ptrdiff_t>> cases{
      {{.size = "9, 24", .channels = 5, .second = strides("1, 2")}, 1},
      {{.size = "12, 17", .channels = 5, .second = strides("2, 1")}, 1},
      {{.size = "9, 25", .channels = 5, .second = strides("2, 2")}, 1},
      {{.size = "10, 25", .channels = 5, .second = strides("2, 2")}, 1},
      {{.size = "9, 36", .channels = 24, .second = strides("1, 2")}, 1},
      {{.size = "12, 28", .channels = 20, .second = strides("2, 1")}, 1},
      {{.size = "4, 6, 20", .channels = 6, .second = "{strides = [1, 2, 2]}"}, 1},
      {{.size = "130", .channels = 5, .second = strides("2")}, 1},
      {{.size = "218", .channels = 24, .second = strides("3")}, 1},
      {{.size = "209", .type = "f16", .channels = 24, .second = strides("3")}, 1},
      {{.size = "137", .channels = 5, .second = strides("2")}, 1},
  };
  for (const auto& [images, folds] : cases) {
    const Graph graph = images.gradients();
    EXPECT_GE(row_folds(graph), folds) << print(graph);
    expect_equal(graph, rows_of({1, 4}));
  }
  expect_equal(cases[8].first.gradients(), rows_of({0, 3}), true);
}

// Behind a layer of features whose input is images laid flat: the product has the mask in its
// epilogue, and sums the rows. More images than a chunk has rows; channels that lie apart; types
// that are summed in another one.
TEST(RowSums, BehindAFlattenedLayer) {
  auto gradients = [](std::int64_t channels, const std::string& type, const std::string& size,
                      const std::string& features) {
    const Graph forward = parse(fmt::format(
        "graph @flat(%x: {0}[N, 2, {1}], %w0: {0}[{2}, 2, {4}], %b0: {0}[{2}], %w1: {0}[7, {3}], "
        "%b1: {0}[7]) -> ({0}[]) {{ "
        "%h0 = conv(%x, %w0, %b0) %a0 = leaky_relu(%h0) %f = reshape(%a0) {{shape = [N, {3}]}} "
        "%h1 = linear(%f, %w1, %b1) %a1 = leaky_relu(%h1) %s = mul(%a1, %a1) "
        "%l = reduce_sum(%s) return %l }}",
        type, size, channels, features, size == "8" ? "3" : "3, 3"));
    const std::vector<std::string> wrt{"w0", "b0", "w1", "b1"};
    return gradient(forward, wrt);
  };
  for (const auto& [channels, type, size, features] :
       std::vector<std::tuple<std::int64_t, std::string, std::string, std::string>>{
           {16, "f32", "5, 6", "192"},
           {5, "f32", "5, 6", "60"},
           {32, "f64", "8", "192"},
           {16, "f16", "5, 6", "192"}}) {
    const Graph graph = gradients(channels, type, size, features);
    const weir::Program program = lower_graph(graph);
    const bool is_in_epilogue = std::ranges::any_of(program.kernels, [](const Kernel& kernel) {
      return kernel.name.starts_with("matmul_leaky_relu_grad") && kernel.across.has_value();
    });
    EXPECT_TRUE(is_in_epilogue) << print(graph);
    expect_equal(graph, rows_of({0, 1, 5, 259}));
  }
}

// Behind a concat: the contraction is one for each of what is joined, and has its mask and its sum;
// of what several layers read, the one that is computed last. Channels that lie apart or innermost;
// features; types that are summed in another one.
TEST(RowSums, BehindAConcat) {
  auto block = [](std::int64_t channels, std::int64_t growth, const std::string& type,
                  const std::string& size, const std::string& window) {
    return parse(fmt::format(
        "graph @block(%x: {0}[N, {2}, {1}], %w0: {0}[{3}, {2}{4}], %b0: {0}[{3}], %w1: {0}[{3}, "
        "{5}{4}], %b1: {0}[{3}], %w2: {0}[4, {6}{4}]) -> ({0}[]) {{ %h0 = conv(%x, %w0, %b0) "
        "{{low = [1, 1], high = [1, 1]}} %a0 = leaky_relu(%h0) %c0 = concat(%x, %a0) {{axis = 1}} "
        "%h1 = conv(%c0, %w1, %b1) {{low = [1, 1], high = [1, 1]}} %a1 = leaky_relu(%h1) "
        "%c1 = concat(%c0, %a1) {{axis = 1}} %y = conv(%c1, %w2) %s = mul(%y, %y) "
        "%l = reduce_sum(%s) return %l }}",
        type, size, channels, growth, window, channels + growth, channels + 2 * growth));
  };
  const std::vector<std::string> wrt{"w0", "b0", "w1", "b1", "w2"};
  for (const auto& [channels, growth, type] :
       std::vector<std::tuple<std::int64_t, std::int64_t, std::string>>{
           {5, 3, "f32"}, {16, 8, "f32"}, {16, 24, "f32"}, {6, 9, "f64"}, {4, 8, "f16"}}) {
    const Graph graph = gradient(block(channels, growth, type, "9, 18", ", 3, 3"), wrt);
    const weir::Program program = lower_graph(graph);
    EXPECT_EQ(
        std::ranges::count_if(program.kernels,
                              [](const Kernel& kernel) {
                                return kernel.name.starts_with("conv_transpose_leaky_relu_grad");
                              }),
        2)
        << print(graph);
    EXPECT_GE(row_folds(graph), 2) << print(graph);
    expect_equal(graph, rows_of({0, 1, 5}));
  }
  const Graph features = gradient(
      parse("graph @features(%x: f32[N, 6], %w0: f32[20, 6], %b0: f32[20], %w1: f32[3, 26]) -> "
            "(f32[]) { %h = linear(%x, %w0, %b0) %a = leaky_relu(%h) "
            "%c = concat(%a, %x) {axis = 1} %y = linear(%c, %w1) %s = mul(%y, %y) "
            "%l = reduce_sum(%s) return %l }"),
      std::vector<std::string>{"w0", "b0", "w1"});
  EXPECT_GE(row_folds(features), 1) << print(features);
  expect_equal(features, rows_of({0, 1, 5, 259}));
}

}  // namespace
}  // namespace weir::test
