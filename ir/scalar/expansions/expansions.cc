// What the expansions share: formats, clamps, Horner's rule.
#include "ir/scalar/expansions/expansions.h"

namespace weir::scalar::expansions {
namespace {

constexpr Format kF32{DType::i32, 32, 23, 127, 0x1.8p23, 0x1.62e4p-1, 0x1.7f7d1cp-20};
constexpr Format kF64{DType::i64, 64, 52, 1023, 0x1.8p52, 0x1.62e42fefa38p-1, 0x1.ef35793c7673p-45};

}  // namespace

const Format& format_of(DType type) { return type == DType::f32 ? kF32 : kF64; }

std::int64_t bits_of_value(DType type, double value) {
  Bits bits = bits_of(type, value);
  return type == DType::f32 ? as_i32(bits) : as_i64(bits);
}

Expr leading_half(Expr x) {
  int dropped = format_of(x).fraction_bits / 2 + 1;
  return bitcast(to_bits(x) & -(std::int64_t{1} << dropped), x.type());
}

Sum product(Sum a, Sum b) {
  Expr a_high = leading_half(a.high), b_high = leading_half(b.high);
  Expr a_rest = a.high - a_high, b_rest = b.high - b_high;
  Expr high = a.high * b.high;
  Expr low = ((a_high * b_high - high) + (a_high * b_rest + a_rest * b_high)) + a_rest * b_rest;
  if (a.low.valid()) low = low + a.low * b.high;
  if (b.low.valid()) low = low + a.high * b.low;
  return {high, low};
}

Sum product(Expr a, Expr b, double limit) {
  Sum exact = product(Sum{a, {}}, Sum{b, {}});
  Expr within = abs(exact.high) < limit;
  return {at_most(at_least(exact.high, -limit), limit), select(within, exact.low, 0.0)};
}

Expr copy_sign(Expr x, Expr sign) {
  std::int64_t sign_bit = bits_of_value(x.type(), -0.0);
  return bitcast(to_bits(x) | (to_bits(sign) & sign_bit), x.type());
}

Expr polynomial(Expr x, std::span<const double> coefficients) {
  Expr result = x.like(coefficients.back());
  for (std::size_t i = coefficients.size() - 1; i-- > 0;) result = fma(result, x, coefficients[i]);
  return result;
}

}  // namespace weir::scalar::expansions
