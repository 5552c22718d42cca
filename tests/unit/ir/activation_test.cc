// Activations and their gradients against the published formulas in extended precision: on a fine
// grid, at the joins, in both tails, at the largest numbers and at the infinities, for f32 and f64,
// with elementary functions as mathematics has them and as they are compiled.

#include <cfloat>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <vector>

#include <gtest/gtest.h>

#include "ir/registry.h"
#include "ir/scalar/evaluate.h"
#include "ir/scalar/expand.h"

namespace weir {
namespace {

using Real80 = long double;
using scalar::Bits;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Real80 sigmoid(Real80 x) { return x >= 0 ? 1 / (1 + expl(-x)) : expl(x) / (1 + expl(x)); }
Real80 sigmoid_slope(Real80 x) { return sigmoid(x) * sigmoid(-x); }
Real80 softplus(Real80 x) { return x > 0 ? x + log1pl(expl(-x)) : log1pl(expl(x)); }
Real80 density(Real80 x) { return expl(-x * x / 2) / sqrtl(2 * std::numbers::pi_v<Real80>); }
Real80 distribution(Real80 x) { return erfcl(-x / std::numbers::sqrt2_v<Real80>) / 2; }
Real80 tanh_argument(Real80 x) {
  return 2 * sqrtl(2 / std::numbers::pi_v<Real80>) * (x + 0.044715L * x * x * x);
}
Real80 tanh_argument_slope(Real80 x) {
  return 2 * sqrtl(2 / std::numbers::pi_v<Real80>) * (1 + 3 * 0.044715L * x * x);
}
// 0 times anything: the limit where a factor has vanished.
Real80 vanishing(Real80 factor, Real80 x) { return factor == 0 ? 0 : factor * x; }

struct Formula {
  const char* op;
  Attributes attributes;
  std::function<Real80(Real80)> value, slope;
  // Relative error in units of the last place that the argument's own rounding causes, over x^2.
  double amplification = 0;
};

constexpr double kAlpha = 1.6732632423543772, kGamma = 1.0507009873554805;

std::vector<Formula> formulas() {
  return {
      {"leaky_relu",
       {},
       [](Real80 x) { return x > 0 ? x : Real80(0.01) * x; },
       [](Real80 x) { return x > 0 ? 1 : 0.01; }},
      {"leaky_relu",
       {{"negative_slope", -2.5}},
       [](Real80 x) { return x > 0 ? x : -2.5L * x; },
       [](Real80 x) { return x > 0 ? 1 : -2.5; }},
      {"relu", {}, [](Real80 x) { return x > 0 ? x : 0; }, [](Real80 x) { return x > 0 ? 1 : 0; }},
      {"elu",
       {{"alpha", 1.5}},
       [](Real80 x) { return x > 0 ? x : 1.5L * expm1l(x); },
       [](Real80 x) { return x > 0 ? 1 : 1.5L * expl(x); }},
      {"selu",
       {},
       [](Real80 x) { return kGamma * (x > 0 ? x : kAlpha * expm1l(x)); },
       [](Real80 x) { return kGamma * (x > 0 ? 1 : kAlpha * expl(x)); }},
      {"celu",
       {{"alpha", 2.5}},
       [](Real80 x) { return x > 0 ? x : 2.5L * expm1l(x / 2.5L); },
       [](Real80 x) { return x > 0 ? 1 : expl(x / 2.5L); },
       1},
      {"gelu",
       {},
       [](Real80 x) { return vanishing(distribution(x), x); },
       [](Real80 x) { return distribution(x) + vanishing(density(x), x); },
       2},
      {"gelu",
       {{"approximate", true}},
       [](Real80 x) { return vanishing(sigmoid(tanh_argument(x)), x); },
       [](Real80 x) {
         Real80 u = tanh_argument(x);
         return sigmoid(u) + vanishing(sigmoid_slope(u), x * tanh_argument_slope(x));
       },
       2},
      {"silu",
       {},
       [](Real80 x) { return vanishing(sigmoid(x), x); },
       [](Real80 x) { return sigmoid(x) + vanishing(sigmoid_slope(x), x); }},
      {"mish",
       {},
       [](Real80 x) { return vanishing(tanhl(softplus(x)), x); },
       [](Real80 x) {
         Real80 t = tanhl(softplus(x));
         return t + vanishing((1 - t * t) * sigmoid(x), x);
       }},
      {"softplus", {}, softplus, sigmoid},
      {"softsign",
       {},
       [](Real80 x) { return x / (1 + fabsl(x)); },
       [](Real80 x) { return 1 / ((1 + fabsl(x)) * (1 + fabsl(x))); }},
      {"hard_sigmoid",
       {{"alpha", 0.25}},
       [](Real80 x) { return fminl(1, fmaxl(0, 0.25L * x + 0.5L)); },
       [](Real80 x) { return x > -2 && x < 2 ? 0.25L : 0; }},
      {"hard_swish",
       {},
       [](Real80 x) { return x <= -3  ? 0
                             : x >= 3 ? x
                                      : x * (x + 3) / 6; },
       [](Real80 x) { return x <= -3  ? 0
                             : x >= 3 ? 1
                                      : (2 * x + 3) / 6; }},
      {"clip",
       {{"min", -1.0}, {"max", 2.0}},
       [](Real80 x) { return fminl(2, fmaxl(-1, x)); },
       [](Real80 x) { return x >= -1 && x <= 2 ? 1 : 0; }},
      {"sigmoid", {}, sigmoid, sigmoid_slope},
      {"tanh",
       {},
       [](Real80 x) { return tanhl(x); },
       [](Real80 x) { return 1 / (coshl(x) * coshl(x)); }},
  };
}

// One pointwise op of one operand, or of an operand and a cotangent of 1, on one element type.
class Function {
 public:
  Function(const OpDef& op, Attributes attributes, DType type, scalar::Numerics::Mode mode)
      : type_(type), types_(op.operands.size(), TensorType{type, {}}) {
    check_and_infer(op, types_, attributes);
    root_ = pointwise_expression(arena_, {&op, types_, attributes}).id();
    if (mode == scalar::Numerics::Mode::expanded)
      root_ = scalar::expand_all(arena_, {&root_, 1})[0];
    evaluator_.emplace(arena_, std::vector{root_}, scalar::Numerics{mode, true});
  }

  double operator()(double x) {
    std::vector<Bits> arguments{scalar::bits_of(type_, x)};
    if (types_.size() > 1) arguments.push_back(scalar::bits_of(type_, 1.0));
    scalar::Environment environment;
    environment.arguments = arguments;
    return scalar::to_double(type_, evaluator_->run(environment)[0]);
  }

 private:
  DType type_;
  std::vector<TensorType> types_;
  scalar::Arena arena_;
  scalar::Id root_;
  std::optional<scalar::Evaluator> evaluator_;
};

std::vector<double> points(DType type) {
  std::vector<double> result;
  for (int i = -4000; i <= 4000; ++i) result.push_back(i / 32.0 + (i % 3) * 1e-3);
  for (int i = -12; i <= 12; ++i) result.push_back(i / 4.0);
  double largest = type == DType::f32 ? FLT_MAX : DBL_MAX;
  for (double x : {0.0, 1e-40, 1e-30, 1e-10, 1e-6, 1e-4, 1e-3, 500.0, 745.0, 1e3, 1e4, 1e10, 1e20,
                   1e30, largest})
    for (double sign : {-1.0, 1.0}) result.push_back(sign * x);
  if (type == DType::f32)
    for (double& x : result) x = static_cast<float>(x);
  return result;
}

void expect_near(double got, Real80 want, double x, DType type, double units) {
  bool single = type == DType::f32;
  if (fabsl(want) > (single ? FLT_MAX : DBL_MAX)) {
    EXPECT_EQ(got, std::copysign(kInfinity, static_cast<double>(want))) << "at " << x;
    return;
  }
  double epsilon = single ? FLT_EPSILON : DBL_EPSILON;
  double smallest = single ? FLT_MIN : DBL_MIN;
  // Near a zero crossing the error is relative to the terms that cancel there, which are about 1/2.
  double scale =
      std::fabs(static_cast<double>(want)) + (std::fabs(x) < 4 ? std::fmin(0.5, std::fabs(x)) : 0);
  EXPECT_LE(std::fabs(static_cast<double>(got - want)), units * epsilon * scale + smallest)
      << "at " << x << ": " << got << " and not " << static_cast<double>(want);
}

class Activation : public ::testing::TestWithParam<std::tuple<DType, scalar::Numerics::Mode>> {};

TEST_P(Activation, values_and_gradients_follow_the_formulas) {
  auto [type, mode] = GetParam();
  for (const Formula& formula : formulas()) {
    SCOPED_TRACE(formula.op);
    const OpDef& op = get_op(formula.op);
    Function value(op, formula.attributes, type, mode);
    Function slope(*gradient_op(op, 0), formula.attributes, type, mode);
    for (double x : points(type)) {
      double units = 12 + formula.amplification * std::fmin(x * x, 2000);
      expect_near(value(x), formula.value(x), x, type, units);
      expect_near(slope(x), formula.slope(x), x == 0 ? 1 : x, type, units);
      if (::testing::Test::HasFailure()) return;
    }
  }
}

TEST_P(Activation, infinities_give_the_limits_and_nan_gives_nan) {
  auto [type, mode] = GetParam();
  for (const Formula& formula : formulas()) {
    SCOPED_TRACE(formula.op);
    const OpDef& op = get_op(formula.op);
    Function value(op, formula.attributes, type, mode);
    Function slope(*gradient_op(op, 0), formula.attributes, type, mode);
    EXPECT_TRUE(std::isnan(value(std::nan(""))));
    for (double sign : {-1.0, 1.0}) {
      Real80 far = formula.value(sign * 1e3000L);
      double limit = fabsl(far) > 1e20L ? std::copysign(kInfinity, static_cast<double>(far))
                                        : static_cast<double>(far);
      if (std::isinf(limit)) {
        EXPECT_EQ(value(sign * kInfinity), limit);
      } else {
        expect_near(value(sign * kInfinity), limit, 10, type, 12);
      }
      expect_near(slope(sign * kInfinity), formula.slope(sign * 1e3000L), 10, type, 12);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, Activation,
                         ::testing::Combine(::testing::Values(DType::f32, DType::f64),
                                            ::testing::Values(scalar::Numerics::Mode::mathematical,
                                                              scalar::Numerics::Mode::expanded)));

TEST(ActivationJoins, signs_of_zero_and_gradients_at_the_joins) {
  auto at = [](const char* name, double x) {
    Function f(*find_op(name), {}, DType::f32, scalar::Numerics::Mode::mathematical);
    return f(x);
  };
  EXPECT_FALSE(std::signbit(at("relu", -0.0)));
  EXPECT_TRUE(std::signbit(at("leaky_relu", -0.0)));
  EXPECT_TRUE(std::signbit(at("silu", -kInfinity)));
  EXPECT_EQ(at("softplus.grad", 0), 0.5);
  EXPECT_EQ(at("leaky_relu.grad", 0), static_cast<double>(0.01f));
  EXPECT_EQ(at("relu.grad", 0), 0);
  EXPECT_EQ(at("abs.grad", 0), 0);
  EXPECT_EQ(at("elu.grad", 0), 1);
  EXPECT_EQ(at("hard_sigmoid.grad", 2.5), 0);
  EXPECT_EQ(at("hard_swish.grad", -3), 0);
  EXPECT_EQ(at("hard_swish.grad", 3), 1);
}

TEST(ActivationJoins, prelu_has_two_gradients) {
  auto at = [](const char* name, double x, double slope) {
    const OpDef& op = get_op(name);
    std::vector<TensorType> types(op.operands.size());
    scalar::Arena arena;
    scalar::Evaluator evaluator(arena, {pointwise_expression(arena, {&op, types, {}}).id()}, {});
    std::vector<Bits> arguments{scalar::from_f32(static_cast<float>(x)),
                                scalar::from_f32(static_cast<float>(slope)), scalar::from_f32(1)};
    scalar::Environment environment;
    environment.arguments = arguments;
    return scalar::as_f32(evaluator.run(environment)[0]);
  };
  EXPECT_EQ(at("prelu", -2, 0.25), -0.5f);
  EXPECT_EQ(at("prelu", 2, 0.25), 2.0f);
  EXPECT_EQ(at("prelu.grad0", -2, 0.25), 0.25f);
  EXPECT_EQ(at("prelu.grad0", 2, 0.25), 1.0f);
  EXPECT_EQ(at("prelu.grad1", -2, 0.25), -2.0f);
  EXPECT_EQ(at("prelu.grad1", 2, 0.25), 0.0f);
}

}  // namespace
}  // namespace weir
