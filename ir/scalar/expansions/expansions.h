// Behind ir/scalar/expand.h: one function an elementary primitive, and what they share.
//
// Rules that every expansion keeps:
//   - no branch: both sides of a select are computed, so neither may matter where it is not chosen;
//   - `fma` may round once or twice. Where a product must be exact, its factors are short enough;
//   - NaN passes through `select(c < x, c, x)` (one machine instruction on x86), which is why the
//     clamps below are not min and max.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <span>

#include "ir/scalar/expr.h"

namespace weir::scalar::expansions {

Expr exp(Expr x);
Expr expm1(Expr x);
Expr log(Expr x);
Expr log1p(Expr x);
Expr tanh(Expr x);
Expr erf(Expr x);
Expr erfc(Expr x);
Expr sin(Expr x);
Expr cos(Expr x);
Expr pow(Expr x, Expr y);
Expr scaled_exp(Expr scale, Expr a, Expr b);
Expr sigmoid(Expr x);
Expr sigmoid_gate(Expr scale, Expr x);
Expr normal_gate(Expr scale, Expr x);
Expr tanh_gate(Expr scale, Expr x);
Expr softplus(Expr x);

// s(q) in erfc(a) = 2 q exp(-a^2 + a q s(q)) with q = 1 / (a + 2) and a >= 0.
Expr erfc_correction(Expr q);

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// The layout of a float type.
struct Format {
  DType bits;  // the integer type of the same width
  int width;
  int fraction_bits;  // stored ones
  int bias;           // of the exponent
  double shifter;     // 1.5 * 2^fraction_bits: adding it rounds to an integer
  // ln 2 in two parts. The first is short enough for its product with an exponent to be exact.
  double ln2_high;
  double ln2_low;
};

const Format& format_of(DType type);
inline const Format& format_of(Expr x) { return format_of(x.type()); }

inline bool is_f32(Expr x) { return x.type() == DType::f32; }
template <class T>
T by_type(Expr x, T f32, T f64) {
  return is_f32(x) ? f32 : f64;
}

// The polynomial's coefficients for the type of x.
inline std::span<const double> coefficients(Expr x, std::span<const double> f32,
                                            std::span<const double> f64) {
  return by_type(x, f32, f64);
}

inline Expr to_bits(Expr x) { return bitcast(x, format_of(x).bits); }
// The bits of a value of `type`, as a number for integer expressions.
std::int64_t bits_of_value(DType type, double value);

inline Expr at_most(Expr x, double limit) { return select(x > limit, limit, x); }
inline Expr at_least(Expr x, double limit) { return select(x < limit, limit, x); }
// x with the lower half of its digits cut off: the product of two such numbers is exact.
Expr leading_half(Expr x);
// A number as the sum of two.
struct Sum {
  Expr high, low;
};
// a * b, exact but for its last digits twice over. Where the product is beyond +-limit it is that,
// and its low part 0; NaN stays.
Sum product(Expr a, Expr b, double limit);
// The same without a limit, for factors that are themselves sums.
Sum product(Sum a, Sum b);
// |x| with the sign of `sign`.
Expr copy_sign(Expr x, Expr sign);

// c0 + x * (c1 + x * (c2 + ...)), by Horner's rule.
Expr polynomial(Expr x, std::span<const double> coefficients);

// x = n ln 2 + r with |r| <= ln 2 / 2 and a little, so exp(x) = 2^n exp(r). |x| must be within the
// range of exp: below 105 for f32, 750 for f64.
struct ExpReduction {
  Expr shifted;  // its low bits, as an integer, are n + 2 * bias
  Expr n;        // as a float
  Expr high;     // x - n (leading part of ln 2), exact
};
ExpReduction reduce_exp(Expr x);
// The same for a chosen n.
ExpReduction reduce_exp(Expr x, Expr shifted);
Expr exp_shifted(Expr x);                       // ExpReduction::shifted for the nearest n
double exp_shifter(Expr x);                     // for n = 0
Expr remainder(const ExpReduction& reduction);  // r
// exp(r) - 1 for |r| <= ln 2 / 2, as accurate as exp(r) needs.
Expr expm1_near_zero(Expr r);
// 2^n, for n within the exponents of normal numbers.
Expr power_of_two(const ExpReduction& reduction);
// Two factors with the product 2^n, for biased = n + 2 * bias in its low bits, as in
// ExpReduction::shifted, and all n between -2 * bias and 2 * bias. Multiplying by one after the
// other gives infinite and denormal results where they are right.
struct PowerHalves {
  Expr first;
  Expr second;
};
PowerHalves power_of_two_halves(Expr biased, DType type);

// For the bits of a number x, 0 < x < inf: x 2^k = 1 + f within [3/4, 3/2) for f32, (sqrt(1/2),
// sqrt(2)] for f64. The bits may lie below those of the smallest normal number, exponents going on
// there.
struct LogReduction {
  Expr mantissa;  // 1 + f
  Expr k;         // as a float
  Expr power;     // 2^(k + 64), which cannot underflow
};
LogReduction reduce_log(Expr bits, DType type);
// Such bits of any positive number.
Expr positive_bits(Expr x);
// log(1 + f) - k ln 2. Keeps the sign of a zero f if k is 0.
Expr log_near_one(Expr f, Expr k);

}  // namespace weir::scalar::expansions
