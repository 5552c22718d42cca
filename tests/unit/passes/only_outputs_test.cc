#include "compiler/passes/only_outputs.h"

#include "tests/support/graphs.h"

namespace weir {
namespace {

Graph only(const Graph& graph, const std::string& name) {
  return only_outputs(graph, [&](const Graph::Output& output) { return output.name == name; });
}

TEST(OnlyOutputs, KeepsWhatTheyNeed) {
  Graph graph = test::parse(R"(graph @m(%x: f32[N, 4], %wanted: f32[N, 4]) -> (f32[N, 4], f32[]) {
  param %w: f32[4] = normal
  param %unused: f32[2]
  %y = mul(%x, %w)
  %0 = sub(%y, %wanted)
  %loss = reduce_mean(%0)
  return %y, %loss
})");
  EXPECT_EQ(print(only(graph, "y")), R"(graph @m(%x: f32[N, 4]) -> (f32[N, 4]) {
  param %w: f32[4] = normal
  param %unused: f32[2]
  %y = mul(%x, %w)
  return %y
}
)");
  EXPECT_EQ(print(only(graph, "loss")).find("as"), std::string::npos);
}

TEST(OnlyOutputs, KeepsAnInputThatAloneBindsASymbol) {
  Graph graph = test::parse(R"(graph @m(%x: f32[N], %also: f32[N], %y: f32[M]) -> (f32[N], f32[M]) {
  %zero = constant() {value = f32[] 0.0}
  %zeros = broadcast(%zero) {shape = [N]}
  %b = exp(%y)
  return %zeros, %b
})");
  EXPECT_EQ(print(only(graph, "zeros")), R"(graph @m(%x: f32[N], %y: f32[M]) -> (f32[N]) {
  %zero = constant() {value = f32[] 0.0}
  %zeros = broadcast(%zero) {shape = [N]}
  return %zeros
}
)");
}

TEST(OnlyOutputs, KeepsUpdates) {
  Graph graph = test::parse(R"(graph @m(%x: f32[2]) {
  param %w: f32[2]
  %next = add(%w, %x)
  %y = exp(%x)
  return %y, %next updates %w
})");
  Graph kept = only(graph, "w");
  ASSERT_EQ(kept.outputs().size(), 1U);
  EXPECT_TRUE(kept.is_updated(kept.find("w")));
}

}  // namespace
}  // namespace weir
