// First values: the moments of what each initializer draws, and which initializer a param gets.

#include "compiler/initialize.h"

#include <cmath>
#include <numbers>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/text.h"
#include "tests/support/error_of.h"
#include "tests/support/graphs.h"

namespace weir {
namespace {

using test::error_of;
using ::testing::HasSubstr;

TEST(Initialize, DrawsWhatTheFormulasSay) {
  struct Case {
    Initializer initializer;
    double mean, variance, largest;
  };
  constexpr double kUnbounded = 1e9;
  const std::vector<Case> cases{
      {{"zeros"}, 0, 0, 0},
      {{"constant", {{"value", -0.5}}}, -0.5, 0, 0.5},
      {{"uniform", {{"low", -1.0}, {"high", 3.0}}}, 1, 16.0 / 12, 3},
      {{"normal", {{"mean", 2.0}, {"deviation", 3.0}}}, 2, 9, kUnbounded},
      {{"xavier"}, 0, 2.0 / (20 * 9 + 50 * 9), std::sqrt(6.0 / (20 * 9 + 50 * 9))},
      {{"xavier", {{"transposed", true}}}, 0, 2.0 / (20 * 9 + 50 * 9), 1},
      {{"he"}, 0, 2.0 / (1.0001 * 20 * 9), std::sqrt(6.0 / (1.0001 * 20 * 9))},
      {{"he", {{"negative_slope", -0.5}}},
       0,
       2.0 / (1.25 * 20 * 9),
       std::sqrt(6.0 / (1.25 * 20 * 9))},
      {{"he", {{"negative_slope", std::int64_t{0}}, {"transposed", true}}},
       0,
       2.0 / (50 * 9),
       std::sqrt(6.0 / (50 * 9))},
      {{"he", {{"distribution", "normal"}}}, 0, 2.0 / (1.0001 * 20 * 9), kUnbounded},
  };
  const TensorType type{DType::f64, {50, 20, 3, 3}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.initializer.name);
    std::mt19937_64 random(1);
    Tensor tensor = initial_value(type, c.initializer, random);
    auto count = static_cast<double>(tensor.element_count());
    double sum = 0, squares = 0, largest = 0;
    for (double x : tensor.elements<double>()) {
      sum += x;
      squares += (x - c.mean) * (x - c.mean);
      largest = std::max(largest, std::fabs(x));
    }
    EXPECT_NEAR(sum / count, c.mean, 4 * std::sqrt(c.variance / count));
    EXPECT_NEAR(squares / count, c.variance, 0.05 * c.variance);
    EXPECT_LE(largest, c.largest);
    if (c.largest < kUnbounded) {
      EXPECT_GE(largest, 0.99 * std::min(c.largest, std::sqrt(3 * c.variance)));
    }
  }
}

TEST(Initialize, DrawsFromTheStandardsGenerator) {
  std::mt19937_64 random(3), again(3);
  auto unit = [&] { return static_cast<double>(again() >> 11) * 0x1p-53; };
  Tensor uniform =
      initial_value({DType::f64, {400}}, {"uniform", {{"low", -1.0}, {"high", 3.0}}}, random);
  for (double x : uniform.elements<double>()) EXPECT_EQ(x, -1 + 4 * unit());
  Tensor normal = initial_value({DType::f64, {400}}, {"normal", {{"deviation", 2.0}}}, random);
  for (double x : normal.elements<double>()) {
    double radius = std::sqrt(-2 * std::log(1 - unit()));
    EXPECT_NEAR(x, 2 * radius * std::cos(2 * std::numbers::pi * unit()), 1e-14);
  }
}

TEST(Initialize, TakesWhatIsDeclaredWithTheParam) {
  Model model{test::parse(R"(graph @g(%x: f32[N, 2]) -> (f32[N, 3]) {
  param %w: f32[3, 2] = constant {value = 0.25}
  param %b: f32[3] = uniform {low = 1, high = 2}
  param %count: i64[] = constant {value = 7}
  param %other: f32[3, 2]
  param %none: f32[3]
  %y = linear(%x, %w, %b)
  return %y
})"),
              {}};
  initialize(model, {"constant", {{"value", 4.0}}}, 7);
  EXPECT_EQ(model.weights.at("w").elements<float>()[5], 0.25F);
  for (float x : model.weights.at("b").elements<float>()) EXPECT_TRUE(x >= 1 && x <= 2) << x;
  EXPECT_EQ(model.weights.at("count").elements<std::int64_t>()[0], 7);
  EXPECT_EQ(model.weights.at("other").elements<float>()[5], 4);
  EXPECT_EQ(model.weights.at("none").elements<float>()[2], 0);

  Model given{model.graph, {{"w", Tensor::from<float>({1, 2, 3, 4, 5, 6}, {3, 2})}}};
  initialize(given, {}, 7);
  EXPECT_EQ(given.weights.at("w").elements<float>()[5], 6);
}

TEST(Initialize, RefusesAParamThatNothingGivesAValue) {
  Model labels{test::parse("graph @g() -> (i32[3]) {\n  param %k: i32[3]\n  return %k\n}"), {}};
  EXPECT_THAT(error_of([&] { initialize(labels, {}, 1); }),
              HasSubstr("the param %k is i32[3] and has neither a value nor an initializer"));
}

TEST(Builder, DeclaresInitializers) {
  GraphBuilder b("g");
  Var w = b.param("w", DType::f32, {4, 8}, {"he", {{"negative_slope", 0.05}}});
  b.output("w", w);
  EXPECT_THAT(print(b.graph()), HasSubstr("param %w: f32[4, 8] = he {negative_slope = 0.05}\n"));
  EXPECT_THAT(error_of([&] { b.param("v", DType::f32, {8}, {"xavier"}); }),
              HasSubstr("initialize_test.cc"));
  EXPECT_THAT(
      error_of([&] { b.param("u", DType::f32, {8, 8}, {"he", {{"gain", 2.0}}}); }),
      HasSubstr("he: has no attribute gain; it has negative_slope, distribution, transposed"));
}

}  // namespace
}  // namespace weir
