// Shapes and values at which ways of lowering meet that are seldom in one kernel, each with the fault
// that it once was. Compiled at every vector level of the machine, and on threads.
#include <optional>

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

}  // namespace
}  // namespace weir::test
