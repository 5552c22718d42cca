#include "compiler/passes/cse.h"

#include "tests/support/graphs.h"

namespace weir {
namespace {

using test::parse;

TEST(Cse, ComputesEqualNodesOnce) {
  Graph graph = parse(R"(graph @m(%x: f32[4], %y: f32[4]) -> (f32[4]) {
  %a = mul(%x, %y)
  %b = mul(%x, %y)
  %c = exp(%a)
  %d = exp(%b)
  %e = add(%c, %d)
  return %e
})");
  EXPECT_EQ(print(cse(graph)), R"(graph @m(%x: f32[4], %y: f32[4]) -> (f32[4]) {
  %a = mul(%x, %y)
  %c = exp(%a)
  %e = add(%c, %c)
  return %e
}
)");
}

TEST(Cse, TellsAttributesAndOperandOrderApart) {
  Graph graph =
      parse(R"(graph @m(%x: f32[4], %y: f32[4]) -> (f32[4], f32[4], f32[4], f32[4], f32[4]) {
  %a = leaky_relu(%x) {negative_slope = 0.01}
  %b = leaky_relu(%x) {negative_slope = 0.02}
  %c = sub(%x, %y)
  %d = sub(%y, %x)
  %e = leaky_relu(%x)
  return %a, %b, %c, %d, %e
})");
  Graph after = cse(graph);
  EXPECT_EQ(after.nodes().size(), 4u);
  EXPECT_EQ(after.outputs()[4].value, after.outputs()[0].value);
  EXPECT_EQ(after.outputs()[4].name, "e");
  test::expect_same_results(graph, after, 1, true);
}

TEST(Cse, ComparesConstantsByTheirBits) {
  Graph graph = parse(R"(graph @m(%x: f32[2]) -> (f32[2], f32[2], f32[2], f32[2]) {
  %a = constant() {value = f32[] 0.0}
  %b = constant() {value = f32[] -0.0}
  %c = constant() {value = f32[] 0.0}
  %d = constant() {value = f32[1] [0.0]}
  %p = div(%x, %a)
  %q = div(%x, %b)
  %r = div(%x, %c)
  %s = div(%x, %d)
  return %p, %q, %r, %s
})");
  Graph after = cse(graph);
  EXPECT_EQ(after.nodes().size(), 6u);
  EXPECT_EQ(after.outputs()[0].value, after.outputs()[2].value);
  test::expect_same_results(graph, after, 2, true);
}

}  // namespace
}  // namespace weir
