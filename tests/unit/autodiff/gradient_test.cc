// The structure of gradient graphs, and the errors.

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "ir/registry.h"
#include "tests/unit/autodiff/gradients.h"

namespace weir {
namespace {

using test::error_of;
using test::parse;
using ::testing::HasSubstr;
using Names = std::vector<std::string>;

Graph gradient_wrt(const Graph& graph, const Names& wrt, const GradientOptions& options = {}) {
  return gradient(graph, wrt, options);
}

std::vector<std::string> ops_of(const Graph& graph) {
  std::vector<std::string> result;
  for (const Node& node : graph.nodes()) result.push_back(node.op->name);
  return result;
}

TEST(Gradient, UsesPlainOpsWhereTheyAreTheDerivative) {
  Graph graph = parse(R"(graph @m(%x: f32[4], %y: f32[4], %g: f32[4]) -> (f32[4]) {
  %a = add(%x, %y)
  %b = mul(%a, %y)
  %c = sub(%b, %x)
  %d = neg(%c)
  %e = exp(%d)
  %f = div(%e, %y)
  %z = mul(%f, %g)
  return %z
})");
  EXPECT_EQ(print(gradient_wrt(graph, {"x"})),
            R"(graph @m(%x: f32[4], %y: f32[4], %g: f32[4]) -> (f32[4], f32[4]) {
  %a = add(%x, %y)
  %b = mul(%a, %y)
  %c = sub(%b, %x)
  %d = neg(%c)
  %e = exp(%d)
  %f = div(%e, %y)
  %z = mul(%f, %g)
gradient:
  %0 = constant() {value = f32[] 1.0}
  %1 = broadcast(%0) {shape = [4]}
  %2 = mul(%g, %1)
  %3 = div(%2, %y)
  %4 = mul(%e, %3)
  %5 = neg(%4)
  %6 = neg(%5)
  %7 = mul(%y, %5)
  %8 = add(%6, %7)
  return %z, %8 as "grad_x"
}
)");
}

TEST(Gradient, SumsOverBroadcastAxes) {
  Graph graph = parse(
      R"(graph @m(%x: f64[N, 4], %row: f64[4], %column: f64[N, 1], %scalar: f64[]) -> (f64[N, 4]) {
  %a = mul(%x, %row)
  %b = mul(%a, %column)
  %c = mul(%b, %scalar)
  %y = tanh(%c)
  return %y
})");
  Graph after = gradient_wrt(graph, {"row", "column", "scalar"});
  EXPECT_EQ(to_string(after.type(after.outputs()[1].value)), "f64[4]");
  EXPECT_EQ(to_string(after.type(after.outputs()[2].value)), "f64[N, 1]");
  EXPECT_EQ(to_string(after.type(after.outputs()[3].value)), "f64[]");
  for (std::uint64_t seed = 0; seed < 5; ++seed)
    test::expect_gradient_matches_differences(graph, seed);
}

TEST(Gradient, AddsTheContributionsOfEveryUse) {
  Graph graph = parse(R"(graph @m(%x: f64[3]) -> (f64[3], f64[3], f64[]) {
  %a = mul(%x, %x)
  %b = mul(%a, %x)
  %c = sub(%b, %a)
  %s = reduce_sum(%x)
  return %c, %x, %s
})");
  test::expect_gradient_matches_differences(graph, 3);
  EXPECT_EQ(print(gradient_wrt(graph, {"x"})), print(gradient_wrt(graph, {"x"})));
}

TEST(Gradient, VisitsOnlyTheWayFromInputsToOutputs) {
  Graph graph = parse(R"(graph @m(%x: f32[4], %y: f32[4]) -> (f32[4]) {
  %a = exp(%y)
  %b = sin(%x)
  %c = tanh(%x)
  %z = mul(%a, %b)
  return %z
})");
  Names ops = ops_of(gradient_wrt(graph, {"x"}));
  EXPECT_EQ(Names(ops.begin() + 4, ops.end()), (Names{"constant", "broadcast", "mul", "sin.grad"}));
}

TEST(Gradient, IsZeroWhereNothingDepends) {
  Graph graph = parse(R"(graph @m(%x: f32[N, 2], %y: f32[N]) -> (f32[N]) {
  param %unused: f32[2]
  %a = less(%x, %x)
  %b = cast(%a) {dtype = f32}
  %c = reduce_sum(%b) {axes = [1]}
  %z = add(%y, %c)
  return %z
})");
  Inputs inputs{{"x", Tensor(DType::f32, {3, 2})}, {"y", Tensor(DType::f32, {3})}};
  Weights weights{{"unused", Tensor(DType::f32, {2})}};
  for (const std::string name : {"x", "unused"}) {
    Tensor zeros = test::gradient_of(graph, name, inputs, weights);
    for (float each : zeros.elements<float>()) EXPECT_EQ(each, 0.0f);
  }
  Tensor ones = test::gradient_of(graph, "y", inputs, weights);
  for (float each : ones.elements<float>()) EXPECT_EQ(each, 1.0f);
}

TEST(Gradient, IsOfTheChosenOutputs) {
  Graph graph = parse(R"(graph @m(%x: f64[3]) -> (f64[3], f64[], i32[3]) {
  %a = exp(%x)
  %b = mul(%x, %x)
  %loss = reduce_sum(%b)
  %i = cast(%x) {dtype = i32}
  return %a, %loss, %i
})");
  Inputs inputs{{"x", Tensor::from<double>({1.0, -2.0, 0.5}, {3})}};
  Tensor result = test::gradient_of(graph, "x", inputs, {}, {{"loss"}});
  EXPECT_THAT(result.elements<double>(), testing::ElementsAre(2.0, -4.0, 1.0));
}

TEST(Gradient, PassesThroughComposites) {
  Graph graph = parse(R"(graph @m(%x: f64[N, 5], %s: f64[5], %t: f64[5]) -> (f64[N, 2], f64[N]) {
  param %w: f64[2, 5]
  param %b: f64[2]
  %n = layer_norm(%x, %s, %t)
  %p = softmax(%n)
  %y = linear(%p, %w, %b)
  %l = log_softmax(%y)
  %m = reduce_mean(%x) {axes = [1]}
  %q = mul(%m, %m)
  return %l, %q
})");
  for (std::uint64_t seed = 0; seed < 3; ++seed)
    test::expect_gradient_matches_differences(graph, seed, 1e-5);
}

TEST(Gradient, PassesThroughConversions) {
  Graph graph = parse(R"(graph @m(%x: f64[4]) -> (f32[4]) {
  %a = cast(%x) {dtype = f32}
  %y = mul(%a, %a)
  return %y
})");
  Inputs inputs{{"x", Tensor::from<double>({1.0, -2.0, 0.5, 3.0}, {4})}};
  EXPECT_THAT(test::gradient_of(graph, "x", inputs).elements<double>(),
              testing::ElementsAre(2.0, -4.0, 1.0, 6.0));
}

TEST(Gradient, MarksTheLocationsOfItsNodes) {
  Graph graph = parse(
      "graph @m(%x: f32[4]) -> (f32[4]) {\n  %h = softmax(%x)\n  %y = tanh(%h)\n  return %y\n}");
  Graph after = gradient_wrt(graph, {"x"});
  for (std::size_t i = graph.nodes().size(); i < after.nodes().size(); ++i) {
    std::string place = after.nodes()[i].location.to_string();
    EXPECT_TRUE(place.starts_with("gradient of test.weir:2:") ||
                place.starts_with("gradient of test.weir:3:"))
        << after.nodes()[i].op->name << ": " << place;
  }
}

TEST(Gradient, PutsFurtherPrefixesBeforeNamesThatAreTaken) {
  Graph graph = parse("graph @m(%x: f32[4]) -> (f32[4]) {\n  %y = tanh(%x)\n  return %y\n}");
  Graph twice = gradient_wrt(gradient_wrt(graph, {"x"}), {"x"}, {{"grad_x"}});
  EXPECT_EQ(twice.outputs()[1].name, "grad_x");
  EXPECT_EQ(twice.outputs()[2].name, "grad_grad_x");
}

TEST(GradientError, NamesWhatThereIsToDifferentiateBy) {
  Graph graph = parse(R"(graph @m(%x: f32[4], %i: i64[4]) -> (f32[4]) {
  param %w: f32[4]
  %y = mul(%x, %w)
  return %y
})");
  EXPECT_THAT(
      error_of([&] { gradient_wrt(graph, {"v"}); }),
      HasSubstr(
          "v is not an input or param of m, so there is no gradient with respect to it; inputs: "
          "x, i; params: w"));
  EXPECT_THAT(error_of([&] { gradient_wrt(graph, {"y"}); }),
              HasSubstr("y is not an input or param"));
  EXPECT_THAT(error_of([&] { gradient_wrt(graph, {"i"}); }),
              HasSubstr("i has the type i64[4], and only floating-point values have a gradient"));
  EXPECT_THAT(error_of([&] { gradient_wrt(graph, {"x", "w", "x"}); }),
              HasSubstr("x is asked for twice"));
}

TEST(GradientError, NamesTheOutputs) {
  Graph graph = parse("graph @m(%x: f32[4]) -> (bool[4]) {\n  %y = less(%x, %x)\n  return %y\n}");
  EXPECT_THAT(
      error_of([&] { gradient_wrt(graph, {"x"}); }),
      HasSubstr("m has no floating-point output to differentiate; its outputs: y (bool[4])"));
  EXPECT_THAT(error_of([&] { gradient_wrt(graph, {"x"}, {{"loss"}}); }),
              HasSubstr("m has no output loss; its outputs: y (bool[4])"));
  EXPECT_THAT(error_of([&] { gradient_wrt(graph, {"x"}, {{"y"}}); }),
              HasSubstr("the output y has the type bool[4]"));
}

TEST(GradientError, NamesTheNodeWithoutAGradientAndItsReason) {
  Graph graph = parse(R"(graph @m(%x: f32[4]) -> (f32[4]) {
  %h = exp(%x)
  %f = floor(%h)
  %y = neg(%f)
  return %y
})");
  std::string message = error_of([&] { gradient_wrt(graph, {"x"}); });
  EXPECT_THAT(message, HasSubstr("test.weir:3:"));
  EXPECT_THAT(message, HasSubstr("floor has no gradient: it is a step function"));
  EXPECT_THAT(message,
              HasSubstr("the path from the outputs to %x is %y = neg, %f = floor, %h = exp"));
}

// The ends of a long path, and the node wherever it lies; what does not lead to it is no part of
// it.
TEST(GradientError, ShortensALongPath) {
  std::string text =
      "graph @m(%x: f32[4], %z: f32[4]) -> (f32[4], f32[4]) {\n  %a0 = mul(%x, %z)\n";
  for (int i = 1; i < 9; ++i) text += fmt::format("  %a{} = exp(%a{})\n", i, i - 1);
  text += "  %f = floor(%a8)\n  %0 = neg(%f)\n  %b1 = add(%z, %0)\n";
  for (int i = 2; i < 11; ++i) text += fmt::format("  %b{} = tanh(%b{})\n", i, i - 1);
  Graph graph = parse(text + "  %c = neg(%z)\n  return %c, %b10\n}");
  EXPECT_THAT(error_of([&] { gradient_wrt(graph, {"x"}); }),
              HasSubstr("the path from the outputs to %x is %b10 = tanh, %b9 = tanh, %b8 = tanh, "
                        "... 5 more ..., %b2 = tanh, %b1 = add, neg, %f = floor, %a8 = exp, "
                        "%a7 = exp, %a6 = exp, ... 3 more ..., %a2 = exp, %a1 = exp, %a0 = mul"));
}

TEST(GradientError, IsNotRaisedOffTheWay) {
  Graph graph = parse(R"(graph @m(%x: f32[4], %y: f32[4]) -> (f32[4]) {
  %f = floor(%y)
  %z = mul(%x, %f)
  return %z
})");
  EXPECT_EQ(error_of([&] { gradient_wrt(graph, {"x"}); }), "no error");
  EXPECT_NE(error_of([&] { gradient_wrt(graph, {"y"}); }), "no error");
}

}  // namespace
}  // namespace weir
