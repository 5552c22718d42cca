// Sums of expressions of what a kernel stores and of what lies at the same place, in that kernel:
// behind products and maps, and of batch norm's backward pass in each of the orders that its graph
// declares, against the interpreter, bit for bit.
#include <algorithm>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compiler/autodiff/gradient.h"
#include "tests/support/graphs.h"
#include "tests/unit/pipeline/sums.h"

namespace weir::test {
namespace {

// A masked product, its sum, and that of it times a deviation: both if a chunk has all of a sum.
TEST(SumsOfProducts, BehindAContraction) {
  auto gradient_of = [](const std::string& rows, const std::string& type, bool both) {
    return parse(fmt::format(
        "graph @g(%u: {1}[{0}, 3], %w: {1}[3, 70], %h: {1}[{0}, 70], %m: {1}[70]) -> "
        "({1}[{0}, 70], {1}[70]{2}) {{ %p = matmul(%u, %w) %d = leaky_relu.grad(%h, %p) "
        "%c = sub(%h, %m) %e = mul(%d, %c) %s = reduce_sum(%e) {{axes = [0]}} "
        "%b = reduce_sum(%d) {{axes = [0]}} return %d, %s{3} }}",
        rows, type, both ? fmt::format(", {}[70]", type) : "", both ? ", %b" : ""));
  };
  EXPECT_EQ(row_folds(gradient_of("N", "f32", false), "x86-64-v4", 1), 1);
  expect_equal(gradient_of("N", "f32", false), {{{"N", 1}}, {{"N", 7}}, {{"N", 300}}});
  for (const char* rows : {"2", "5", "64", "256"}) {
    EXPECT_EQ(row_folds(gradient_of(rows, "f32", true), "x86-64-v4", 2), 1) << rows;
    expect_equal(gradient_of(rows, "f32", true), {{}});
  }
  // Of a product that is stored without the mask; what merges the chunks does not read the mask.
  const Graph unmasked = parse(
      "graph @u(%h: f32[N, 70], %u: f32[N, 3], %w: f32[3, 70], %r: f32[70]) -> (f32[N, 70], "
      "f32[70]) { %t = tanh(%h) %p = matmul(%u, %w) %d = leaky_relu.grad(%t, %p) "
      "%s = reduce_sum(%d) {axes = [0]} %n = sub(%r, %s) return %p, %n }");
  EXPECT_EQ(row_folds(unmasked, "x86-64-v4", 1), 1) << print(unmasked);
  expect_equal(unmasked, {{{"N", 5}}, {{"N", 600}}});
  // Of more chunks than one a kernel merges them, of one sum alone.
  EXPECT_EQ(row_folds(gradient_of("300", "f32", true), "x86-64-v4", 2), 0);
  expect_equal(gradient_of("300", "f32", true), {{}});
  for (const char* type : {"f64", "f16", "bf16"}) expect_equal(gradient_of("9", type, true), {{}});
}

// What is read for the sum alone is read behind the store, and so does not give its memory to what
// is stored, which lives on.
TEST(SumsOfProducts, KeepWhatTheyRead) {
  const Graph graph = parse(
      "graph @k(%u: f32[64, 3], %w: f32[3, 70], %h: f32[64, 70], %z: f32[70, 4]) -> "
      "(f32[64, 4], f32[70]) { %t = softmax(%h) {axis = 1} %p = matmul(%u, %w) "
      "%d = leaky_relu.grad(%h, %p) %e = mul(%d, %t) %s = reduce_sum(%e) {axes = [0]} "
      "%y = matmul(%d, %z) return %y, %s }");
  EXPECT_EQ(row_folds(graph, "x86-64-v4", 1), 1) << print(graph);
  expect_equal(graph, {{}});
}

// Two layers of images with batch norm, the second in front of windows or of a loss.
struct NormalizedImages {
  std::string size, type = "f32", batch = "N";
  std::int64_t channels = 16, taps = 3, groups = 1;
  std::string second = "", between = "";

  Graph gradients() const {
    const std::size_t axes = 1 + static_cast<std::size_t>(std::ranges::count(size, ','));
    std::string kernel;
    for (std::size_t i = 0; i < axes; ++i) kernel += fmt::format(", {}", taps);
    const Graph forward = parse(fmt::format(
        "graph @normalized(%x: {0}[{7}, 2, {1}], %w0: {0}[{3}, 2{2}], %g: {0}[{3}], %o: {0}[{3}], "
        "%m: {0}[{3}], %v: {0}[{3}], %w1: {0}[{4}, {8}{2}]) -> ({0}[]) {{ "
        "%h = conv(%x, %w0) %n, %rm, %rv = batch_norm_training(%h, %g, %o, %m, %v) "
        "%a = leaky_relu(%n) {5} %q = conv({9}, %w1) {6} %s = mul(%q, %q) %l = reduce_sum(%s) "
        "return %l }}",
        type, size, kernel, channels, groups == 1 ? 24 : channels, between, second, batch,
        channels / groups, between.empty() ? "%a" : "%p"));
    const std::vector<std::string> wrt{"w0", "g", "o", "w1"};
    return gradient(forward, wrt);
  }
};

TEST(SumsOfProducts, OfBatchNorm) {
  const std::string padded = "{low = [1, 1], high = [1, 1]}";
  const std::string strided = "{strides = [2, 2], low = [1, 1], high = [1, 1]}";
  const std::string pooled = "%p = max_pool(%a) {kernel = [2, 2], strides = [2, 2]}";
  const std::vector<std::pair<NormalizedImages, std::ptrdiff_t>> cases{
      // Row by row; along rows; of remainders behind a stride.
      {{.size = "7, 18", .second = padded}, 1},
      {{.size = "7, 26", .channels = 5, .second = padded}, 1},
      {{.size = "7, 18", .batch = "4", .second = padded}, 1},
      {{.size = "6, 8", .channels = 70, .second = padded}, 1},
      {{.size = "6, 7", .second = padded}, 1},
      {{.size = "H, 18", .second = padded}, 0},
      {{.size = "14, 18", .second = strided}, 1},
      {{.size = "8, 34", .channels = 8, .second = strided}, 1},
      {{.size = "8, 10", .channels = 64, .second = strided}, 1},
      {{.size = "8, 18",
        .channels = 16,
        .groups = 16,
        .second = "{low = [1, 1], high = [1, 1], groups = 16}"},
       1},
      {{.size = "10, 18", .second = padded, .between = pooled}, 1},
      {{.size = "5, 6, 10", .second = "{low = [1, 1, 1], high = [1, 1, 1]}"}, 1},
      // In lanes, whole ones and others; and where these are no work to be saved.
      {{.size = "8, 16", .taps = 1}, 1},
      {{.size = "9, 13", .channels = 5, .taps = 1}, 1},
      {{.size = "4, 4", .channels = 5, .taps = 1}, 0},
      {{.size = "68", .channels = 8, .second = "{low = [1], high = [1]}"}, 1},
      {{.size = "72", .channels = 8, .second = "{low = [1], high = [1]}"}, 1},
      {{.size = "130", .channels = 8, .second = "{low = [1], high = [1], strides = [2]}"}, 1},
      {{.size = "8, 18", .type = "f16", .second = padded}, 1},
      {{.size = "8, 18", .type = "f64", .second = padded}, 1},
  };
  for (const auto& [images, kernels] : cases) {
    const Graph graph = images.gradients();
    EXPECT_EQ(row_folds(graph, "x86-64-v4", 2), kernels) << print(graph);
    expect_equal(graph, {{{"N", 3}, {"H", 8}}});
  }
  expect_equal(cases.front().first.gradients(), {{{"N", 1}}});
  // Beyond the end of an image nothing is added, whatever the elements are.
  expect_equal(NormalizedImages{.size = "9, 13", .channels = 5, .taps = 1}.gradients(),
               {{{"N", 2}}}, true);
}

}  // namespace
}  // namespace weir::test
