// Derivatives: their exact form, their values at kinks, and random ones against central
// differences.
#include "ir/scalar/differentiate.h"

#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "ir/scalar/evaluate.h"
#include "ir/scalar/expr.h"
#include "ir/scalar/print.h"

namespace weir::scalar {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

class Differentiate : public testing::Test {
 protected:
  Expr argument(std::uint32_t number, DType type = DType::f64) {
    return {arena, arena.argument(number, type)};
  }
  // The tangents of x and y are g and h.
  std::string derivative(Expr value) {
    Id result = differentiate(arena, value.id(), std::array{g.id(), h.id()});
    if (!result.valid()) return "none";
    Names names;
    names.argument = [](std::uint32_t number) { return std::string(1, "xygh"[number]); };
    return to_string(arena, result, names);
  }
  // The derivative of an expression in x, at a place.
  double slope_at(Expr value, double at) {
    Id one = arena.constant(DType::f64, 1.0);
    Id result = differentiate(arena, value.id(), std::array{one, Id{}});
    if (!result.valid()) return 0;
    Evaluator evaluator(arena, {result}, {});
    std::array arguments{from_f64(at), from_f64(0)};
    Environment environment;
    environment.arguments = arguments;
    return as_f64(evaluator.run(environment)[0]);
  }

  Arena arena;
  Expr x = argument(0), y = argument(1), g = argument(2), h = argument(3);
};

TEST_F(Differentiate, SelectsAreSelected) {
  EXPECT_EQ(derivative(select(x > 0.0, x, 0.05 * x)), "select(x > 0.0, g, 0.05 * g)");
  EXPECT_EQ(derivative(select(x > 0.0, x, x.like(0.0))), "select(x > 0.0, g, 0.0)");
  EXPECT_EQ(derivative(select(x > 0.0, x.like(2.0), x.like(1.0))), "none");
  EXPECT_EQ(derivative(select(x > 0.0, x + 1.0, x)), "g");
}

TEST_F(Differentiate, Rules) {
  EXPECT_EQ(derivative(x + y), "g + h");
  EXPECT_EQ(derivative(1.0 - x), "-g");
  EXPECT_EQ(derivative(x * y), "y * g + x * h");
  EXPECT_EQ(derivative(x / y), "(g - x / y * h) / y");
  EXPECT_EQ(derivative(x / 2.0), "g / 2.0");
  EXPECT_EQ(derivative(fma(x, 2.0, y)), "2.0 * g + h");
  EXPECT_EQ(derivative(sqrt(x)), "g / (2.0 * sqrt(x))");
  EXPECT_EQ(derivative(exp(x)), "exp(x) * g");
  EXPECT_EQ(derivative(tanh(x)), "(1.0 - tanh(x) * tanh(x)) * g");
  EXPECT_EQ(derivative(pow(x, 2.0)), "2.0 * x * g");
  EXPECT_EQ(derivative(pow(x, 0.0)), "none");
  EXPECT_EQ(derivative(pow(x.like(2.0), x)),
            "pow(2.0, x * 0.5) * log(2.0) * pow(2.0, x * 0.5) * g");
  EXPECT_EQ(derivative(cast(cast(x, DType::f32), DType::f64)), "f64(f32(g))");
}

TEST_F(Differentiate, WhatDoesNotMove) {
  EXPECT_EQ(derivative(floor(x) + round(x) * trunc(x) - ceil(x)), "none");
  EXPECT_EQ(derivative(cast(cast(x, DType::i32), DType::f64)), "none");
  EXPECT_EQ(derivative(bitcast(bitcast(x, DType::i64) & 7, DType::f64)), "none");
  EXPECT_EQ(derivative(x.like(3.0)), "none");
  EXPECT_EQ(derivative(Expr(arena, arena.local(0, DType::f64))), "none");
  Id unmoved = differentiate(arena, (x * y).id(), std::array{Id{}, Id{}});
  EXPECT_FALSE(unmoved.valid());
}

TEST_F(Differentiate, Kinks) {
  EXPECT_EQ(slope_at(abs(x), 0), 0);
  EXPECT_EQ(slope_at(abs(x), -2), -1);
  EXPECT_EQ(slope_at(max(x, 0.0), 0), 0.5);
  EXPECT_EQ(slope_at(max(x, 0.0), 1), 1);
  EXPECT_EQ(slope_at(max(x, 0.0), -1), 0);
  EXPECT_EQ(slope_at(min(x, 3.0 * x), 0), 2);
  EXPECT_EQ(slope_at(min(x, 3.0 * x), -1), 3);
  EXPECT_EQ(slope_at(select(x > 0.0, x, 0.25 * x), 0), 0.25);
  // The branch not taken must not leak in: 0 * inf is NaN.
  EXPECT_EQ(slope_at(select(x > 0.0, sqrt(x), x.like(0.0)), 0), 0);
  EXPECT_EQ(slope_at(sqrt(x), 0), kInf);
}

TEST_F(Differentiate, PowersAtTheEdges) {
  EXPECT_EQ(slope_at(pow(x, 2.0), 0), 0);
  EXPECT_EQ(slope_at(pow(x, 1.0), 0), 1);
  EXPECT_EQ(slope_at(pow(x, y), 0), 0);  // y is 0
  EXPECT_EQ(slope_at(pow(x.like(0.0), x), 0), 0);
  EXPECT_EQ(slope_at(pow(x.like(0.0), x), 2), 0);
}

// Just below the largest float b |a|^(b - 1) is above it while b - 1 is rounded.
TEST_F(Differentiate, APowersSlopeNearTheLargestFloat) {
  Expr a = argument(0, DType::f32), b = argument(1, DType::f32);
  Id one = arena.constant(DType::f32, 1.0);
  Id slope = differentiate(arena, pow(a, b).id(), std::array{one, Id{}});
  Evaluator evaluator(arena, {slope}, {});
  for (auto [at, exponent] : {std::pair{7.1815366e-19F, -1.1209606F},
                              {8.8298266e-38F, -0.0709003F},
                              {std::numeric_limits<float>::max(), 2.0F}}) {
    std::array arguments{from_f32(at), from_f32(exponent)};
    Environment environment;
    environment.arguments = arguments;
    double base = at, exact = exponent * std::pow(base, exponent - 1.0);
    double given = as_f32(evaluator.run(environment)[0]);
    if (std::abs(exact) > std::numeric_limits<float>::max())
      EXPECT_EQ(given, kInf);
    else
      EXPECT_LE(std::abs(given - exact), 4 * 0x1p-23 * 0x1p127) << at << " to " << exponent;
  }
}

TEST_F(Differentiate, SecondDerivatives) {
  Id one = arena.constant(DType::f64, 1.0);
  Id first = differentiate(arena, sin(x).id(), std::array{one});
  Id second = differentiate(arena, first, std::array{one});
  EXPECT_EQ(to_string(arena, second, {}), "-sin(a0)");
}

// Random smooth expressions in x and y whose values stay moderate.
Expr random_expression(std::mt19937& random, Expr x, Expr y, int depth) {
  if (depth == 0) {
    switch (random() % 3) {
      case 0:
        return x;
      case 1:
        return y;
      default:
        return x.like(static_cast<double>(random() % 40) / 10.0 - 2.0);
    }
  }
  Expr a = random_expression(random, x, y, depth - 1);
  auto b = [&] { return random_expression(random, x, y, depth - 1); };
  switch (random() % 28) {
    case 0:
      return a + b();
    case 1:
      return a - b();
    case 2:
      return a * b();
    case 3:
      return a / (b() * b() + 1.0);
    case 4:
      return fma(a, b(), b());
    case 5:
      return -a;
    case 6:
      return abs(a);
    case 7:
      return min(a, b());
    case 8:
      return max(a, b());
    case 9: {
      Expr condition = a < b();
      return select(condition, a, b());
    }
    case 10:
      return sqrt(a * a + 0.5);
    case 11:
      return exp(sin(a));
    case 12:
      return expm1(tanh(a));
    case 13:
      return log(a * a + 1.0);
    case 14:
      return log1p(a * a);
    case 15:
      return tanh(a);
    case 16:
      return erf(a);
    case 17:
      return erfc(a);
    case 18:
      return sin(a);
    case 19:
      return cos(a);
    case 20:
      return pow(a * a + 0.5, sin(b()));
    case 21: {
      Expr scale = b();
      return scaled_exp(scale, sin(a), cos(b()));
    }
    case 22:
      return sigmoid(a);
    case 23:
      return sigmoid_gate(a, b());
    case 24:
      return normal_gate(a, b());
    case 25:
      return tanh_gate(a, b());
    case 26:
      return softplus(a);
    default:
      return rem(a, cos(b()) + 2.0);
  }
}

TEST(DifferentiateRandom, AgreesWithCentralDifferences) {
  int compared = 0;
  for (unsigned seed = 0; seed < 3000; ++seed) {
    std::mt19937 random(seed);
    Arena arena;
    Expr x{arena, arena.argument(0, DType::f64)}, y{arena, arena.argument(1, DType::f64)};
    Expr value = random_expression(random, x, y, 1 + static_cast<int>(seed % 4));
    std::array rates{std::uniform_real_distribution(-1.0, 1.0)(random),
                     std::uniform_real_distribution(-1.0, 1.0)(random)};
    Id tangent =
        differentiate(arena, value.id(), std::array{x.like(rates[0]).id(), x.like(rates[1]).id()});
    if (!tangent.valid()) tangent = arena.constant(DType::f64, 0.0);
    Evaluator evaluator(arena, {value.id(), tangent}, {});
    std::array places{std::uniform_real_distribution(-2.0, 2.0)(random),
                      std::uniform_real_distribution(-2.0, 2.0)(random)};
    auto at = [&](double step) {
      std::array arguments{from_f64(places[0] + step * rates[0]),
                           from_f64(places[1] + step * rates[1])};
      Environment environment;
      environment.arguments = arguments;
      std::span<const Bits> results = evaluator.run(environment);
      return std::pair(as_f64(results[0]), as_f64(results[1]));
    };
    // Two step sizes tell a kink or a jump nearby, and what is too steep to measure.
    auto difference = [&](double step) { return (at(step).first - at(-step).first) / (2 * step); };
    double coarse = difference(4e-5), fine = difference(1e-5);
    double derivative = at(0).second;
    double tolerance = 1e-6 * (1 + std::abs(fine) + std::abs(at(0).first));
    if (!(std::abs(coarse - fine) < tolerance)) continue;
    ++compared;
    EXPECT_NEAR(derivative, fine, 4 * tolerance)
        << "seed " << seed << ": " << to_string(arena, value.id(), {});
  }
  EXPECT_GT(compared, 2500);
}

}  // namespace
}  // namespace weir::scalar
