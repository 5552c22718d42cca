// pow: 2^(y log2 |x|), with the sign and the special cases of C's pow.
//
// y log2 |x| may be as large as 1075 and must be right to a fraction of an ulp of its fraction, so
// log2 |x| needs 11 more bits than the type has (8 for f32).
//   f32: in f64. |x| = 2^e m with sqrt(1/2) < m <= sqrt(2), s = (m - 1) / (m + 1),
//     log2 m = s p(s^2), a minimax fit of degree 9, relative error 2^-37.8.
//   f64: in sums of two numbers, of which the first has half the digits, so that products are exact
//     with and without FMA. log m = 2 artanh(s) = 2 s (1 + z/3 + z^2 t(z)), z = s^2, of degree 17,
//     2^-66.3.
// Then y log2 |x| = n + r, and 2^r is a minimax polynomial of degree 7 (2^-34.3) in f64, which is
// rounded to f32 once; or of degree 11 (2^-57.9), whose linear term is taken in two parts, the
// first exact, so that little but the last addition rounds. So what is off before that rounding is
// far below half an ulp, and a result that is a number of the type comes out as that number:
// 3^5, 1.5^4, 9^0.5, 2^-7.
//
// Errors in ulp, with FMA and without, over samples:
//   f32 0.51, f64 0.71 (results that are denormal numbers are rounded twice)
#include <limits>

#include "ir/scalar/expansions/expansions.h"

namespace weir::scalar::expansions {
namespace {

// log2((1 + s) / (1 - s)) / s, by powers of s^2.
constexpr std::array kLog2{0x1.71547652bedf1p1, 0x1.ec709d12d1d7ap-1, 0x1.27777fe6aa749p-1,
                           0x1.a58d89b135d68p-2, 0x1.5ce84309092a4p-2};
// (artanh(s) / s - 1 - z / 3) / z^2, by powers of z = s^2.
constexpr std::array kArtanh{0x1.9999999999b2fp-3, 0x1.2492492457f3bp-3, 0x1.c71c722d3df3dp-4,
                             0x1.745ce9f0b092p-4,  0x1.3b1ee9bbbd74p-4,  0x1.0f801d53ffc57p-4,
                             0x1.0e40debeb3976p-4};
// 1/3 and 2 / ln 2, a leading half and the rest.
constexpr double kThirdHigh = 0x1.5555558p-2;
constexpr double kThirdLow = -0x1.5555555555555p-29;
constexpr double kScaleHigh = 0x1.7154768p1;
constexpr double kScaleLow = -0x1.6a3e80f444178p-26;

// (2^r - 1) / r for f32, (2^r - 1 - r ln 2) / r^2 for f64, and ln 2 in two parts.
constexpr std::array kPowExp2F32{0x1.62e42ff0e1935p-1, 0x1.ebfbe077877cp-3,   0x1.c6b08ac06948dp-5,
                                 0x1.3b29f39cf1cafp-7, 0x1.5d8a8600bba6bp-10, 0x1.445c84554dc47p-13,
                                 0x1.fde5fc905f014p-17};
constexpr std::array kPowExp2F64{
    0x1.ebfbdff82c5a1p-3,  0x1.c6b08d704a046p-5,  0x1.3b2ab6fba079p-7,   0x1.5d87fe78c3742p-10,
    0x1.4309130dc5a71p-13, 0x1.ffcbfbc7c987ep-17, 0x1.62bfc9f4fbb6ap-20, 0x1.b52652d8617c3p-24,
    0x1.e617b56a2b348p-28, 0x1.e7c6ddbf8431bp-32};
constexpr double kLn2High = 0x1.62e42f8p-1;
constexpr double kLn2Low = 0x1.be8e7bcd5e4f2p-27;

Expr power_f32(Expr magnitude, Expr y_f32, Expr is_one) {
  Expr a = cast(magnitude, DType::f64);  // no denormal number is left
  Expr y = cast(y_f32, DType::f64);
  LogReduction reduction = reduce_log(to_bits(a), DType::f64);
  Expr s = (reduction.mantissa - 1.0) / (reduction.mantissa + 1.0);
  Expr log2 = fma(s, polynomial(s * s, kLog2), -reduction.k);
  Expr log2_of_any = select(a == 0.0, -kInfinity, select(a < kInfinity, log2, a));
  Expr t = select(is_one, 0.0, y * log2_of_any);
  t = at_most(at_least(t, -160.0), 160.0);
  double shifter = format_of(a).shifter + format_of(a).bias;
  Expr shifted = t + shifter;
  Expr r = t - (shifted - shifter);
  Expr power = bitcast(to_bits(shifted) << format_of(a).fraction_bits, DType::f64);
  return cast(fma(r * polynomial(r, kPowExp2F32), power, power), DType::f32);
}

// log2 a = high + low, for positive finite a.
struct Parts {
  Expr high, low;
};
Parts log2_parts(Expr a) {
  LogReduction reduction = reduce_log(positive_bits(a), a.type());
  Expr m = reduction.mantissa;
  Expr numerator = m - 1.0;
  Expr denominator = m + 1.0;
  Expr denominator_low = m - (denominator - 1.0);
  Expr reciprocal = 1.0 / denominator;

  // s = numerator / denominator.
  Expr s = leading_half(numerator * reciprocal);
  Expr denominator_high = leading_half(denominator);
  Expr rest = numerator - s * denominator_high;
  rest = rest - s * (denominator - denominator_high);
  Expr s_low = (rest - s * denominator_low) * reciprocal;

  // artanh(s) / s = 1 + w.
  Expr square = s * s;
  Expr z = leading_half(square);
  Expr z_low = fma((s + s) + s_low, s_low, square - z);
  Expr w_high = z * kThirdHigh;
  Expr sum = z + z_low;
  Expr w_low = fma(z_low, 1.0 / 3.0, z * kThirdLow);
  w_low = fma(sum * sum, polynomial(sum, coefficients(a, kArtanh, kArtanh)), w_low);
  Expr w_sum = w_high + w_low;
  Expr w = leading_half(w_sum);
  w_low = (w_high - w) + w_low;

  // artanh(s) = product + product_low.
  Expr large = s * w;
  Expr small = fma(s, w_low, fma(s_low, w_sum, s_low));
  Expr product = leading_half(s + (large + small));
  Expr product_low = ((s - product) + large) + small;

  Expr fraction = product * kScaleHigh;
  Expr fraction_low = fma(product, kScaleLow, product_low * (kScaleHigh + kScaleLow));
  Expr high = fraction - reduction.k;
  return {high, (fraction - (high + reduction.k)) + fraction_low};
}

Expr power_f64(Expr a, Expr y, Expr is_one) {
  Parts log2 = log2_parts(a);
  // Beyond this all results are 0, 1 or infinite, and nothing below overflows.
  Expr factor = at_most(at_least(y, -0x1p70), 0x1p70);
  Expr factor_high = leading_half(factor);
  Expr log_high = leading_half(log2.high);
  Expr log_low = (log2.high - log_high) + log2.low;
  Expr high = factor_high * log_high;
  Expr low = fma(factor_high, log_low, (factor - factor_high) * (log_high + log_low));

  Expr at_ends = y * select(a == 0.0, -kInfinity, a);
  Expr is_inside = (a > 0.0) & (a < kInfinity);
  Expr t = select(is_one, 0.0, select(is_inside, high + low, at_ends));
  Expr clamped = at_most(at_least(t, -1100.0), 1100.0);
  double shifter = exp_shifter(a);
  Expr shifted = clamped + shifter;

  // y log2 a = n + r + r_low, of which r has half the digits.
  Expr no_rest = is_one | (abs(t) >= 1100.0);
  Expr rest = select(no_rest, 0.0, high - (shifted - shifter));
  Expr rest_low = select(no_rest, 0.0, low);
  Expr r = leading_half(rest + rest_low);
  Expr r_low = (rest - r) + rest_low;

  // 2^(r + r_low) = 1 + linear + tail.
  Expr linear = r * kLn2High;
  Expr whole = r + r_low;
  Expr tail = fma(r_low, kLn2High + kLn2Low, r * kLn2Low);
  tail = fma(whole * whole, polynomial(whole, kPowExp2F64), tail);
  Expr leading = linear + 1.0;
  Expr result = leading + ((linear - (leading - 1.0)) + tail);
  PowerHalves power = power_of_two_halves(to_bits(shifted), a.type());
  return result * power.first * power.second;
}

}  // namespace

Expr pow(Expr x, Expr y) {
  Expr a = abs(x);
  Expr is_one = (a == 1.0) | (y == 0.0);
  Expr result = is_f32(x) ? power_f32(a, y, is_one) : power_f64(a, y, is_one);

  Expr half = y * 0.5;
  Expr is_integer = floor(y) == y;
  Expr is_odd = is_integer & (floor(half) != half);
  Expr sign = select(is_odd, to_bits(x) & bits_of_value(x.type(), -0.0), std::int64_t{0});
  result = bitcast(to_bits(result) ^ sign, x.type());
  Expr is_undefined = (x < 0.0) & (x > -kInfinity) & !is_integer;
  return select(is_undefined, kNaN, result);
}

}  // namespace weir::scalar::expansions
