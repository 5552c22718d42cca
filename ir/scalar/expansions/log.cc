// log and log1p.
//
// x = 2^e (1 + f) by integer arithmetic on the bits; k = -e.
//   f32: 3/4 <= 1 + f < 3/2; log(1 + f) = f - f^2 (1/2 - f p(f)), a minimax fit of degree 10,
//     relative error 2^-27.6.
//   f64: sqrt(1/2) < 1 + f <= sqrt(2); with s = f / (2 + f), log(1 + f) = 2 artanh(s)
//     = 2 s + s^3 r(s^2) = f - s (f - s^2 r(s^2)), a fit of degree 15, 2^-59.5. The division runs
//     beside the multiplications, and replaces a dozen of them.
// e ln 2 is added in two parts, the first of which is exact.
// log1p takes the exponent from 1 + x, but f = x 2^k - (1 - 2^k) from x itself: one rounding.
//
// Errors in ulp, with FMA and without; f32 over all numbers, f64 over samples:
//   log  f32 0.92 1.00, f64 0.88 0.96      log1p  f32 0.92 1.00, f64 1.48 1.55
// Both are monotone over all f32.
#include <limits>
#include <numbers>

#include "ir/scalar/expansions/expansions.h"

namespace weir::scalar::expansions {
namespace {

// (f - log(1 + f)) / f^2.
constexpr std::array kLogF32{0x1p-1,         -0x1.5555a4p-2, 0x1.000042p-2,
                             -0x1.996966p-3, 0x1.54ef16p-3,  -0x1.2886bap-3,
                             0x1.0d93fcp-3,  -0x1.aca096p-4, 0x1.713e14p-5};
// (2 s - 2 artanh(s)) / s^3, by powers of s^2.
constexpr std::array kArtanhF64{-0x1.5555555555592p-1, -0x1.999999997ff58p-2, -0x1.24924941dc60cp-2,
                                -0x1.c71c5218e1393p-3, -0x1.74663bf27631p-3,  -0x1.39a2024e0fd19p-3,
                                -0x1.2f02bc0fd3562p-3};

// A multiple of the exponent's unit that keeps k positive; f32 has an arithmetic shift instead.
constexpr std::int64_t kOffsetF64 = 1100;

// The value at the ends of the domain: 0 (where distance is the argument's distance from there)
// gives -infinity, below NaN; infinity and NaN stay.
Expr at_ends(Expr x, Expr result, double zero) {
  Expr within = select(x < kInfinity, result, x);
  return select(x > zero, within, select(x == zero, -kInfinity, x.like(kNaN)));
}

}  // namespace

LogReduction reduce_log(Expr bits, DType type) {
  const Format& format = format_of(type);
  std::int64_t top = bits_of_value(type, type == DType::f32 ? 0x1.7ffffep0 : std::numbers::sqrt2);
  std::int64_t fraction = (std::int64_t{1} << format.fraction_bits) - 1;
  LogReduction result;
  Expr difference;  // its high bits are k
  Expr k;
  if (type == DType::f32) {
    difference = top - bits;
    k = shift_right_arithmetic(difference, format.fraction_bits);
    result.k = cast(k, type);
  } else {
    // There is no arithmetic shift of i64 before AVX-512, nor a cast to f64.
    difference = static_cast<std::int64_t>(static_cast<std::uint64_t>(top) +
                                           (std::uint64_t{kOffsetF64} << 52)) -
                 bits;
    k = difference >> 52;
    double shifter = 0x1p52;
    result.k = bitcast(k | bits_of_value(type, shifter), type) -
               (shifter + static_cast<double>(kOffsetF64));
  }
  result.mantissa = bitcast(top - (difference & fraction), type);
  std::int64_t offset = type == DType::f32 ? 0 : kOffsetF64;
  result.power = bitcast((k + (format.bias + 64 - offset)) << format.fraction_bits, type);
  return result;
}

Expr log_near_one(Expr f, Expr k) {
  Expr low = k * format_of(f).ln2_low;
  Expr minus_tail;
  if (is_f32(f)) {
    minus_tail = fma(f * f, polynomial(f, kLogF32), low);
  } else {
    Expr s = f / (f + 2.0);
    Expr z = s * s;
    minus_tail = fma(s, fma(z, polynomial(z, kArtanhF64), f), low);
  }
  // With k = +0 the last step adds -0, and subtracting the tail's +0 keeps the sign of f.
  return fma(k, -format_of(f).ln2_high, f - minus_tail);
}

Expr positive_bits(Expr x) {
  const Format& format = format_of(x);
  // Denormal numbers are scaled up; their bits then count on below those of the smallest normal
  // one.
  double smallest_normal = by_type(x, 0x1p-126, 0x1p-1022);
  Expr scaled = x * by_type(x, 0x1p23, 0x1p52);
  std::int64_t scale = static_cast<std::int64_t>(format.fraction_bits) << format.fraction_bits;
  return select(x < smallest_normal, to_bits(scaled) - scale, to_bits(x));
}

Expr log(Expr x) {
  LogReduction reduction = reduce_log(positive_bits(x), x.type());
  return at_ends(x, log_near_one(reduction.mantissa - 1.0, reduction.k), 0.0);
}

Expr log1p(Expr x) {
  LogReduction reduction = reduce_log(to_bits(x + 1.0), x.type());
  Expr power = reduction.power * 0x1p-64;
  Expr f = fma(x, power, -(1.0 - power));
  return at_ends(x, log_near_one(f, reduction.k), -1.0);
}

}  // namespace weir::scalar::expansions
