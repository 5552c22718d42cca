#include "compiler/passes/decompose.h"

#include "ir/op.h"
#include "tests/support/graphs.h"

namespace weir {
namespace {

using test::parse;

TEST(Decompose, ReplacesACompositeByItsBody) {
  Graph graph = parse(R"(graph @m(%x: f32[N, 4]) -> (f32[N, 4]) {
  %y = softmax(%x) {axis = 1}
  return %y
})");
  EXPECT_EQ(print(decompose(graph)), R"(graph @m(%x: f32[N, 4]) -> (f32[N, 4]) {
  %0 = reduce_max(%x) {axes = [1], keep_dims = true}
  %1 = sub(%x, %0)
  %2 = exp(%1)
  %3 = reduce_sum(%2) {axes = [1], keep_dims = true}
  %y = div(%2, %3)
  return %y
}
)");
}

TEST(Decompose, ReachesBodiesInBodies) {
  Graph graph = parse(R"(graph @m(%x: f32[2, 3, N]) -> (f32[3]) {
  %y = reduce_mean(%x) {axes = [0, 2]}
  return %y
})");
  Graph after = decompose(graph);
  for (const Node& node : after.nodes()) {
    std::vector<TensorType> types = types_of(after, node.operands);
    EXPECT_FALSE(node.op->composite_for({node.op, types, node.attributes})) << node.op->name;
  }
  test::expect_same_results(graph, after, 1);
}

TEST(Decompose, KeepsTheLocationOfTheNode) {
  Graph graph = parse("graph @m(%x: f32[4]) -> (f32[4]) {\n  %y = log_softmax(%x)\n  return %y\n}");
  Graph after = decompose(graph);
  for (const Node& node : after.nodes())
    EXPECT_EQ(node.location.to_string(), graph.nodes()[0].location.to_string()) << node.op->name;
}

TEST(Decompose, KeepsEveryBit) {
  Graph graph = parse(R"(graph @m(%x: f32[N, 5], %s: f32[5]) -> (f32[N, 2], f32[N, 5]) {
  param %w: f32[2, 5]
  param %b: f32[2]
  %n = layer_norm(%x, %s)
  %p = softmax(%n)
  %y = linear(%p, %w, %b)
  return %y, %n
})");
  for (std::uint64_t seed = 0; seed < 20; ++seed)
    test::expect_same_results(graph, decompose(graph), seed, seed % 2 == 0);
}

TEST(Decompose, LeavesTheOthersAlone) {
  Graph graph = parse(R"(graph @m(%x: f32[N, 4]) -> (f32[N, 4], f32[N, 4]) {
  %y = softmax(%x)
  %z = log_softmax(%x)
  return %y, %z
})");
  Graph after = decompose_if(
      graph, [&](NodeId id) { return graph.node(id).op->name == "softmax"; },
      [](const OpDef&) { return true; });
  EXPECT_EQ(after.nodes().back().op->name, "log_softmax");
  EXPECT_EQ(after.nodes().size(), 6u);
}

}  // namespace
}  // namespace weir
