// Activations: pointwise, one scalar expression each.
//
// Each form is chosen so that values and gradients are right for every x: no overflow on the way,
// no cancellation in a tail, nothing vanished times infinity. A derivative is stated where the one
// derived from the value's expression would not have these properties. Throughout, e = exp(-|x|),
// which lies in 0 ... 1; NaN gives NaN.

#include <cmath>
#include <limits>
#include <numbers>

#include <fmt/format.h>

#include "ir/ops/helpers.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;

OpDef activation(Text text, std::function<Expr(Expr)> meaning) {
  return unary("activation", TypeSet::floats, std::move(text), std::move(meaning));
}

OpDef activation(Text text, std::function<Expr(Expr, const Attributes&)> meaning) {
  return unary("activation", TypeSet::floats, std::move(text), std::move(meaning));
}

// Adds a number attribute that must be finite.
OpDef with_real(OpDef op, std::string name, double default_value, std::string summary,
                std::string onnx) {
  op = with_attribute(std::move(op), name, default_value, std::move(summary), std::move(onnx));
  op.check = [before = std::move(op.check), name](const OpInstance& instance) {
    if (before) before(instance);
    check_finite(instance, name);
  };
  return op;
}

// --- Piecewise linear --------------------------------------------------------

OpDef leaky_relu_op() {
  return with_real(
      activation(
          {"leaky_relu",
           "x where x > 0, else negative_slope * x.",
           "NaN gives NaN; 0 and -0 give negative_slope * x. The gradient is 1 for x > 0 and "
           "negative_slope otherwise, at 0 too. The slope may be any finite number, also "
           "negative, zero or above 1.",
           {"LeakyRelu", 6}},
          [](Expr x, const Attributes& attributes) {
            return select(x > 0.0, x, attributes.real("negative_slope") * x);
          }),
      "negative_slope", 0.01, "Factor for x <= 0.", "alpha");
}

OpDef relu_op() {
  return activation({"relu",
                     "x where x > 0, else 0.",
                     "NaN gives NaN; -0 gives 0. The gradient at 0 is 0.",
                     {"Relu", 6}},
                    [](Expr x) { return select(x <= 0.0, 0.0, x); });
}

OpDef prelu_op() {
  OpDef op =
      declare("activation",
              {"prelu",
               "x where x > 0, else slope * x, with a learned slope.",
               "As leaky_relu, with a tensor of slopes that broadcasts against x. The gradient for "
               "the slope is x for x <= 0 and 0 otherwise.",
               {"PRelu", 7}});
  op.operands = {{"x", TypeSet::floats}, {"slope", TypeSet::floats}};
  op.pointwise = [](Arguments arguments, const Attributes&) {
    return select(arguments[0] > 0.0, arguments[0], arguments[1] * arguments[0]);
  };
  // ONNX broadcasts the slope alone.
  op.to_onnx = [](OnnxNodes& nodes, const OpInstance& instance,
                  std::span<const OnnxValue> operands) -> std::vector<OnnxValue> {
    if (!broadcasts_to(instance.operand(1).shape, instance.operand(0).shape)) return {};
    return {nodes.add(instance.op->onnx.name, {operands.begin(), operands.end()})};
  };
  return op;
}

OpDef hard_sigmoid_op() {
  return with_real(
      with_real(
          activation({"hard_sigmoid",
                      "alpha * x + beta, limited to 0 ... 1.",
                      "NaN gives NaN. The gradient is alpha strictly between the limits and 0 at "
                      "and beyond them.",
                      {"HardSigmoid", 6}},
                     [](Expr x, const Attributes& attributes) {
                       Expr line = attributes.real("alpha") * x + attributes.real("beta");
                       return select(line <= 0.0, 0.0, select(line >= 1.0, 1.0, line));
                     }),
          "alpha", 0.2, "Slope of the line.", "alpha"),
      "beta", 0.5, "Value of the line at 0.", "beta");
}

OpDef hard_swish_op() {
  return activation(
      {"hard_swish",
       "x * (x + 3) / 6 between -3 and 3; 0 below, x above.",
       "NaN gives NaN. The gradient is 0 at -3 and below, 1 at 3 and above, (2x + 3) / 6 between.",
       {"HardSwish", 14}},
      [](Expr x) {
        return select(x <= -3.0, 0.0, select(x >= 3.0, x, x * (x + 3.0) * (1.0 / 6.0)));
      });
}

OpDef clip_op() {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  OpDef op = activation({"clip",
                         "x limited to min ... max.",
                         "NaN gives NaN. The gradient is 1 from min to max, both included, and 0 "
                         "outside.",
                         {"Clip"}},
                        [](Expr x, const Attributes& attributes) {
                          double low = attributes.real("min"), high = attributes.real("max");
                          return select(x < low, low, select(x > high, high, x));
                        });
  op = with_attribute(std::move(op), "min", -infinity, "Lower limit.");
  op = with_attribute(std::move(op), "max", infinity, "Upper limit; not below min.");
  op.check = [](const OpInstance& instance) {
    double low = instance.attributes.real("min"), high = instance.attributes.real("max");
    for (const char* limit : {"min", "max"})
      if (std::isnan(instance.attributes.real(limit)))
        throw Error(fmt::format("the attribute {} must be a number, not nan", limit));
    if (low > high)
      throw Error(
          fmt::format("the attribute min must not be above max: they are {} and {}", low, high));
  };
  return op;
}

// --- Exponential below zero --------------------------------------------------

OpDef elu_op() {
  return with_real(
      activation(
          {"elu",
           "x where x > 0, else alpha * (exp(x) - 1).",
           "-alpha at -inf; zeros give alpha times themselves. The gradient is 1 for x > 0 and "
           "alpha * exp(x) otherwise, at 0 too.",
           {"Elu", 6}},
          [](Expr x, const Attributes& attributes) {
            return select(x > 0.0, x, attributes.real("alpha") * expm1(x));
          }),
      "alpha", 1.0, "Minus the limit at -inf.", "alpha");
}

OpDef selu_op() {
  OpDef op = activation({"selu",
                         "gamma * x where x > 0, else gamma * alpha * (exp(x) - 1).",
                         "The defaults keep mean 0 and variance 1 through layers. The gradient is "
                         "gamma for x > 0 and "
                         "gamma * alpha * exp(x) otherwise, at 0 too.",
                         {"Selu", 6}},
                        [](Expr x, const Attributes& attributes) {
                          return attributes.real("gamma") *
                                 select(x > 0.0, x, attributes.real("alpha") * expm1(x));
                        });
  // Klambauer et al., "Self-Normalizing Neural Networks", 2017, to double precision.
  op = with_real(std::move(op), "alpha", 1.6732632423543772, "Minus the limit at -inf over gamma.",
                 "alpha");
  return with_real(std::move(op), "gamma", 1.0507009873554805, "Slope above 0.", "gamma");
}

OpDef celu_op() {
  OpDef op = with_real(
      with_derivative(
          activation(
              {"celu",
               "x where x > 0, else alpha * (exp(x / alpha) - 1).",
               "-alpha at -inf; smooth at 0 for every alpha. The gradient is 1 for x > 0 and "
               "exp(x / alpha) otherwise.",
               {"Celu", 12}},
              [](Expr x, const Attributes& attributes) {
                double alpha = attributes.real("alpha");
                return select(x > 0.0, x, alpha * expm1(x / alpha));
              }),
          [](Expr x, const Attributes& attributes) {
            return select(x > 0.0, 1.0, exp(x / attributes.real("alpha")));
          }),
      "alpha", 1.0, "Minus the limit at -inf; not 0.", "alpha");
  op.check = [before = std::move(op.check)](const OpInstance& instance) {
    before(instance);
    if (instance.attributes.real("alpha") == 0) throw Error("the attribute alpha must not be 0");
  };
  return op;
}

// --- Smooth ------------------------------------------------------------------

OpDef softplus_op() {
  return with_derivative(activation({"softplus",
                                     "log(1 + exp(x)).",
                                     "Never overflows, accurate for negative x, monotone. The "
                                     "gradient is sigmoid(x), 0.5 at 0.",
                                     {"Softplus", 1}},
                                    scalar::softplus),
                         scalar::sigmoid);
}

OpDef softsign_op() {
  return with_derivative(activation({"softsign",
                                     "x / (1 + |x|).",
                                     "-1 and 1 at the infinities. The gradient is 1 / (1 + |x|)^2.",
                                     {"Softsign", 1}},
                                    [](Expr x) {
                                      // Beyond the bound the quotient is 1 in every type; infinity
                                      // over infinity is NaN.
                                      Expr finite = min(max(x, -1e30), 1e30);
                                      return finite / (1.0 + abs(finite));
                                    }),
                         [](Expr x) {
                           Expr r = 1.0 / (1.0 + abs(x));
                           return r * r;
                         });
}

OpDef silu_op() {
  return with_derivative(
      activation({"silu",
                  "x * sigmoid(x).",
                  "-0 at -inf. The gradient is s(x) (1 + x s(-x)) with s the sigmoid.",
                  {"Swish", 24}},
                 [](Expr x) { return sigmoid_gate(bounded_below(x), x); }),
      [](Expr x) { return sigmoid_gate(1.0 + bounded(x) * sigmoid(-x), x); });
}

OpDef mish_op() {
  // tanh(softplus(x)) is q / (q + 2) with q = exp(x) * (exp(x) + 2); for x >= 0 both are multiplied
  // by e^2, so that nothing overflows; for x < 0 a factor e comes last, so that no digits are lost
  // where it is a denormal number. The quotient that is left is near 1 far from 0, so it is
  // computed as 1 - t, where what rounding takes from t counts little.
  struct Parts {
    Expr e, positive, t, denominator;
  };
  auto parts = [](Expr x) {
    Expr e = exp(-abs(x));
    Expr positive = x >= 0.0;
    Expr twice = 2.0 * e;
    Expr above = (1.0 + twice) + 2.0 * (e * e);
    Expr below = e * (e + 2.0) + 2.0;
    Expr denominator = select(positive, above, below);
    Expr last = 1.0 + e;
    Expr t = e * select(positive, twice, last) / denominator;
    return Parts{e, positive, t, denominator};
  };
  auto times_e = [](Expr x, Expr positive, Expr value) {
    return select(positive, value, scaled_exp(value, -abs(x), 1.0));
  };
  auto value = [=](Expr x) {
    Parts p = parts(x);
    Expr quotient = 1.0 - p.t;
    return times_e(x, p.positive, bounded_below(x) * quotient);
  };
  auto derivative = [=](Expr x) {
    Parts p = parts(x);
    // The derivative of the quotient is 4 exp(x) (exp(x) + 1) / (q + 2)^2, which is near 1 as well
    // where x < 0 once the factor e is taken out: there it is 1 - s, and 1 + x - (t + x s) is left.
    Expr e = p.e;
    Expr above = 4.0 * (e * e) * (1.0 + e);
    Expr below = e * (e * (e * (e + 4.0) + 8.0) + 4.0);
    Expr share = select(p.positive, above, below) / (p.denominator * p.denominator);
    Expr near = bounded(x);
    Expr start = select(p.positive, e.like(1.0), 1.0 + near);
    return times_e(x, p.positive, start - (p.t - abs(near) * share));
  };
  return with_derivative(
      activation({"mish",
                  "x * tanh(softplus(x)).",
                  "-0 at -inf. Computed with one exponential: tanh(softplus(x)) is a quotient of "
                  "polynomials in e.",
                  {"Mish", 18}},
                 value),
      derivative);
}

Expr gelu_value(Expr x, const Attributes& attributes) {
  Expr factor = bounded_below(x);
  return attributes.boolean("approximate") ? tanh_gate(factor, x) : normal_gate(factor, x);
}

// The derivative of the tanh form, with slope = x * rate that of the sigmoid's argument. Where x is
// negative its factor is near 1 + slope, which up to -34 counts in full, so that is computed in two
// parts: with x rounded down to sixteenths, and constants cut to eight bits, `high` is exact.
Expr gelu_tanh_derivative(Expr x) {
  constexpr double linear = 2 * std::numbers::sqrt2 * std::numbers::inv_sqrtpi;
  constexpr double square = 3 * 0.044715 * linear;
  constexpr double linear_high = 1634.0 / 1024, square_high = 219.0 / 1024;
  Expr coarse = floor(x * 16.0) * (1.0 / 16);
  Expr square_rest = (x - coarse) * (x + coarse);
  Expr high = fma(coarse * coarse, square_high, linear_high);
  Expr low = fma(x * x, square - square_high, linear - linear_high);
  low = fma(square_rest, square_high, low);
  // 1 + the slope times the gate of -x, which is 1 less that of x: so the gate is the small one.
  Expr rest = tanh_gate(x * (high + low), -abs(x));
  Expr whole = fma(x, high, 1.0) + x * low;
  return tanh_gate(select(x < 0.0, whole - rest, 1.0 + rest), x);
}

Expr gelu_derivative(Expr x, const Attributes& attributes) {
  Expr near = bounded(x);
  if (attributes.boolean("approximate")) return gelu_tanh_derivative(near);
  constexpr double density_at_0 = std::numbers::inv_sqrtpi / std::numbers::sqrt2;
  return normal_gate(1.0, x) + scaled_exp(density_at_0 * near, near, -0.5 * near);
}

OpDef gelu_op() {
  return with_attribute(
      with_derivative(
          activation(
              {"gelu",
               "x times the normal distribution function at x.",
               "x/2 * erfc(-x / sqrt(2)), accurate in the far tail; -0 at -inf. With approximate, "
               "x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))). The gradient is that of the "
               "form chosen.",
               {"Gelu"}},
              gelu_value),
          gelu_derivative),
      "approximate", false, "Use the tanh form.");
}

}  // namespace

void add_activation_ops(OpTable& table) {
  table.add(leaky_relu_op());
  table.add(relu_op());
  table.add(prelu_op());
  table.add(elu_op());
  table.add(selu_op());
  table.add(celu_op());
  table.add(gelu_op());
  table.add(silu_op());
  table.add(mish_op());
  table.add(softplus_op());
  table.add(softsign_op());
  table.add(hard_sigmoid_op());
  table.add(hard_swish_op());
  table.add(clip_op());
}

}  // namespace weir
