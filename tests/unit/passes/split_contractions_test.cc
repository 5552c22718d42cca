#include "compiler/passes/split_contractions.h"

#include <algorithm>
#include <string>
#include <tuple>

#include <fmt/format.h>

#include "ir/op.h"
#include "tests/support/graphs.h"

namespace weir {
namespace {

// Of the program behind "gradient:".
void expect_split(const std::string& text, const std::string& expected) {
  const Graph graph = test::parse(text);
  const Graph after = split_contractions(graph);
  const std::string printed = print(after);
  EXPECT_EQ(printed.substr(printed.find("gradient:\n")), expected);
  test::expect_same_results(graph, after, 3);
}

void expect_left(const std::string& text) {
  const Graph graph = test::parse(text);
  EXPECT_EQ(print(split_contractions(graph)), print(graph));
}

// The mask of one part, and a part that is left as it is.
TEST(SplitContractions, HaveTheMaskOfASlice) {
  expect_split(R"(graph @m(%g: f32[N, 3], %w: f32[3, 10], %h: f32[N, 4]) -> (f32[N, 4], f32[N, 6]) {
gradient:
  %p = matmul(%g, %w)
  %a = slice(%p) {starts = [0, 0], limits = [N, 4]}
  %b = slice(%p) {starts = [0, 4], limits = [N, 10]}
  %d = leaky_relu.grad(%h, %a)
  return %d, %b
})",
               R"(gradient:
  %0 = slice(%w) {starts = [0, 0], limits = [3, 4]}
  %1 = matmul(%g, %0)
  %2 = slice(%w) {starts = [0, 4], limits = [3, 10]}
  %3 = matmul(%g, %2)
  %d = leaky_relu.grad(%h, %1)
  return %d, %3 as "b"
}
)");
}

// What is added up is sliced where the last of it is computed; the others are read as they are.
TEST(SplitContractions, AreTheLastOfASum) {
  expect_split(
      R"(graph @m(%g: f32[N, 3, 4, 4], %f: f32[N, 2, 4, 4], %v: f32[2, 5, 1, 1], %w: f32[3, 5, 3, 3], %s: f32[5, 1, 1], %h: f32[N, 2, 4, 4]) -> (f32[N, 2, 4, 4], f32[N, 3, 4, 4]) {
gradient:
  %q = conv_transpose(%f, %v)
  %p = conv_transpose(%g, %w) {low = [1, 1], high = [1, 1]}
  %scaled = mul(%q, %s)
  %sum = add(%scaled, %p)
  %a = slice(%sum) {starts = [0, 0, 0, 0], limits = [N, 2, 4, 4]}
  %b = slice(%sum) {starts = [0, 2, 0, 0], limits = [N, 5, 4, 4]}
  %d = leaky_relu.grad(%h, %a)
  return %d, %b
})",
      R"(gradient:
  %q = conv_transpose(%f, %v)
  %0 = slice(%w) {starts = [0, 0, 0, 0], limits = [3, 2, 3, 3]}
  %1 = conv_transpose(%g, %0) {low = [1, 1], high = [1, 1]}
  %2 = slice(%w) {starts = [0, 2, 0, 0], limits = [3, 5, 3, 3]}
  %3 = conv_transpose(%g, %2) {low = [1, 1], high = [1, 1]}
  %scaled = mul(%q, %s)
  %4 = slice(%scaled) {starts = [0, 0, 0, 0], limits = [N, 2, 4, 4]}
  %5 = add(%4, %1)
  %6 = slice(%scaled) {starts = [0, 2, 0, 0], limits = [N, 5, 4, 4]}
  %7 = add(%6, %3)
  %d = leaky_relu.grad(%h, %5)
  return %d, %7 as "b"
}
)");
}

// Where the pointwise gradient waits for something else, a kernel of its own has it anyway; what is
// read whole, or is an output, is computed whole; and the forward pass is left.
TEST(SplitContractions, AreLeftWhole) {
  expect_left(
      R"(graph @late(%g: f32[N, 3], %w: f32[3, 10], %v: f32[6, 4]) -> (f32[N, 4], f32[N, 6]) {
gradient:
  %p = matmul(%g, %w)
  %a = slice(%p) {starts = [0, 0], limits = [N, 4]}
  %b = slice(%p) {starts = [0, 4], limits = [N, 10]}
  %c = matmul(%b, %v)
  %d = add(%a, %c)
  return %d, %b
})");
  expect_left(R"(graph @whole(%g: f32[N, 3], %w: f32[3, 10], %h: f32[N, 4]) -> (f32[N, 4], f32[N]) {
gradient:
  %p = matmul(%g, %w)
  %a = slice(%p) {starts = [0, 0], limits = [N, 4]}
  %d = leaky_relu.grad(%h, %a)
  %s = reduce_sum(%p) {axes = [1]}
  return %d, %s
})");
  expect_left(
      R"(graph @output(%g: f32[N, 3], %w: f32[3, 10], %h: f32[N, 4]) -> (f32[N, 4], f32[N, 10]) {
gradient:
  %p = matmul(%g, %w)
  %a = slice(%p) {starts = [0, 0], limits = [N, 4]}
  %d = leaky_relu.grad(%h, %a)
  return %d, %p
})");
  expect_left(R"(graph @forward(%g: f32[N, 3], %w: f32[3, 10]) -> (f32[N, 4], f32[N, 6]) {
  %p = matmul(%g, %w)
  %a = slice(%p) {starts = [0, 0], limits = [N, 4]}
  %b = slice(%p) {starts = [0, 4], limits = [N, 10]}
  %d = leaky_relu(%a)
  return %d, %b
})");
}

// Along an axis that both operands have, or that groups of channels lie along, there are no parts;
// nor of slices with a stride or along two axes.
TEST(SplitContractions, HavePartsOfOneOperand) {
  expect_left(
      R"(graph @batch(%g: f32[5, N, 3], %w: f32[5, 3, 6], %h: f32[2, N, 6]) -> (f32[2, N, 6], f32[3, N, 6]) {
gradient:
  %p = matmul(%g, %w)
  %a = slice(%p) {starts = [0, 0, 0], limits = [2, N, 6]}
  %b = slice(%p) {starts = [2, 0, 0], limits = [5, N, 6]}
  %d = leaky_relu.grad(%h, %a)
  return %d, %b
})");
  expect_left(
      R"(graph @groups(%g: f32[N, 4, 6], %w: f32[4, 3, 3], %h: f32[N, 2, 8]) -> (f32[N, 2, 8], f32[N, 4, 8]) {
gradient:
  %p = conv_transpose(%g, %w) {groups = 2}
  %a = slice(%p) {starts = [0, 0, 0], limits = [N, 2, 8]}
  %b = slice(%p) {starts = [0, 2, 0], limits = [N, 6, 8]}
  %d = leaky_relu.grad(%h, %a)
  return %d, %b
})");
  expect_left(R"(graph @strided(%g: f32[N, 3], %w: f32[3, 10], %h: f32[N, 5]) -> (f32[N, 5]) {
gradient:
  %p = matmul(%g, %w)
  %a = slice(%p) {starts = [0, 0], limits = [N, 10], strides = [1, 2]}
  %d = leaky_relu.grad(%h, %a)
  return %d
})");
}

// A contraction of as many columns as what it reads, be that another one's result or pointwise in it:
// what it reads has no parts.
TEST(SplitContractions, AreNotOfWhatAContractionReads) {
  expect_split(
      R"(graph @m(%g: f32[4, 8], %v: f32[8, 8], %w: f32[8, 8], %h: f32[4, 8]) -> (f32[4, 3]) {
gradient:
  %p = matmul(%g, %v)
  %m = leaky_relu.grad(%h, %p)
  %q = matmul(%m, %w)
  %a = slice(%q) {starts = [0, 0], limits = [4, 3]}
  return %a
})",
      R"(gradient:
  %p = matmul(%g, %v)
  %m = leaky_relu.grad(%h, %p)
  %0 = slice(%w) {starts = [0, 0], limits = [8, 3]}
  %1 = matmul(%m, %0)
  return %1 as "a"
}
)");
  expect_split(
      R"(graph @m(%g: f32[N, 4, 6], %v: f32[4, 4, 1], %w: f32[4, 4, 1]) -> (f32[N, 3, 6]) {
gradient:
  %p = conv(%g, %v)
  %q = conv_transpose(%p, %w)
  %a = slice(%q) {starts = [0, 1, 0], limits = [N, 4, 6]}
  return %a
})",
      R"(gradient:
  %p = conv(%g, %v)
  %0 = slice(%w) {starts = [0, 1, 0], limits = [4, 4, 1]}
  %1 = conv_transpose(%p, %0)
  return %1 as "a"
}
)");
}

// Many parts, or several narrow ones, of which one is masked.
TEST(SplitContractions, AreFew) {
  for (const auto& [parts, width, is_split] :
       {std::tuple{2, 1, true}, {3, 1, false}, {3, 4, true}, {8, 4, true}, {9, 8, false}}) {
    std::string text =
        fmt::format("graph @m(%g: f32[N, 3], %w: f32[3, {}], %h: f32[N, {}]) -> (f32[N, {}]",
                    parts * width, width, width);
    for (int i = 1; i < parts; ++i) text += fmt::format(", f32[N, {}]", width);
    text += ") {\ngradient:\n  %p = matmul(%g, %w)\n";
    std::string results = "%d";
    for (int i = 0; i < parts; ++i) {
      text += fmt::format("  %s{} = slice(%p) {{starts = [0, {}], limits = [N, {}]}}\n", i,
                          i * width, (i + 1) * width);
      if (i > 0) results += fmt::format(", %s{}", i);
    }
    text += fmt::format("  %d = leaky_relu.grad(%h, %s0)\n  return {}\n}}\n", results);
    const Graph graph = test::parse(text);
    const Graph after = split_contractions(graph);
    const auto contractions = std::ranges::count_if(
        after.nodes(), [](const Node& node) { return node.op->is_contraction; });
    EXPECT_EQ(contractions, is_split ? parts : 1) << text;
    test::expect_same_results(graph, after, 3);
  }
}

// Of each contraction, along the columns and rows of its result.
TEST(SplitContractions, AreOfAnyKind) {
  expect_split(R"(graph @m(%g: f32[3, N], %w: f32[10, 3], %h: f32[N, 4]) -> (f32[N, 4]) {
gradient:
  %p = matmul(%g, %w) {transpose_a = true, transpose_b = true}
  %a = slice(%p) {starts = [0, 2], limits = [N, 6]}
  %d = leaky_relu.grad(%h, %a)
  return %d
})",
               R"(gradient:
  %0 = slice(%w) {starts = [2, 0], limits = [6, 3]}
  %1 = matmul(%g, %0) {transpose_a = true, transpose_b = true}
  %d = leaky_relu.grad(%h, %1)
  return %d
}
)");
  expect_split(R"(graph @m(%g: f32[3, 7], %w: f32[3, 10]) -> (f32[4, 10]) {
gradient:
  %p = matmul(%g, %w) {transpose_a = true}
  %a = slice(%p) {starts = [2, 0], limits = [6, 10]}
  return %a
})",
               R"(gradient:
  %0 = slice(%g) {starts = [0, 2], limits = [3, 6]}
  %1 = matmul(%0, %w) {transpose_a = true}
  return %1 as "a"
}
)");
  expect_split(R"(graph @m(%g: f32[6, 3, 9], %w: f32[5, 3, 2]) -> (f32[6, 2, 4], f32[2, 5, 4]) {
gradient:
  %p = conv(%g, %w) {strides = [2]}
  %a = slice(%p) {starts = [0, 1, 0], limits = [6, 3, 4]}
  %q = conv(%g, %w) {strides = [2]}
  %b = slice(%q) {starts = [1, 0, 0], limits = [3, 5, 4]}
  return %a, %b
})",
               R"(gradient:
  %0 = slice(%w) {starts = [1, 0, 0], limits = [3, 3, 2]}
  %1 = conv(%g, %0) {strides = [2]}
  %2 = slice(%g) {starts = [1, 0, 0], limits = [3, 3, 9]}
  %3 = conv(%2, %w) {strides = [2]}
  return %1 as "a", %3 as "b"
}
)");
}

}  // namespace
}  // namespace weir
