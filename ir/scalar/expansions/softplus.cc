// softplus: log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|)).
//
// Between 0 and 1 that sum goes up in steps of x that are finer than those in which log1p(exp(-x))
// goes down, so it would not be monotone. There it is ln 2 + (x / 2 + x^2 q(x^2)), with the series
// of log(cosh(x / 2)); x / 2 is exact, and what rounds is smaller than a step. ln 2 in two parts.
//
// Error 1.6 ulp in f32 and 1.7 in f64, with FMA and without.
#include "ir/scalar/expansions/expansions.h"

namespace weir::scalar::expansions {
namespace {

// (log(cosh(x / 2))) / x^2, by powers of x^2.
constexpr std::array kSeriesF32{0x1p-3,         -0x1.555556p-8,  0x1.6c16c2p-12, -0x1.ba1ba2p-16,
                                0x1.1ea5d4p-19, -0x1.833d9cp-23, 0x1.0d0b52p-26, -0x1.7da364p-30};
constexpr std::array kSeriesF64{
    0x1.0000000000000p-3,  -0x1.5555555555555p-8,  0x1.6c16c16c16c17p-12, -0x1.ba1ba1ba1ba1cp-16,
    0x1.1ea5d39bcda62p-19, -0x1.833d9c7de5851p-23, 0x1.0d0b52c9e9112p-26, -0x1.7da36452b75e3p-30,
    0x1.12f9040030676p-33, -0x1.91312c2a411eap-37, 0x1.27a186514dcdbp-40, -0x1.b75213e2dc322p-44,
    0x1.48b523f82ecb2p-47, -0x1.eed15847de10ap-51, 0x1.7658604c0f507p-54, -0x1.1c77df95c1c0dp-57,
    0x1.b2090d1376fbfp-61};

}  // namespace

Expr softplus(Expr x) {
  Expr outside = select(x > 0.0, x, 0.0) + expansions::log1p(expansions::exp(-abs(x)));
  Expr square = x * x;
  Expr curve = fma(square, polynomial(square, coefficients(x, kSeriesF32, kSeriesF64)),
                   by_type(x, -0x1.05c610p-29, 0x1.abc9e3b39803fp-56));
  Expr between = fma(x, 0.5, curve) + by_type(x, 0x1.62e43p-1, 0x1.62e42fefa39efp-1);
  return select((x > 0.0) & (x < 1.0), between, outside);
}

}  // namespace weir::scalar::expansions
