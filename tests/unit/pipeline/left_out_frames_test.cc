// Steps in a frame of zeros that are taken together (leave_out_frames.h): whatever the filters are,
// and whatever the sums are at that time, the bits are those of the steps one by one.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <span>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/graphs.h"
#include "tests/unit/pipeline/compiled.h"

namespace weir::test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct FramedLayer {
  int channels, filters, height, width;
  const char* kernel;  // sizes
  const char* attributes;
  int groups = 1;
};

const FramedLayer kCases[] = {
    // A row of the image is a tile, two of them, and two that share rows.
    {64, 32, 3, 13, "3, 3", "low = [1, 1], high = [1, 1]"},
    {32, 64, 2, 26, "3, 3", "low = [1, 1], high = [1, 1]"},
    {32, 48, 3, 7, "3, 3", "low = [1, 1], high = [1, 1]"},
    // Several chunks, of several taps each; channels that are no power of two, and that end within a
    // chunk, so that nothing is taken together.
    {256, 32, 3, 5, "3, 3", "low = [1, 1], high = [1, 1]"},
    {96, 16, 4, 6, "3, 3", "low = [1, 1], high = [1, 1]"},
    {48, 16, 4, 6, "5, 5", "low = [2, 2], high = [2, 2]"},
    // Frames of one side, wide ones, strides and dilations.
    {32, 32, 5, 9, "3, 3", "low = [2, 0], high = [0, 2]"},
    {32, 32, 8, 8, "4, 4", "strides = [2, 2], low = [1, 1], high = [1, 1]"},
    {32, 32, 6, 10, "3, 3", "dilations = [2, 3], low = [2, 3], high = [2, 3]"},
    {32, 32, 3, 12, "1, 5", "low = [0, 2], high = [0, 2]"},
    // Few filters, so that windows are copied for vectors along the image.
    {33, 8, 12, 3, "1, 3", "low = [0, 1], high = [1, 2]"},
    {64, 4, 9, 8, "3, 3", "low = [1, 1], high = [1, 1]"},
    {128, 64, 4, 6, "3, 3", "low = [1, 1], high = [1, 1], groups = 2", 2},
};

std::string text_of(const FramedLayer& one) {
  return fmt::format(
      "graph @c(%x: f32[N, {}, {}, {}]) {{ param %w: f32[{}, {}, {}] "
      "%y = conv(%x, %w) {{{}}} %z = leaky_relu(%y) return %z }}",
      one.channels, one.height, one.width, one.filters, one.channels / one.groups, one.kernel,
      one.attributes);
}

// With `change` made to the filters and the image.
void expect_equal(const std::function<void(std::span<float> w, std::span<float> x)>& change) {
  for (const FramedLayer& one : kCases) {
    const Graph graph = parse(text_of(one));
    Generator generator(7);
    Inputs inputs = random_values(graph, graph.inputs(), generator, false, {{"N", 2}});
    Weights weights = random_values(graph, graph.params(), generator, false, {});
    change(weights.at("w").mutable_elements<float>(), inputs.at("x").mutable_elements<float>());
    EXPECT_EQ(difference_on_levels(graph, weights, std::span(&inputs, 1)), std::nullopt)
        << text_of(one);
  }
}

TEST(LeftOutFrames, EqualTheInterpreter) {
  expect_equal([](std::span<float>, std::span<float>) {});
}

TEST(LeftOutFrames, WithFiltersThatAreNotFinite) {
  expect_equal([](std::span<float> w, std::span<float>) {
    for (std::size_t i = 0; i < w.size(); i += 977)
      w[i] = i % 3 == 0 ? kInfinity : i % 3 == 1 ? -kInfinity : std::nanf("");
  });
}

// Products that vanish leave sums of -0, which taps in the frame turn into 0 unless all of their
// filters are negative.
TEST(LeftOutFrames, WithSumsOfNegativeZeros) {
  expect_equal([](std::span<float> w, std::span<float> x) {
    std::ranges::fill(x, 1e-30f);
    for (std::size_t i = 0; i < w.size(); ++i)
      w[i] = i % 4099 == 0 ? 0.0f : i % 61 == 0 ? -0.0f : -1e-20f;
  });
}

}  // namespace
}  // namespace weir::test
