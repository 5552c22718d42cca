// Elementary functions: pointwise. Their values are those of the expansions in ir/scalar/expand.h;
// how far these are from the mathematical functions is measured there. The inverses of the
// functions of angles are expressions themselves.

#include <array>

#include "ir/ops/helpers.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;

OpDef elementary(Text text, Expr (*meaning)(Expr)) {
  return unary("elementary", TypeSet::floats, std::move(text), std::function<Expr(Expr)>(meaning));
}

// With t = |x|, (|x| - 1) / (|x| + 1) or -1 / |x|, whichever is at most tan(pi / 8), the arc
// tangent is that of t, plus 0, pi / 4 or pi / 2. On that interval it is t + t^3 q(t^2), where q is
// the polynomial that interpolates at Chebyshev's points; it is within 2e-18 there.
Expr arc_tangent(Expr x) {
  constexpr std::array kCoefficients{
      0.016284375050043393, -0.03456931506332609, 0.045515447340221615, -0.05230443640686948,
      0.05878927554473807,  -0.0666642476020052,  0.07692296368042296,  -0.09090908753259112,
      0.11111111105150588,  -0.14285714285659779, 0.19999999999999804,  -0.3333333333333333};
  Expr size = abs(x);
  Expr is_far = size > 2.414213562373095, is_middle = size > 0.4142135623730951;
  auto pick = [&](auto far, auto middle, auto near) {
    return select(is_far, far, select(is_middle, middle, near));
  };
  Expr one = x.like(1.0), zero = x.like(0.0);
  Expr t = pick(-one, size - 1.0, size) / pick(size, size + 1.0, one);
  Expr square = t * t, q = x.like(kCoefficients[0]);
  for (std::size_t i = 1; i < kCoefficients.size(); ++i)
    q = fma(q, square, x.like(kCoefficients[i]));
  // pi / 2 and pi / 4 in two parts; the lower ones are 0 but for f64.
  Expr high = pick(x.like(1.5707963267948966), x.like(0.7853981633974483), zero);
  Expr low = pick(x.like(6.123233995736766e-17), x.like(3.061616997868383e-17), zero);
  Expr result = high + (t + fma(t * square, q, low));
  return select(x == 0.0, x, select(x < 0.0, -result, result));
}

// The root of 1 - x^2.
Expr other_leg(Expr x) { return sqrt((1.0 - x) * (1.0 + x)); }

}  // namespace

void add_elementary_ops(OpTable& table) {
  table.add(elementary({"exp", "e to the power x.", "0 at -inf; overflows to inf.", {"Exp", 6}},
                       scalar::exp));
  table.add(elementary({"log",
                        "The natural logarithm.",
                        "-inf at both zeros, NaN below. The gradient is 1 / x.",
                        {"Log", 6}},
                       scalar::log));
  table.add(
      elementary({"expm1", "exp(x) - 1, accurate near 0.",
                  "-1 at -inf; zeros give themselves. The gradient is exp(x).", OnnxOp::none()},
                 scalar::expm1));
  table.add(
      elementary({"log1p", "log(1 + x), accurate near 0.",
                  "-inf at -1, NaN below; zeros give themselves. The gradient is 1 / (1 + x).",
                  OnnxOp::none()},
                 scalar::log1p));
  table.add(with_derivative(elementary({"tanh",
                                        "The hyperbolic tangent.",
                                        "Saturates at -1 and 1; zeros give themselves. The "
                                        "gradient is 4 s(2x) s(-2x) with s the "
                                        "sigmoid, accurate where 1 - tanh(x)^2 is not.",
                                        {"Tanh", 6}},
                                       scalar::tanh),
                            [](Expr x) {
                              Expr twice = x + x;
                              return sigmoid_gate(4.0 * sigmoid(twice), -twice);
                            }));
  table.add(with_derivative(
      elementary({"sigmoid",
                  "1 / (1 + exp(-x)).",
                  "Never overflows; accurate in both tails. The gradient is s(x) s(-x).",
                  {"Sigmoid", 6}},
                 scalar::sigmoid),
      [](Expr x) { return sigmoid(x) * sigmoid(-x); }));
  table.add(
      elementary({"erf",
                  "The error function.",
                  "Saturates at -1 and 1; zeros give themselves. The gradient is 2 / sqrt(pi) * "
                  "exp(-x^2).",
                  {"Erf", 9}},
                 scalar::erf));
  table.add(elementary(
      {"erfc", "1 - erf(x), accurate where that is near 0.",
       "2 at -inf, 0 at inf. The gradient is -2 / sqrt(pi) * exp(-x^2).", OnnxOp::none()},
      scalar::erfc));
  table.add(elementary(
      {"sin", "The sine of x in radians.", "NaN at infinities; zeros give themselves.", {"Sin", 7}},
      scalar::sin));
  table.add(elementary({"cos", "The cosine of x in radians.", "NaN at infinities.", {"Cos", 7}},
                       scalar::cos));
  table.add(with_derivative(
      elementary(
          {"atan",
           "The angle in radians whose tangent is x.",
           "pi / 2 and -pi / 2 at the infinities; zeros give themselves. Within two units in "
           "the last place. The gradient is 1 / (1 + x^2).",
           {"Atan", 7}},
          arc_tangent),
      [](Expr x) { return 1.0 / (1.0 + x * x); }));
  table.add(with_derivative(
      elementary({"asin",
                  "The angle in radians whose sine is x.",
                  "NaN outside of -1 to 1; zeros give themselves. The gradient is "
                  "1 / sqrt((1 - x) * (1 + x)).",
                  {"Asin", 7}},
                 [](Expr x) { return select(x == 0.0, x, arc_tangent(x / other_leg(x))); }),
      [](Expr x) { return 1.0 / other_leg(x); }));
  table.add(with_derivative(
      elementary({"acos",
                  "The angle in radians whose cosine is x.",
                  "NaN outside of -1 to 1; accurate near 1, too. The gradient is "
                  "-1 / sqrt((1 - x) * (1 + x)).",
                  {"Acos", 7}},
                 [](Expr x) { return 2.0 * arc_tangent(sqrt((1.0 - x) / (1.0 + x))); }),
      [](Expr x) { return -1.0 / other_leg(x); }));
}

}  // namespace weir
