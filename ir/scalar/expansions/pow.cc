// pow: 2^(y log2 |x|), with the sign and the special cases of C's pow.
//
// y log2 |x| may be as large as 1075 and must be right to a fraction of an ulp of its fraction, so
// log2 |x| needs 11 more bits than the type has (8 for f32).
//   f32: in f64. |x| = 2^e m with sqrt(1/2) < m <= sqrt(2), s = (m - 1) / (m + 1),
//     log2 m = s p(s^2), a minimax fit of degree 9, relative error 2^-37.8.
//   f64: in sums of two numbers, of which the first has half the digits, so that products are exact
//     with and without FMA. log m = 2 artanh(s) = 2 s (1 + z/3 + z^2 t(z)), z = s^2, of degree 17,
//     2^-66.3.
// Then y log2 |x| = n + r, and 2^r is a minimax polynomial of degree 6 (2^-28) or 11 (2^-57.3).
//
// Errors in ulp, with FMA and without, over samples:
//   f32 1.17 1.20, f64 1.15 1.20
#include <limits>

#include "ir/scalar/expansions/expansions.h"

namespace weir::scalar::expansions {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

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

// (2^r - 1) / r.
constexpr std::array kExp2F32{0x1.62e43p-1, 0x1.ebfbd8p-3,  0x1.c6af76p-5,
                              0x1.3b30ap-7, 0x1.5f0b82p-10, 0x1.3fa206p-13};
constexpr std::array kExp2F64{0x1.62e42fefa39efp-1,  0x1.ebfbdff82c5a6p-3,  0x1.c6b08d704a12cp-5,
                              0x1.3b2ab6fb9fda6p-7,  0x1.5d87fe789e96fp-10, 0x1.4309130f6cbdbp-13,
                              0x1.ffcbfc6685ee5p-17, 0x1.62bfc6596be6ap-20, 0x1.b52522bc20bcdp-24,
                              0x1.e61d4332035bap-28, 0x1.e9731780488cp-32};

// y log2 |x| as an integer n and the rest r, |r| <= 1/2.
struct Exponent {
  Expr biased;  // n + 2 * bias, an integer of the width of the result
  Expr r;
};

Exponent exponent_f32(Expr magnitude, Expr y_f32, Expr is_one) {
  Expr a = cast(magnitude, DType::f64);  // no denormal number is left
  Expr y = cast(y_f32, DType::f64);
  LogReduction reduction = reduce_log(to_bits(a), DType::f64);
  Expr s = (reduction.mantissa - 1.0) / (reduction.mantissa + 1.0);
  Expr log2 = fma(s, polynomial(s * s, kLog2), -reduction.k);
  Expr log2_of_any = select(a == 0.0, -kInfinity, select(a < kInfinity, log2, a));
  Expr t = select(is_one, 0.0, y * log2_of_any);
  t = at_most(at_least(t, -160.0), 160.0);
  double shifter = format_of(a).shifter + 2 * format_of(magnitude).bias;
  Expr shifted = t + shifter;
  return {cast(to_bits(shifted), DType::i32), cast(t - (shifted - shifter), DType::f32)};
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

Exponent exponent_f64(Expr a, Expr y, Expr is_one) {
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
  Expr r = (high - (shifted - shifter)) + low;
  Expr no_rest = is_one | (abs(t) >= 1100.0);
  return {to_bits(shifted), select(no_rest, 0.0, r)};
}

}  // namespace

Expr pow(Expr x, Expr y) {
  Expr a = abs(x);
  Expr is_one = (a == 1.0) | (y == 0.0);
  Exponent exponent = is_f32(x) ? exponent_f32(a, y, is_one) : exponent_f64(a, y, is_one);
  Expr r = exponent.r;
  PowerHalves power = power_of_two_halves(exponent.biased, x.type());
  Expr grown = r * polynomial(r, coefficients(r, kExp2F32, kExp2F64));
  Expr result = fma(grown, power.first, power.first) * power.second;

  Expr half = y * 0.5;
  Expr is_integer = floor(y) == y;
  Expr is_odd = is_integer & (floor(half) != half);
  Expr sign = select(is_odd, to_bits(x) & bits_of_value(x.type(), -0.0), std::int64_t{0});
  result = bitcast(to_bits(result) ^ sign, x.type());
  Expr is_undefined = (x < 0.0) & (x > -kInfinity) & !is_integer;
  return select(is_undefined, kNaN, result);
}

}  // namespace weir::scalar::expansions
