#include "compiler/passes/reshape_first.h"

#include "tests/support/graphs.h"

namespace weir {
namespace {

TEST(ReshapeFirst, AppliesTheActivationBehindTheReshapeThatItsGradientAsksFor) {
  Graph graph =
      test::parse(R"(graph @m(%x: f32[N, 4, 2, 2], %up: f32[N, 16]) -> (f32[N, 16], f32[N, 16]) {
  %a = leaky_relu(%x)
  %flat = reshape(%a) {shape = [N, 16]}
  %flat_x = reshape(%x) {shape = [N, 16]}
  %grad = leaky_relu.grad(%flat_x, %up)
  return %flat, %grad
})");
  Graph after = reshape_first(graph);
  EXPECT_EQ(print(after),
            R"(graph @m(%x: f32[N, 4, 2, 2], %up: f32[N, 16]) -> (f32[N, 16], f32[N, 16]) {
  %a = leaky_relu(%x)
  %0 = reshape(%x) {shape = [N, 16]}
  %flat = leaky_relu(%0)
  %flat_x = reshape(%x) {shape = [N, 16]}
  %grad = leaky_relu.grad(%flat_x, %up)
  return %flat, %grad
}
)");
  test::expect_same_results(graph, after, 1);
}

TEST(ReshapeFirst, LeavesWhatIsReadAsItWas) {
  Graph graph =
      test::parse(R"(graph @m(%x: f32[N, 4, 2, 2]) -> (f32[N, 4, 2, 2], f32[N, 16], f32[N, 16]) {
  %a = leaky_relu(%x)
  %flat = reshape(%a) {shape = [N, 16]}
  %flat_x = reshape(%x) {shape = [N, 16]}
  return %a, %flat, %flat_x
})");
  EXPECT_EQ(print(reshape_first(graph)), print(graph));
}

TEST(ReshapeFirst, LeavesAnOperandThatIsAskedForInAnotherShape) {
  Graph graph = test::parse(R"(graph @m(%x: f32[N, 4, 2, 2]) -> (f32[N, 16], f32[N, 4, 4]) {
  %a = leaky_relu(%x)
  %flat = reshape(%a) {shape = [N, 16]}
  %other_x = reshape(%x) {shape = [N, 4, 4]}
  return %flat, %other_x
})");
  EXPECT_EQ(print(reshape_first(graph)), print(graph));
}

}  // namespace
}  // namespace weir
