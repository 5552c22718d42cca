// Shapes and values at which ways of lowering meet that are seldom in one kernel, each with the fault
// that it once was. Compiled at every vector level of the machine, and on threads.
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "tests/support/graphs.h"
#include "tests/unit/pipeline/compiled.h"

namespace weir::test {
namespace {

// The same bits as the interpreter's, at every level and on threads, for values of weights and
// inputs at random.
void expect_the_interpreters(const char* text, const Dim::Bindings& sizes = {}) {
  Generator generator(17);
  Graph graph = parse(text);
  Inputs inputs = random_values(graph, graph.inputs(), generator, false, sizes);
  Weights weights = random_values(graph, graph.params(), generator, false, sizes);
  EXPECT_EQ(difference_on_levels(graph, weights, {&inputs, 1}), std::nullopt) << text;
}

// A sum over all elements in front of one whose chunks threads share: what is written for the first
// to read is not there when others work on the second.
TEST(RareShapes, ASumInChunksBehindOneOfTheSameElements) {
  for (const char* text : {R"(graph @m(%x: f32[60, 60, 1]) -> (f32[60, 60, 1]) {
  %a = reduce_sum(%x) {axes = [0, 1, 2], keep_dims = true}
  %d = sub(%x, %a)
  %s = reduce_sum(%d) {axes = [0, 1], keep_dims = true}
  %o = mul(%d, %s)
  return %o
})",
                           R"(graph @g(%x: f32[3, 1800, 1]) -> (f32[3, 1800, 1], f32[3, 1800, 1]) {
  %r = reduce_max(%x) {axes = [0, 1, 2], keep_dims = true}
  %m = mul(%x, %r)
  %e = exp(%m)
  %g = mul(%x, %e)
  %s = reduce_sum(%g) {axes = [0, 1], keep_dims = true}
  %q = equal(%x, %r)
  %f = cast(%q) {dtype = f32}
  %n = reduce_sum(%f) {axes = [0, 1, 2], keep_dims = true}
  %sn = div(%s, %n)
  %sf = mul(%f, %sn)
  return %e, %sf
})",
                           R"(graph @n(%x: f32[3, 1800, 1]) -> (f32[3, 1800, 1]) {
  %o = layer_norm(%x) {axis = 0}
  return %o
})"})
    expect_the_interpreters(text);
}

// What a map behind a fold reads along an axis of its own is not asked for ahead of that axis.
TEST(RareShapes, AMapAlongItsOwnAxisBehindATile) {
  expect_the_interpreters(R"(graph @m(%x: f32[2, 60, 3]) -> (f32[2, 60, 3]) {
  %r = reduce_max(%x) {axes = [0, 1], keep_dims = true}
  %m = mul(%x, %r)
  %n = reduce_mean(%m) {axes = [1], keep_dims = true}
  %y = add(%m, %n)
  return %y
})");
}

// A weight whose windows are copied for vectors has no frame around it.
TEST(RareShapes, WindowsOfAWeightThatReachBeyondIt) {
  for (const char* text : {R"(graph @m() -> (f32[2, 2, 2]) {
  param %x: f32[2, 2, 2]
  %y = max_pool(%x) {kernel = [3], high = [2]}
  return %y
})",
                           R"(graph @m(%w: f32[32, 1, 3, 3]) -> (f32[1, 32, 3, 3]) {
  param %x: f32[1, 32, 5, 5]
  %y = conv(%x, %w) {groups = 32, strides = [2, 2], low = [1, 1], high = [1, 1]}
  return %y
})"})
    expect_the_interpreters(text);
}

// A layer of no columns whose rows are added up.
TEST(RareShapes, SumsOverTheRowsOfNoColumns) {
  expect_the_interpreters(R"(graph @m(%x: f32[N, 3], %w: f32[3, 0]) -> (f32[N, 0], f32[0]) {
  %m = matmul(%x, %w)
  %y = leaky_relu(%m)
  %s = reduce_sum(%y) {axes = [0]}
  return %y, %s
})",
                          {{"N", 5}});
}

// Sums over a part of what is stored: of its rows, of its columns, and of neither all.
TEST(RareShapes, SumsOverAPartOfTheRows) {
  for (const char* part :
       {"starts = [0, 0], limits = [11, 64]", "starts = [0, 0], limits = [40, 5]",
        "starts = [0, 0], limits = [11, 5]"}) {
    const std::string columns = std::string(part).ends_with("64]") ? "64" : "5";
    for (const char* value : {"matmul(%x, %w)", "exp(%x)", "gelu(%x)"})
      expect_the_interpreters(("graph @m(%x: f32[40, 64], %w: f32[64, 64]) -> (f32[40, 64], f32[" +
                               columns + "]) { " + "%y = " + value + " %p = slice(%y) {" + part +
                               "} %s = reduce_sum(%p) {axes = [0]} " + "return %y, %s }")
                                  .c_str());
  }
  expect_the_interpreters(R"(graph @m(%x: f32[N, 19, 8, 16]) -> (f32[N, 19, 8, 16], f32[N, 8, 16]) {
  %y = tanh(%x)
  %p = slice(%y) {starts = [0, 0, 0, 0], limits = [N, 6, 8, 16]}
  %s = reduce_sum(%p) {axes = [1]}
  return %y, %s
})",
                          {{"N", 3}});
}

// Sums over the rows of what one kernel begins with zeros and another adds to.
TEST(RareShapes, SumsOverTheRowsOfWhatIsScattered) {
  for (const char* text : {R"(graph @m(%x: f32[8, 32], %u: f32[8, 3]) -> (f32[8, 32], f32[32]) {
  %i = constant {value = i64[1, 3] [[3, 31, 3]]}
  %b = broadcast(%i) {shape = [8, 3]}
  %y = scatter_elements(%x, %b, %u) {axis = 1, reduction = "add"}
  %s = reduce_sum(%y) {axes = [0]}
  return %y, %s
})",
                           R"(graph @m(%x: f32[7, 4, 40], %u: f32[7, 1, 40]) -> (f32[4, 40]) {
  %i = constant {value = i64[1, 1, 1] [[[2]]]}
  %b = broadcast(%i) {shape = [7, 1, 40]}
  %y = scatter_elements(%x, %b, %u) {axis = 1}
  %s = reduce_sum(%y) {axes = [0]}
  return %s
})"})
    expect_the_interpreters(text);
}

// Sums over the filters where a tile of all of them was looked at and does not pay; and over rows
// that are computed by the rest of their number.
TEST(RareShapes, SumsOverRowsThatAreNoTile) {
  expect_the_interpreters(
      R"(graph @m(%x: f64[1, 16, 29, 17], %w: f64[2, 16, 4, 1], %f: f64[1, 23, 5]) -> (f64[1, 23, 5]) {
  %a = tanh(%x)
  %c = conv(%a, %w) {strides = [1, 4], dilations = [2, 1], low = [-1, 0], high = [1, 0]}
  %s = reduce_sum(%c) {axes = [1]}
  %y = mul(%s, %f)
  return %y
})");
}

TEST(RareShapes, SumsOverRowsByTheirResidue) {
  expect_the_interpreters(
      R"(graph @m(%x: f32[4, 3, 9, 8], %w: f32[3, 8, 4, 4]) -> (f32[4, 8, 18, 9], f32[4, 8, 9]) {
  %c = conv_transpose(%x, %w) {strides = [2, 1], low = [1, 1], high = [1, 1]}
  %s = reduce_sum(%c) {axes = [2]}
  return %c, %s
})");
}

// A product over a single element, which might lie where the result goes, in columns of which some
// are computed twice.
TEST(RareShapes, ProductsOverASingleElement) {
  expect_the_interpreters(
      R"(graph @m(%x: f64[N, 8, 60, 1], %a: f64[N, 1, 60, 1], %w: f64[1, 1]) -> (f64[N, 8, 60, 1]) {
  %c = cumsum(%x) {axis = 0}
  %p = mul(%c, %a)
  %m = matmul(%p, %w)
  %y = cumsum(%m) {axis = 1}
  return %y
})",
      {{"N", 2}});
}

// A running sum whose channels lie side by side, so that squares of them are turned.
TEST(RareShapes, ARunningSumWhoseChannelsLieSideBySide) {
  expect_the_interpreters(
      R"(graph @m(%x: f64[3, 4, 2, 12], %w: f64[4, 5, 3, 5]) -> (f64[3, 5, 4, 33]) {
  %c = cumsum(%x) {axis = 2, reverse = true}
  %y = conv_transpose(%c, %w) {strides = [1, 2], dilations = [1, 3], high = [0, 2]}
  return %y
})");
}

}  // namespace
}  // namespace weir::test
