// erf and erfc, on a = |x|, and normal_gate.
//
// erf, a < 0.9: a + a p(a^2), a minimax fit of degree 11 (f32, relative error 2^-26.1) or 23
//   (f64, 2^-56.3).
// erf above: 1 - 2^g(a), where g is a fit of log2(erfc(a)), weighted by erfc, of degree 6
//   (2^-26) or 18 (2^-55.8), up to where erf rounds to 1. g is written around the point where it
//   is -3, near the join, so that what its slope loses in rounding counts least where erfc is
//   greatest. 2^g is 2^n, put together from bits, times a polynomial of degree 5 or 10.
// erfc: with q = 1 / (a + 2), erfc(a) = 2 q exp(-a^2 + a q s(q)). The correction a q s(q) lies
//   between -1.3 and 0, so its error hardly counts, and vanishes at 0, where erfc is 1. s is a
//   minimax fit of degree 9 (2^-27.1) or 24 (2^-55.3), written around q = 0.275 for the sake of
//   its conditioning. The leading parts of q, a and s are short enough for exact products; what
//   they leave goes into the exponent. erfc(-a) = 2 - erfc(a).
// normal_gate: scale * erfc(a) / 2 with a = -x / sqrt(2) in two parts, of which the second joins
// the rest of a that erfc keeps anyway; the scale comes before the powers of two.
//
// Errors in ulp, with FMA and without; f32 over all numbers, f64 over samples:
//   erf  f32 1.17 1.32, f64 1.15 1.20      erfc  f32 1.43 1.68, f64 1.46 1.74
// Both are monotone over all f32.
#include "ir/scalar/expansions/expansions.h"

namespace weir::scalar::expansions {
namespace {

// (erf(a) - a) / a, by powers of a^2.
constexpr std::array kErfSmallF32{0x1.06eba8p-3,  -0x1.8126f4p-2, 0x1.ce1d3cp-4,
                                  -0x1.b6b80ap-6, 0x1.48543ep-8,  -0x1.3ed16ap-11};
constexpr std::array kErfSmallF64{
    0x1.06eba8214db69p-3,  -0x1.812746b0379fcp-2,  0x1.ce2f21a0434a1p-4,  -0x1.b82ce312a09c2p-6,
    0x1.565bcd1025c27p-8,  -0x1.c02db40159a8ap-11, 0x1.f9a31de6e4cd5p-14, -0x1.f4d0e8398ea9ap-17,
    0x1.b9c87463ea596p-20, -0x1.5df90b43808f3p-23, 0x1.e63aa55095091p-27, -0x1.dea1ac1c513e3p-31};

// (log2(erfc(a)) + 3) / t, by powers of t = a - kEighth, where erfc(kEighth) = 1/8.
constexpr double kEighthF32 = 0x1.15b49ap0;
constexpr double kEighthF64 = 0x1.15b49a7c38e2fp0;
constexpr std::array kLogErfcF32{-0x1.00f194p2, -0x1.3b220ap0,  -0x1.c49d08p-5,
                                 0x1.b22d32p-7, -0x1.4f1e64p-9, 0x1.2a4a9ap-12};
constexpr std::array kLogErfcF64{
    -0x1.00f19411fa18ep2,   -0x1.3b22380946f7ep0,   -0x1.c49eb993b860bp-5,  0x1.b3ef081d08d6fp-7,
    -0x1.5e996021b1498p-9,  0x1.770cde99f2db2p-12,  0x1.ed76c41d8fc84p-17,  -0x1.ef887612df60ap-16,
    0x1.7f883fe404316p-17,  -0x1.6ba45192fdc48p-19, 0x1.3e2de7375132cp-22,  0x1.60a1b6f832011p-24,
    -0x1.f4ec53e105612p-25, 0x1.445e3f24e68eep-26,  -0x1.142b2ec8ea1a9p-28, 0x1.399c324dbbffp-31,
    -0x1.b0b5145958daep-35, 0x1.127caf6379326p-39};

// (2^r - 1) / r.
constexpr std::array kErfExp2F32{0x1.62e42ap-1, 0x1.ebf9bap-3, 0x1.c6b69ap-5, 0x1.3ceaf8p-7,
                                 0x1.5bfd58p-10};
constexpr std::array kErfExp2F64{
    0x1.62e42fefa3a12p-1,  0x1.ebfbdff82c431p-3,  0x1.c6b08d703e18ep-5,  0x1.3b2ab6fbd6dbep-7,
    0x1.5d87fe9b8d2a2p-10, 0x1.4309126be05f9p-13, 0x1.ffcb58ce7eb4dp-17, 0x1.62c147edea337p-20,
    0x1.b671af6e9ace6p-24, 0x1.e3a8908819ee9p-28};

// (a^2 + log(erfc(a) / (2 q))) / (a q) - constant, by powers of q - kCenter. The constant is short.
constexpr double kCenter = 0.275390625;
constexpr double kConstantF32 = -0x1.57cp0;
constexpr double kConstantF64 = -0x1.57a8ep0;
constexpr std::array kCorrectionF32{0x1.72004p-12, 0x1.5cbc88p-4, 0x1.89ba3ap0, -0x1.15a282p-2,
                                    -0x1.0b1e84p2, 0x1.627da6p1,  0x1.aba77p3,  -0x1.3016f4p4,
                                    -0x1.060646p5, 0x1.1b6802p6};
constexpr std::array kCorrectionF64{
    -0x1.1d5b200000000p-29, 0x1.5cbd4e16cfab1p-4,  0x1.89ba759c714ffp0,   -0x1.15fc99d07b5bfp-2,
    -0x1.0b33f7839143p2,    0x1.682a1b6bd096bp1,   0x1.af9f318a6ed6ap3,   -0x1.55811a421e6cap4,
    -0x1.255ee3feefd01p5,   0x1.fcf54393377a3p6,   0x1.57c1135f3a58bp4,   -0x1.245ee4a9c6145p9,
    0x1.394db87a026dep9,    0x1.b9ffd2c611253p10,  -0x1.4004580c287cap12, -0x1.051ac284f7a3fp9,
    0x1.5ee6e44cc7e32p14,   -0x1.dfebf783296f7p14, -0x1.638fdee8cd2ep15,  0x1.77651381f0d61p17,
    -0x1.8f58485b1d6e2p16,  -0x1.20021a4705d02p19, 0x1.df13df01760eep19,  0x1.84a43de1ccb9ap19,
    -0x1.0e80e8a03f771p21};

}  // namespace

Expr erf(Expr x) {
  Expr a = abs(x);
  Expr small = fma(polynomial(a * a, coefficients(x, kErfSmallF32, kErfSmallF64)), a, a);

  // From here on the result is 1.
  Expr clamped = at_most(a, by_type(x, 4.0, 6.0));
  Expr t = clamped - by_type(x, kEighthF32, kEighthF64);
  Expr slope = polynomial(t, coefficients(x, kLogErfcF32, kLogErfcF64));
  const Format& format = format_of(x);
  double shifter = format.shifter + format.bias;
  Expr shifted = fma(slope, t, shifter - 3.0);
  Expr r = fma(slope, t, -3.0 - (shifted - shifter));
  Expr power = bitcast(to_bits(shifted) << format.fraction_bits, x.type());
  Expr factor = r * polynomial(r, coefficients(x, kErfExp2F32, kErfExp2F64));
  Expr large = (1.0 - power) - power * factor;

  return copy_sign(select(a < 0.9, small, large), x);
}

Expr erfc_correction(Expr q) {
  return polynomial(q - kCenter, coefficients(q, kCorrectionF32, kCorrectionF64)) +
         by_type(q, kConstantF32, kConstantF64);
}

namespace {

// weight * erfc(a) / 2 for a = high + low >= 0.
Expr half_erfc(Sum argument, Expr weight) {
  // Far beyond where the result is 0, even times a weight.
  Expr a = at_most(argument.high, by_type(weight, 12.6, 35.0));

  // q is short: q (1 + u) = 1 / (a + 2), and e = 1 - q (a + 2) is exact but for its last digits.
  Expr leading = leading_half(a);
  Expr trailing = a - leading;
  if (argument.low.valid()) trailing = trailing + argument.low;
  double shifter = by_type(a, 0x1.8p10, 0x1.8p25);  // leaves q ulp of 2^-13 or 2^-27
  Expr q = (1.0 / (a + 2.0) + shifter) - shifter;
  Expr product = q * leading;
  Expr product_rest = q * trailing;
  Expr e = (fma(q, -2.0, 1.0) - product) - product_rest;
  Expr u = fma(e, e, e);
  Expr log_one_plus_u = fma(e * 0.5, e, e);

  // a / (a + 2) in two parts, the first short.
  Expr fraction = leading_half(product);
  Expr fraction_low = fma(product + product_rest, u, product_rest) + (product - fraction);

  // The exponent as a large part, exact, and a small one.
  double constant = by_type(a, kConstantF32, kConstantF64);
  Expr t = fma(q, u, q - kCenter);
  Expr correction = polynomial(t, coefficients(a, kCorrectionF32, kCorrectionF64));
  Expr small = fma(fraction_low, constant, log_one_plus_u - trailing * (a + leading));
  small = fma(fraction + fraction_low, correction, small);
  ExpReduction reduction =
      reduce_exp(-(leading * leading), exp_shifted(fma(fraction, constant, small - a * a)));
  reduction.high = fma(fraction, constant, reduction.high);
  Expr r = remainder(reduction) + small;

  PowerHalves power = power_of_two_halves(to_bits(reduction.shifted), a.type());
  Expr weighted = q * weight;
  return fma(expm1_near_zero(r), weighted, weighted) * power.first * power.second;
}

}  // namespace

Expr erfc(Expr x) {
  Expr result = half_erfc({abs(x), {}}, x.like(2.0));
  return select(x < 0.0, 2.0 - result, result);
}

Expr normal_gate(Expr scale, Expr x) {
  // erfc(-x / sqrt(2)) / 2, with the argument in two parts.
  // sqrt(1/2) in two parts.
  Sum root{x.like(by_type(x, 0x1.6a09e6p-1, 0x1.6a09e667f3bcdp-1)),
           x.like(by_type(x, 0x1.9fcef4p-27, -0x1.bdd3413b26456p-55))};
  Expr a = at_most(abs(x), by_type(x, 30.0, 60.0));
  Sum argument = product(Sum{a, {}}, root);
  Expr below = x < 0.0;
  Expr tail = half_erfc(argument, select(below, scale, 1.0));
  return select(below, tail, scale * (1.0 - tail));
}

}  // namespace weir::scalar::expansions
