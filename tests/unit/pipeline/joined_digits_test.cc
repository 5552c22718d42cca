// Taps of a window and the channels under them as one loop, where they lie one after the other
// (join_digits.h): which are, and that the bits are the interpreter's.
#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compiler/codegen/object.h"
#include "compiler/lowering/schedule.h"
#include "tests/support/graphs.h"
#include "tests/unit/pipeline/compiled.h"

namespace weir::test {
namespace {

// A layer between values with channels last, so that nothing is turned or copied for it.
std::string layer(std::int64_t channels, const char* size, const char* window,
                  const char* attributes, const char* type = "f32") {
  return fmt::format(
      "graph @c(%x: {4}[1, {1}, {0}], %w: {4}[32, {0}, {2}]) {{ "
      "%t = transpose(%x) {{permutation = [0, 3, 1, 2]}} %y = conv(%t, %w) {{{3}}} "
      "%z = leaky_relu(%y) return %z }}",
      channels, size, window, attributes, type);
}

// The steps of the innermost loop of the layer's fold, and how many loops are around it.
struct Loops {
  std::int64_t steps = 0;
  std::size_t around = 0;
  friend bool operator==(const Loops&, const Loops&) = default;
};

Loops loops(const std::string& text) {
  CompileOptions options;
  options.target.cpu = "x86-64-v3";
  const Processor processor = resolve_target(options.target).processor();
  Loops found;
  for (const Kernel& kernel : lower_graph(parse(text), options).kernels) {
    const Schedule schedule = make_schedule(kernel, processor);
    for (const Stage& stage : schedule.kernel.stages) {
      if (!stage.fold || stage.digits.empty()) continue;
      found.steps = schedule.kernel.arena.axis_extent(stage.digits.back()).constant().value_or(0);
      found.around = stage.digits.size() - 1;
    }
  }
  return found;
}

void expect_equal(const std::string& text) {
  const Graph graph = parse(text);
  Generator generator(11);
  const std::vector<Inputs> runs{random_values(graph, graph.inputs(), generator, false, {})};
  EXPECT_EQ(difference_on_levels(graph, {}, runs), std::nullopt) << text;
}

#ifdef __x86_64__
TEST(JoinedDigits, WhereStepsLieOneAfterTheOther) {
  // No frame: the taps of a row with their channels, a row of the window for each.
  EXPECT_EQ(loops(layer(16, "50, 50", "3, 3", "")), (Loops{48, 1}));
  // A row of the window that is as wide as the image: all of it.
  EXPECT_EQ(loops(layer(16, "50, 6", "3, 6", "")), (Loops{288, 0}));
  // Taps of a dilated window are apart.
  EXPECT_EQ(loops(layer(16, "50, 50", "3, 3", "dilations = [1, 2]")), (Loops{16, 2}));
  // Down the image they may be: it is the taps of a row that are joined.
  EXPECT_EQ(loops(layer(16, "50, 50", "3, 3", "dilations = [2, 1]")), (Loops{48, 1}));
  // A chunk of 1024 steps would end within 384.
  EXPECT_EQ(loops(layer(128, "50, 50", "3, 3", "")), (Loops{128, 2}));
  EXPECT_EQ(loops(layer(128, "50, 50", "3, 2", "")), (Loops{256, 1}));
}
#endif

TEST(JoinedDigits, BitsAreTheInterpreters) {
  for (const char* type : {"f32", "f64", "f16"})
    for (const char* attributes :
         {"", "low = [1, 1], high = [1, 1]", "strides = [2, 1]", "dilations = [1, 2]",
          "low = [1, 0], high = [0, 2], strides = [1, 2]"})
      expect_equal(layer(16, "9, 11", "3, 3", attributes, type));
  expect_equal(layer(16, "9, 6", "3, 6", ""));
  expect_equal(layer(5, "9, 12", "2, 5", "low = [0, 2], high = [1, 2]"));
  expect_equal(layer(96, "5, 7", "3, 3", "low = [1, 1], high = [1, 1]"));
  expect_equal(layer(128, "5, 7", "3, 2", ""));
  expect_equal(layer(128, "4, 5", "3, 3", ""));
}

// The first axis of an image is known at the call only, and 1-D and 3-D windows.
TEST(JoinedDigits, OfOtherImages) {
  expect_equal(
      "graph @c(%x: f32[1, 30, 16], %w: f32[32, 16, 5]) { "
      "%t = transpose(%x) {permutation = [0, 2, 1]} %y = conv(%t, %w) {low = [2], high = [2]} "
      "return %y }");
  expect_equal(
      "graph @c(%x: f32[1, 16, 5, 6, 7], %w: f32[32, 16, 3, 3, 3]) { "
      "%y = conv(%x, %w) {low = [1, 1, 1], high = [1, 1, 1]} return %y }");
  const Graph graph = parse(
      "graph @c(%x: f32[N, H, 12, 16], %w: f32[32, 16, 3, 3]) { "
      "%t = transpose(%x) {permutation = [0, 3, 1, 2]} "
      "%y = conv(%t, %w) {low = [1, 1], high = [1, 1]} return %y }");
  Generator generator(3);
  for (std::int64_t height : {1, 4, 9}) {
    const Dim::Bindings sizes{{"N", 2}, {"H", height}};
    const std::vector<Inputs> runs{random_values(graph, graph.inputs(), generator, false, sizes)};
    EXPECT_EQ(difference_on_levels(graph, {}, runs), std::nullopt) << height;
  }
}

}  // namespace
}  // namespace weir::test
