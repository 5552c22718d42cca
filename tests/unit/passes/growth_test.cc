// Passes take time about proportional to the graph: a hundred thousand nodes of each awkward form
// go through in seconds, where anything quadratic would take many minutes.

#include <ctime>

#include "compiler/passes/pass_manager.h"
#include "ir/builder.h"
#include "tests/support/graphs.h"

namespace weir {
namespace {

// Fewer where each pass is verified too.
const int kNodes = is_checked_build() ? 10000 : 100000;

double seconds_for(const Graph& graph) {
  std::clock_t start = std::clock();
  Graph after = run_passes(graph, default_passes());
  EXPECT_FALSE(after.outputs().empty());
  double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  testing::Test::RecordProperty("milliseconds", static_cast<int>(seconds * 1000));
  return seconds;
}

TEST(Growth, LongChain) {
  GraphBuilder builder("chain");
  Var x = builder.input("x", DType::f32, {Dim::symbol("N"), 16});
  Var y = x;
  for (int i = 0; i < kNodes / 2; ++i)
    y = builder.apply("add", {builder.apply("leaky_relu", {y}), x});
  builder.output("y", y);
  EXPECT_LT(seconds_for(builder.graph()), 60);
}

TEST(Growth, EverythingEqual) {
  GraphBuilder builder("equal");
  Var x = builder.input("x", DType::f32, {4});
  Var y = builder.apply("exp", {x});
  for (int i = 0; i < kNodes / 2; ++i) y = builder.apply("mul", {builder.apply("exp", {x}), y});
  builder.output("y", y);
  EXPECT_LT(seconds_for(builder.graph()), 60);
}

TEST(Growth, EverythingSimplifies) {
  GraphBuilder builder("neutral");
  Var x = builder.input("x", DType::f32, {4});
  Var y = x;
  for (int i = 0; i < kNodes / 2; ++i)
    y = builder.apply("mul",
                      {builder.apply("neg", {y}), builder.scalar(DType::f32, i % 2 == 0 ? 1 : -1)});
  builder.output("y", y);
  EXPECT_LT(seconds_for(builder.graph()), 60);
}

TEST(Growth, EverythingFolds) {
  GraphBuilder builder("constant");
  Var y = builder.scalar(DType::f32, 1);
  for (int i = 0; i < kNodes; ++i) y = builder.apply("sqrt", {y});
  builder.output("y", y);
  EXPECT_LT(seconds_for(builder.graph()), 60);
}

}  // namespace
}  // namespace weir
