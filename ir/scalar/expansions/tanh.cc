// tanh, on a = |x|, with the sign of x put back.
//
//   a < 0.625 (f32), 0.55 (f64): a + a^3 p(a^2), a minimax fit of degree 11 (relative error
//     2^-27.7) or 23 (2^-60.6);
//   above: 1 - 2 / (exp(2 a) + 1), where the quotient is below 0.5 and its error counts less.
//
// Errors in ulp, with FMA and without; f32 over all numbers, f64 over samples:
//   f32 1.20 1.20, f64 1.38 1.38
// Monotone over all f32.
#include "ir/scalar/expansions/expansions.h"

namespace weir::scalar::expansions {
namespace {

// (tanh(a) - a) / a^3, by powers of a^2.
constexpr std::array kTanhSmallF32{-0x1.555532p-2, 0x1.110704p-3, -0x1.b83898p-5, 0x1.521152p-6,
                                   -0x1.758cap-8};
constexpr std::array kTanhSmallF64{
    -0x1.555555555554fp-2,  0x1.1111111110792p-3, -0x1.ba1ba1b97cdep-5,   0x1.664f48594bb39p-6,
    -0x1.226e2f0fd2cb6p-7,  0x1.d6d29adb8b7ecp-9, -0x1.7d8fca3a55262p-10, 0x1.34836040adb36p-11,
    -0x1.e96ca0cc3024cp-13, 0x1.5d6b3a51a2adp-14, -0x1.46fa348a02e03p-16};

}  // namespace

Expr tanh(Expr x) {
  Expr a = abs(x);
  Expr square = a * a;
  Expr small =
      fma(a * square, polynomial(square, coefficients(x, kTanhSmallF32, kTanhSmallF64)), a);

  // From here on the result is 1.
  Expr clamped = at_most(a, by_type(x, 9.1, 19.2));
  ExpReduction reduction = reduce_exp(clamped + clamped);
  Expr power = power_of_two(reduction);
  Expr denominator = fma(expm1_near_zero(remainder(reduction)), power, power + 1.0);
  Expr large = 1.0 - 2.0 / denominator;

  return copy_sign(select(a < by_type(x, 0.625, 0.55), small, large), x);
}

}  // namespace weir::scalar::expansions
