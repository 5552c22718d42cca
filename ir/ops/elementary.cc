// Elementary functions: pointwise. Their values are those of the expansions in ir/scalar/expand.h;
// how far these are from the mathematical functions is measured there.

#include "ir/ops/helpers.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;

OpDef elementary(Text text, Expr (*meaning)(Expr)) {
  return unary("elementary", TypeSet::floats, std::move(text), std::function<Expr(Expr)>(meaning));
}

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
}

}  // namespace weir
