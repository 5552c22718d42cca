// Sums over rows of images, as of the gradient of a layer's bias, that the kernel makes which stores
// what is summed: behind every kind of windows, a loss, and what joins or flattens, against the
// interpreter, bit for bit.
#include <algorithm>
#include <tuple>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compiler/autodiff/gradient.h"
#include "tests/support/graphs.h"
#include "tests/unit/pipeline/sums.h"

namespace weir::test {
namespace {

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
