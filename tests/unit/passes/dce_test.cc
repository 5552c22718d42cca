#include "compiler/passes/dce.h"

#include "tests/support/graphs.h"

namespace weir {
namespace {

TEST(Dce, RemovesWhatNoOutputNeeds) {
  Graph graph = test::parse(R"(graph @m(%x: f32[4], %unused: f32[2]) -> (f32[4]) {
  param %w: f32[4]
  %a = exp(%x)
  %b = mul(%a, %w)
  %c = neg(%a)
  %d = tanh(%b)
  return %c
})");
  EXPECT_EQ(print(dce(graph)), R"(graph @m(%x: f32[4], %unused: f32[2]) -> (f32[4]) {
  param %w: f32[4]
  %a = exp(%x)
  %c = neg(%a)
  return %c
}
)");
}

TEST(Dce, KeepsOutputsThatAreInputs) {
  Graph graph = test::parse("graph @m(%x: f32[4]) -> (f32[4]) {\n  %y = neg(%x)\n  return %x\n}");
  Graph after = dce(graph);
  EXPECT_TRUE(after.nodes().empty());
  test::expect_same_results(graph, after, 1);
}

TEST(Dce, ChangesNothingWhereEverythingIsNeeded) {
  Graph graph = test::parse(R"(graph @m(%x: f32[N]) -> (f32[N], f32[N]) {
  %0 = exp(%x)
  %y = neg(%0)
  return %y, %0 as "e"
})");
  EXPECT_EQ(print(dce(graph)), print(graph));
}

}  // namespace
}  // namespace weir
