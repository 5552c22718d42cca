// sigmoid, and the activations' gates that are made of it: scale * sigmoid(argument).
//
// With a = |argument|, exp(-a) = 2^n N, N = 1 + s in two parts, and D = 1 + exp(-a) in two parts:
//   argument >= 0: 1 / D;   below: N / D, times 2^n last, after the scale.
// The quotient by D's first part is corrected once by what it leaves and by the second parts, so
// that little but the last rounding counts; the steps upwards then stay steps upwards. Without FMA
// what the quotient leaves is itself rounded, and the error is up to an ulp.
//
// tanh_gate's argument, 2 sqrt(2/pi) (x + 0.044715 x^3), is a sum of two numbers: where the result
// vanishes it is near -104 (f32) or -745, and one rounding of it would cost a hundred ulp.
#include "ir/scalar/expansions/expansions.h"

namespace weir::scalar::expansions {
namespace {

Expr gate(Expr scale, Sum argument) {
  Expr x = argument.high;
  Expr below = x < 0.0;
  // Far beyond where the result is 0, even times a scale.
  Expr a = at_most(abs(x), by_type(x, 170.0, 1400.0));
  ExpReduction reduction = reduce_exp(-a);
  Expr r = remainder(reduction);
  if (argument.low.valid()) r = r + select(below, argument.low, -argument.low);
  Expr s = expm1_near_zero(r);
  PowerHalves power = power_of_two_halves(to_bits(reduction.shifted), x.type());
  Expr whole = power.first * power.second;  // 2^n, or 0 where it does not matter

  Expr numerator = s + 1.0;
  Expr numerator_low = s - (numerator - 1.0);
  Expr e = numerator * whole;
  Expr denominator = e + 1.0;
  Expr denominator_low = fma(numerator_low, whole, e - (denominator - 1.0));
  Expr inverse = 1.0 / denominator;

  // The quotient's leading half, and what it leaves: exact, with and without FMA.
  Expr dividend = select(below, numerator, 1.0);
  Expr dividend_low = select(below, numerator_low, 0.0);
  Expr quotient = leading_half(dividend * inverse);
  Expr leading = leading_half(denominator);
  Expr rest = fma(-quotient, leading, dividend);
  rest = fma(-quotient, denominator - leading, rest);
  rest = rest + fma(-quotient, denominator_low, dividend_low);
  Expr result = fma(rest, inverse, quotient);
  return scale * result * select(below, power.first, 1.0) * select(below, power.second, 1.0);
}

// In two parts, and constants as well.
struct Constant {
  double high, low;
};
Sum constant(Expr like, Constant f32, Constant f64) {
  Constant chosen = by_type(like, f32, f64);
  return {like.like(chosen.high), like.like(chosen.low)};
}

Sum sum(Sum a, Sum b) {
  Expr high = a.high + b.high;
  Expr from_b = high - a.high;
  Expr low = (a.high - (high - from_b)) + (b.high - from_b);
  return {high, low + (a.low + b.low)};
}

// 2 sqrt(2 / pi), and 0.044715 times that.
constexpr Constant kLinearF32{0x1.988454p0, -0x1.857936p-25};
constexpr Constant kLinearF64{0x1.9884533d43651p0, -0x1.cbc0d30ebfd15p-54};
constexpr Constant kCubicF32{0x1.2444f2p-4, 0x1.49b16ap-29};
constexpr Constant kCubicF64{0x1.2444f2a4d8b4bp-4, -0x1.6c843a29d1c7p-61};

}  // namespace

Expr sigmoid(Expr x) { return gate(x.like(1.0), {x, {}}); }

Expr sigmoid_gate(Expr scale, Expr x) { return gate(scale, {x, {}}); }

Expr tanh_gate(Expr scale, Expr x) {
  // Beyond these the result is 0 or the scale, and the cube is finite.
  Expr bounded = at_most(at_least(x, -60.0), 60.0);
  Sum operand{bounded, {}};
  Sum slope = sum(product(product(operand, operand), constant(x, kCubicF32, kCubicF64)),
                  constant(x, kLinearF32, kLinearF64));
  return gate(scale, product(operand, slope));
}

}  // namespace weir::scalar::expansions
