// The gradient of LeakyReLU: the published examples, and what other implementations get wrong.

#include <bit>

#include "ir/builder.h"
#include "tests/unit/autodiff/gradients.h"

namespace weir {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// y = leaky_relu(x), whose output is multiplied by `upstream`, which is so its cotangent.
Graph weighted_leaky_relu(double slope) {
  GraphBuilder builder;
  Var x = builder.input("x", DType::f32, {Dim::symbol("N")});
  Var upstream = builder.input("upstream", DType::f32, {Dim::symbol("N")});
  Var y = builder.apply("leaky_relu", {x}, {{"negative_slope", slope}});
  builder.output("z", y * upstream);
  return builder.graph();
}

void expect_bits(std::span<const float> actual, const std::vector<float>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_TRUE(
        scalar::same_value(DType::f32, scalar::from_f32(actual[i]), scalar::from_f32(expected[i])))
        << "element " << i << " is " << actual[i] << " instead of " << expected[i];
}

void expect_gradient(double slope, const std::vector<float>& x, const std::vector<float>& upstream,
                     const std::vector<float>& expected) {
  auto size = static_cast<std::int64_t>(x.size());
  Inputs inputs{{"x", Tensor::from<float>(x, {size})},
                {"upstream", Tensor::from<float>(upstream, {size})}};
  Tensor gradient = test::gradient_of(weighted_leaky_relu(slope), "x", inputs);
  expect_bits(gradient.elements<float>(), expected);
}

TEST(LeakyRelu, FirstPublishedExample) {
  Graph graph = test::parse(
      "graph @m(%x: f32[1, 4]) -> (f32[1, 4]) {\n  %y = leaky_relu(%x)\n  return %y\n}");
  std::vector<std::string> wrt{"x"};
  Inputs inputs{{"x", Tensor::from<float>({-1.0f, 2.0f, -0.5f, 3.0f}, {1, 4})}};
  std::vector<Tensor> results = interpret(gradient(graph, wrt), {}, inputs);
  expect_bits(results[0].elements<float>(), {-0.01f, 2.0f, -0.005f, 3.0f});
  expect_bits(results[1].elements<float>(), {0.01f, 1.0f, 0.01f, 1.0f});
}

TEST(LeakyRelu, SecondPublishedExampleWithItsFormulaAtZero) {
  Graph graph = test::parse(R"(graph @m(%x: f32[1, 4]) -> (f32[1, 4]) {
  %y = leaky_relu(%x) {negative_slope = 0.1}
  return %y
})");
  std::vector<std::string> wrt{"x"};
  Inputs inputs{{"x", Tensor::from<float>({-2.0f, 0.0f, 1.5f, -3.0f}, {1, 4})}};
  std::vector<Tensor> results = interpret(gradient(graph, wrt), {}, inputs);
  expect_bits(results[0].elements<float>(), {-0.2f, 0.0f, 1.5f, 0.1f * -3.0f});
  expect_bits(results[1].elements<float>(), {0.1f, 0.1f, 1.0f, 0.1f});
}

TEST(LeakyRelu, ThirdPublishedExampleAfterALinearLayer) {
  Graph graph = test::parse(R"(graph @m(%x: f32[1, 3]) -> (f32[1, 2]) {
  param %w: f32[2, 3]
  param %b: f32[2]
  %h = linear(%x, %w, %b)
  %y = leaky_relu(%h) {negative_slope = 0.05}
  return %y
})");
  Inputs inputs{{"x", Tensor::from<float>({0.5f, -1.2f, 3.3f}, {1, 3})}};
  Weights weights{{"w", Tensor::from<float>({1.0f, 2.0f, 0.5f, -1.0f, 0.25f, -2.0f}, {2, 3})},
                  {"b", Tensor::from<float>({0.5f, 0.5f}, {2})}};
  // The first row gives 0.25, above 0; the second -6.9, below: its share is 0.05 of its weights.
  expect_bits(test::gradient_of(graph, "x", inputs, weights).elements<float>(),
              {0.05f * -1.0f + 1.0f, 0.05f * 0.25f + 2.0f, 0.05f * -2.0f + 0.5f});
  expect_bits(test::gradient_of(graph, "b", inputs, weights).elements<float>(), {1.0f, 0.05f});
  expect_bits(test::gradient_of(graph, "w", inputs, weights).elements<float>(),
              {0.5f, -1.2f, 3.3f, 0.05f * 0.5f, 0.05f * -1.2f, 0.05f * 3.3f});
}

TEST(LeakyRelu, ZeroAndNaNTakeTheSlope) {
  expect_gradient(0.25, {0.0f, -0.0f, 1e-45f, -1e-45f, kNaN, kInfinity, -kInfinity},
                  std::vector(7, 1.0f), {0.25f, 0.25f, 1.0f, 0.25f, 0.25f, 1.0f, 0.25f});
}

TEST(LeakyRelu, NegativeSlopesAndSlopesAboveOneLookAtTheInput) {
  expect_gradient(-0.5, {2.0f, -2.0f, 0.0f}, {3.0f, 3.0f, 3.0f}, {3.0f, -1.5f, -1.5f});
  expect_gradient(4.0, {2.0f, -2.0f, 0.0f}, {3.0f, 3.0f, 3.0f}, {3.0f, 12.0f, 12.0f});
}

TEST(LeakyRelu, TheBranchNotTakenHasNoInfluence) {
  // With slope 0 a mask multiplied in would give infinity * 0 on the positive side too.
  expect_gradient(0.0, {1.0f, 1.0f, 1.0f, 1.0f}, {kInfinity, -kInfinity, kNaN, -0.0f},
                  {kInfinity, -kInfinity, kNaN, -0.0f});
  expect_gradient(0.0, {-1.0f, -1.0f, 0.0f}, {2.0f, -2.0f, kInfinity}, {0.0f, -0.0f, kNaN});
}

TEST(LeakyRelu, EveryUpstreamKeepsItsBits) {
  for (float x : {1.0f, -1.0f, 0.0f, -0.0f, kNaN, 1e-40f, -1e-40f, kInfinity, -kInfinity})
    for (float upstream : {1.0f, -0.0f, kInfinity, kNaN, 1e-40f})
      expect_gradient(0.01, {x}, {upstream}, {x > 0 ? upstream : 0.01f * upstream});
}

TEST(LeakyRelu, IsOneNodeInTheGraph) {
  std::vector<std::string> wrt{"x"};
  EXPECT_EQ(print(gradient(weighted_leaky_relu(0.2), wrt)),
            R"(graph @main(%x: f32[N], %upstream: f32[N]) -> (f32[N], f32[N]) {
  %0 = leaky_relu(%x) {negative_slope = 0.2}
  %1 = mul(%0, %upstream)
gradient:
  %2 = constant() {value = f32[] 1.0}
  %3 = broadcast(%2) {shape = [N]}
  %4 = mul(%upstream, %3)
  %5 = leaky_relu.grad(%x, %4) {negative_slope = 0.2}
  return %1 as "z", %5 as "grad_x"
}
)");
}

}  // namespace
}  // namespace weir
