#include "compiler/passes/fold.h"

#include <algorithm>

#include "compiler/passes/dce.h"
#include "ir/op.h"
#include "tests/support/graphs.h"

namespace weir {
namespace {

using test::parse;

TEST(Fold, ComputesWhatIsConstant) {
  Graph graph = parse(R"(graph @m(%x: f32[2]) -> (f32[2]) {
  %a = constant() {value = f32[2] [1.0, -2.0]}
  %b = constant() {value = f32[] 3.0}
  %c = mul(%a, %b)
  %d = leaky_relu(%c) {negative_slope = 0.5}
  %y = add(%x, %d)
  return %y
})");
  EXPECT_EQ(print(dce(fold(graph))), R"(graph @m(%x: f32[2]) -> (f32[2]) {
  %d = constant() {value = f32[2] [3.0, -3.0]}
  %y = add(%x, %d)
  return %y
}
)");
}

TEST(Fold, UsesTheCompiledNumerics) {
  Graph graph = parse(R"(graph @m() -> (f32[3]) {
  %a = constant() {value = f32[3] [0.1, -7.3, 88.0]}
  %y = exp(%a)
  return %y
})");
  Graph after = fold(graph);
  ASSERT_EQ(after.nodes().back().op->name, "constant");
  test::expect_same_results(graph, after, 1);
}

TEST(Fold, LeavesWhatWouldGrow) {
  Graph graph = parse(R"(graph @m() -> (f32[1000], i64[1000], f32[1000]) {
  %a = constant() {value = f32[] 1.5}
  %b = broadcast(%a) {shape = [1000]}
  %i = iota() {shape = [1000]}
  %e = exp(%a)
  %c = broadcast(%e) {shape = [1000]}
  return %b, %i, %c
})");
  Graph after = dce(fold(graph));
  std::vector<std::string> ops;
  for (const Node& node : after.nodes()) ops.push_back(node.op->name);
  EXPECT_EQ(ops,
            (std::vector<std::string>{"constant", "broadcast", "iota", "constant", "broadcast"}));
}

TEST(Fold, PassesThroughBroadcastsOfOneNumberEvenWithSymbols) {
  Graph graph = parse(R"(graph @m(%x: f32[N, 2]) -> (f32[N, 2]) {
  %one = constant() {value = f32[] 1.0}
  %ones = broadcast(%one) {shape = [N, 2]}
  %minus = neg(%ones)
  %y = mul(%x, %minus)
  return %y
})");
  EXPECT_EQ(print(dce(fold(graph))), R"(graph @m(%x: f32[N, 2]) -> (f32[N, 2]) {
  %0 = constant() {value = f32[] -1.0}
  %minus = broadcast(%0) {shape = [N, 2]}
  %y = mul(%x, %minus)
  return %y
}
)");
}

TEST(Fold, LeavesWhatTakesLong) {
  Attributes value{{"value", std::make_shared<const Tensor>(DType::f32, Tensor::Sizes{256, 256})}};
  GraphBuilder builder;
  Var a = builder.apply("constant", {}, value);
  builder.output("y", builder.apply("matmul", {a, a}));
  EXPECT_EQ(fold(builder.graph()).nodes().back().op->name, "matmul");
}

TEST(Fold, LeavesParamsAndInputs) {
  Graph graph = parse(R"(graph @m(%x: f32[2]) -> (f32[2], f32[2]) {
  param %w: f32[2]
  %a = neg(%x)
  %b = neg(%w)
  return %a, %b
})");
  EXPECT_EQ(print(fold(graph)), print(graph));
}

TEST(Fold, KeepsNaNAndSignedZero) {
  Graph graph = parse(R"(graph @m() -> (f32[4], bool[4], i32[4]) {
  %a = constant() {value = f32[4] [-0.0, nan, inf, -1e-45]}
  %b = constant() {value = f32[4] [0.0, 1.0, -inf, 0.5]}
  %s = add(%a, %b)
  %l = less(%a, %b)
  %i = cast(%a) {dtype = i32}
  return %s, %l, %i
})");
  Graph after = fold(graph);
  for (const Graph::Output& output : after.outputs())
    EXPECT_EQ(after.node(after.value(output.value).producer).op->name, "constant");
  test::expect_same_results(graph, after, 1);
}

}  // namespace
}  // namespace weir
