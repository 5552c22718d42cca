#include "compiler/passes/simplify.h"

#include "tests/support/graphs.h"

namespace weir {
namespace {

using test::parse;

std::string simplified(std::string_view text) { return print(simplify(parse(text))); }

TEST(Simplify, RemovesNeutralElements) {
  EXPECT_EQ(simplified(R"(graph @m(%x: f32[N, 4]) -> (f32[N, 4]) {
  %one = constant() {value = f32[4] [1.0, 1.0, 1.0, 1.0]}
  %a = mul(%x, %one)
  %b = div(%a, %one)
  %zero = constant() {value = f32[] -0.0}
  %c = add(%zero, %b)
  %y = leaky_relu(%c)
  return %y
})"),
            R"(graph @m(%x: f32[N, 4]) -> (f32[N, 4]) {
  %y = leaky_relu(%x)
  return %y
}
)");
}

TEST(Simplify, LeavesWhatOnlyLooksNeutral) {
  // 0 + x turns -0 into 0, 0 * x keeps NaN, 0 - x is not -x for 0, x - x is NaN for infinity.
  std::string_view text = R"(graph @m(%x: f32[4]) -> (f32[4], f32[4], f32[4], f32[4]) {
  %zero = constant() {value = f32[] 0.0}
  %a = add(%x, %zero)
  %b = mul(%x, %zero)
  %c = sub(%zero, %x)
  %d = sub(%x, %x)
  return %a, %b, %c, %d
})";
  EXPECT_EQ(simplified(text), print(parse(text)));
}

TEST(Simplify, AppliesRulesToWhatRulesMade) {
  EXPECT_EQ(simplified(R"(graph @m(%x: f32[4], %y: f32[4]) -> (f32[4]) {
  %a = neg(%x)
  %b = neg(%a)
  %c = neg(%y)
  %d = neg(%c)
  %e = neg(%d)
  %z = sub(%b, %e)
  return %z
})"),
            R"(graph @m(%x: f32[4], %y: f32[4]) -> (f32[4]) {
  %z = add(%x, %y)
  return %z
}
)");
}

TEST(Simplify, BroadcastsWhatWasBroadcastByTheRemovedOperand) {
  EXPECT_EQ(simplified(R"(graph @m(%x: f32[4]) -> (f32[3, 4]) {
  %one = constant() {value = f32[] 1.0}
  %ones = broadcast(%one) {shape = [3, 4]}
  %y = mul(%x, %ones)
  return %y
})"),
            R"(graph @m(%x: f32[4]) -> (f32[3, 4]) {
  %y = broadcast(%x) {shape = [3, 4]}
  return %y
}
)");
}

TEST(Simplify, ComposesMovement) {
  EXPECT_EQ(
      simplified(
          R"(graph @m(%x: f32[2, 3, 4]) -> (f32[4, 3, 2], f32[24], f32[1, 2, 2], f32[2, 3, 4]) {
  %a = transpose(%x) {permutation = [0, 2, 1]}
  %t = transpose(%a) {permutation = [1, 2, 0]}
  %b = reshape(%x) {shape = [6, 4]}
  %r = reshape(%b) {shape = [24]}
  %c = slice(%x) {starts = [1, 0, 0], limits = [2, 3, 4]}
  %s = slice(%c) {starts = [0, 1, 0], limits = [1, 3, 4], strides = [1, 1, 2]}
  %d = transpose(%x)
  %u = transpose(%d)
  return %t, %r, %s, %u
})"),
      R"(graph @m(%x: f32[2, 3, 4]) -> (f32[4, 3, 2], f32[24], f32[1, 2, 2], f32[2, 3, 4]) {
  %t = transpose(%x) {permutation = [2, 1, 0]}
  %r = reshape(%x) {shape = [24]}
  %s = slice(%x) {starts = [1, 1, 0], limits = [2, 3, 4], strides = [1, 1, 2]}
  return %t, %r, %s, %x as "u"
}
)");
}

TEST(Simplify, KeepsTheOutputsNamesAndLocations) {
  Graph graph =
      parse("graph @m(%x: f32[4]) -> (f32[4]) {\n  %a = neg(%x)\n  %y = abs(%a)\n  return %y\n}");
  Graph after = simplify(graph);
  ASSERT_EQ(after.nodes().size(), 1u);
  EXPECT_EQ(after.nodes()[0].location.to_string(), graph.nodes()[1].location.to_string());
  EXPECT_EQ(after.outputs()[0].name, "y");
}

}  // namespace
}  // namespace weir
