// exp, expm1 and scaled_exp.
//
// exp: x = n ln 2 + r with n the nearest integer (found by adding 1.5 * 2^fraction_bits), ln 2 in
// two parts of which the first is short enough for n times it to be exact; exp(r) = 1 + r +
// r^2 q(r), a minimax fit of degree 6 (f32, relative error 2^-27.5) or 11 (f64, 2^-57); then two
// factors 2^(n/2), so that results beyond the largest number and denormal ones come out right.
// expm1: the same reduction, but n = 0 up to |x| = 0.5, where the sum would cancel, and what r
// loses in rounding is kept; 2^n (exp(r) - 1) + (2^n - 1). Degree 7 (2^-27.5) or 12 (2^-55.3).
//
// The fits are those of expm1(r) - r on |r| <= 0.34692 for exp, and of expm1(r) - r - r^2 / 2 on
// |r| <= 0.5 for expm1, both relative to expm1.
// scaled_exp: exp of a product, in two parts that are exact together, times a scale that comes
// before the powers of two: so neither the exponent's rounding counts, which costs as many ulp as
// the exponent is large, nor that of denormal numbers.
//
// Errors in ulp, with FMA and without; f32 over all numbers, f64 over samples:
//   exp  f32 1.04 1.01, f64 1.02 1.00      expm1  f32 1.20 1.22, f64 1.30 1.30
// Both are monotone over all f32.
#include "ir/scalar/expansions/expansions.h"

namespace weir::scalar::expansions {
namespace {

constexpr double kLog2E = 0x1.71547652b82fep+0;

// (exp(r) - 1 - r) / r^2, for exp.
constexpr std::array kExpF32{0x1.fffffep-2, 0x1.5554bp-3, 0x1.555718p-5, 0x1.1227b8p-7,
                             0x1.6b7182p-10};
constexpr std::array kExpF64{0x1.0000000000005p-1,  0x1.555555555553ap-3,  0x1.55555555520e5p-5,
                             0x1.1111111118c58p-7,  0x1.6c16c17f3e4ddp-10, 0x1.a01a01768e13fp-13,
                             0x1.a019a6692446bp-16, 0x1.71de84036dbafp-19, 0x1.28a2cf3197ff4p-22,
                             0x1.ae7313dfcc14ap-26};
// The same, negated, for expm1.
constexpr std::array kExpm1F32{-0x1p-1,        -0x1.55555p-3,  -0x1.5553aap-5,
                               -0x1.1114d8p-7, -0x1.6e829p-10, -0x1.9eeca2p-13};
constexpr std::array kExpm1F64{-0x1p-1,
                               -0x1.55555555555d1p-3,
                               -0x1.5555555555365p-5,
                               -0x1.11111110f4273p-7,
                               -0x1.6c16c16c87f21p-10,
                               -0x1.a01a022914f92p-13,
                               -0x1.a01a0099d1f49p-16,
                               -0x1.71dd2236892e1p-19,
                               -0x1.27e5caeda1121p-22,
                               -0x1.b06942f6cad8bp-26,
                               -0x1.1efc722dd9826p-29};

}  // namespace

double exp_shifter(Expr x) { return format_of(x).shifter + 2 * format_of(x).bias; }

Expr exp_shifted(Expr x) { return fma(x, kLog2E, exp_shifter(x)); }

ExpReduction reduce_exp(Expr x) { return reduce_exp(x, exp_shifted(x)); }

ExpReduction reduce_exp(Expr x, Expr shifted) {
  Expr n = shifted - exp_shifter(x);
  return {shifted, n, fma(n, -format_of(x).ln2_high, x)};
}

Expr remainder(const ExpReduction& reduction) {
  return fma(reduction.n, -format_of(reduction.n).ln2_low, reduction.high);
}

Expr expm1_near_zero(Expr r) {
  return fma(r * r, polynomial(r, coefficients(r, kExpF32, kExpF64)), r);
}

Expr power_of_two(const ExpReduction& reduction) {
  const Format& format = format_of(reduction.n);
  Expr exponent = to_bits(reduction.shifted) - static_cast<std::int64_t>(format.bias);
  return bitcast(exponent << format.fraction_bits, reduction.n.type());
}

PowerHalves power_of_two_halves(Expr biased, DType type) {
  const Format& format = format_of(type);
  // Both halves are biased exponents; the shift drops what is above them.
  Expr half = biased >> 1;
  return {bitcast(half << format.fraction_bits, type),
          bitcast((biased - half) << format.fraction_bits, type)};
}

Expr exp(Expr x) {
  // Beyond these the result is 0 or infinite, and stays so. Below the first one factor is 0, as well
  // as the result: a product of others that vanishes takes a processor many times as long, and what
  // a mask leaves out of a softmax is such an element.
  Expr clamped = at_most(at_least(x, by_type(x, -176.0, -1418.0)), by_type(x, 89.0, 710.0));
  ExpReduction reduction = reduce_exp(clamped);
  PowerHalves power = power_of_two_halves(to_bits(reduction.shifted), x.type());
  return fma(expm1_near_zero(remainder(reduction)), power.first, power.first) * power.second;
}

Expr scaled_exp(Expr scale, Expr a, Expr b) {
  // Beyond these the result is 0 or infinite, and two factors 2^(n/2) are enough.
  Sum exponent = product(a, b, by_type(a, 176.0, 1410.0));
  ExpReduction reduction = reduce_exp(exponent.high);
  Expr r = remainder(reduction) + exponent.low;
  PowerHalves power = power_of_two_halves(to_bits(reduction.shifted), a.type());
  return fma(expm1_near_zero(r), scale, scale) * power.first * power.second;
}

Expr expm1(Expr x) {
  const Format& format = format_of(x);
  // Below, the result is -1.
  Expr clamped = at_most(at_least(x, by_type(x, -18.0, -38.0)), by_type(x, 89.0, 710.0));
  Expr small = abs(x) < 0.5;
  ExpReduction reduction = reduce_exp(clamped, select(small, exp_shifter(x), exp_shifted(clamped)));
  Expr low = reduction.n * format.ln2_low;
  Expr r = reduction.high - low;
  // exp(r) - 1 = r - minus_tail, which includes what r has lost. Subtracting keeps the sign of a
  // zero x.
  Expr quotient = polynomial(r, coefficients(r, kExpm1F32, kExpm1F64));
  Expr minus_tail = fma(r * r, quotient, low - (reduction.high - r));
  Expr p = r - minus_tail;
  // Half the power of two, for n may be the exponent of infinity.
  Expr exponent = to_bits(reduction.shifted) - static_cast<std::int64_t>(format.bias + 1);
  Expr half = bitcast(exponent << format.fraction_bits, x.type());
  Expr half_result = fma(half, p, half - 0.5);
  return select(small, p, half_result + half_result);
}

}  // namespace weir::scalar::expansions
