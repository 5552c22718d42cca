// sin and cos: |x| 2/pi = quadrant + fraction, exactly enough for every finite x (Payne and
// Hanek's method: bits of 2/pi that give multiples of 4 are left out), then polynomials on
// |r| <= pi/4 and, in f32, a little more.
//
// A number of type f32 comes as close as 2^-30 to a multiple of pi/2, one of f64 as close as
// 2^-62; the fraction must have full accuracy below that.
//   f32: in f64. The exponent chooses one of four windows of 2/pi, three numbers each; the
//     products with the first two are exact, so their integer parts can be taken off exactly.
//   f64: in integers. The exponent chooses 192 bits of 2/pi; the product with the 53 bits of x,
//     modulo 2^192, has the quadrant in its two highest bits. Below pi/4 nothing is reduced.
// A shorter reduction of small arguments would save nothing, as both sides of a select are
// computed. The reduction is 37 operations of 63 in f32 (most of them in f64, so on half as many
// lanes), and 160 of 190 in f64.
//
// sin r = r + r^3 p(r^2), cos r = 1 - r^2/2 + r^4 q(r^2): minimax fits of degree 7 and 8 (f32;
// relative errors 2^-26.5, 2^-31), 13 and 14 (f64; 2^-57.8, 2^-63).
//
// Errors in ulp, with FMA and without; f32 over all numbers, f64 over samples:
//   sin  f32 0.88 0.92, f64 0.78 0.78      cos  f32 0.87 0.93, f64 0.78 0.78
#include <algorithm>
#include <vector>

#include "ir/scalar/expansions/expansions.h"

namespace weir::scalar::expansions {
namespace {

constexpr std::array kSinF32{-0x1.555534p-3, 0x1.11012cp-7, -0x1.976bbp-13};
constexpr std::array kSinF64{-0x1.5555555555548p-3, 0x1.111111110f76p-7,    -0x1.a01a019bf2b7ap-13,
                             0x1.71de355fa46d5p-19, -0x1.ae5e54ffce7d4p-26, 0x1.5d8e6226d3873p-33};
constexpr std::array kCosF32{0x1.55553ep-5, -0x1.6c05a4p-10, 0x1.983d3p-16};
constexpr std::array kCosF64{0x1.555555555554bp-5,  -0x1.6c16c16c15018p-10,
                             0x1.a01a019c8f942p-16, -0x1.27e4f7f1ee40dp-22,
                             0x1.1ee9dc126f59fp-29, -0x1.8fa6a86831e75p-37};

// |x| = quadrant * pi/2 + high + low, modulo 2 pi.
struct Reduction {
  Expr quadrant;  // an integer, modulo 4
  Expr high;
  Expr low;
};

// 2/pi without its highest 26 k bits: its next 29 bits, 26 more, and the rest.
struct Window {
  double first, second, rest;
};
constexpr std::array kWindows{
    Window{0x1.45f306dp-1, 0x1.939105p-30, 0x1.29fc2757d1f53p-56},
    Window{0x1.727220ap-27, 0x1.29fc27p-56, 0x1.5f47d4d377037p-82},
    Window{0x1.4a7f09cp-54, 0x1.5f47d48p-82, 0x1.4ddc0db629599p-108},
    Window{0x1.abe8fa9p-79, 0x1.4ddc0d8p-108, 0x1.b14acc9e21c82p-135},
};

Reduction reduce_f32(Expr magnitude) {
  Expr a = cast(magnitude, DType::f64);
  auto choose = [&](double Window::* part) {
    Expr low = select(a < 0x1p51, kWindows[0].*part, a.like(kWindows[1].*part));
    Expr high = select(a < 0x1p103, kWindows[2].*part, a.like(kWindows[3].*part));
    return select(a < 0x1p77, low, high);
  };
  double shifter = format_of(a).shifter;
  Expr first = a * choose(&Window::first);  // below 2^51
  Expr shifted = first + shifter;
  Expr fraction = first - (shifted - shifter);
  Expr second = a * choose(&Window::second);  // below 2^22
  Expr second_shifted = (fraction + second) + shifter;
  fraction = fraction + (second - (second_shifted - shifter));
  fraction = fma(a, choose(&Window::rest), fraction);  // adds less than 2^-4
  Expr r = fraction * 0x1.921fb54442d18p+0;
  Expr high = cast(r, DType::f32);
  return {cast(to_bits(shifted) + to_bits(second_shifted), DType::i32), high,
          cast(r - cast(high, DType::f64), DType::f32)};
}

// 2/pi in words of 64 bits, after 64 zero bits.
constexpr std::array<std::uint64_t, 20> kTwoOverPi{
    0x0000000000000000, 0xa2f9836e4e441529, 0xfc2757d1f534ddc0, 0xdb6295993c439041,
    0xfe5163abdebbc561, 0xb7246e3a424dd2e0, 0x06492eea09d1921c, 0xfe1deb1cb129a73e,
    0xe88235f52ebb4484, 0xe99c7026b45f7e41, 0x3991d639835339f4, 0x9c845f8bbdf9283b,
    0x1ff897ffde05980f, 0xef2f118b5a0a6d1f, 0x6d367ecf27cb09b7, 0x4f463f669e5fea2d,
    0x7527bac7ebe5f17b, 0x3d0739f78a5292ea, 0x6bfb5fb11f8d5d08, 0x56033046fc7b6bab};

// Four words of 2/pi from number `position` / 64 on, by shifting the whole table by 16 words or
// not, then by 8, 4, 2 and 1.
std::array<Expr, 4> words_at(Expr position) {
  std::vector<Expr> words;
  for (std::uint64_t word : kTwoOverPi)
    words.push_back(position.like(static_cast<std::int64_t>(word)));
  for (std::size_t step : {16, 8, 4, 2, 1}) {
    Expr shift = (position & static_cast<std::int64_t>(64 * step)) != 0;
    // What later steps can still reach.
    std::size_t needed = std::min(words.size(), step - 1 + 4);
    std::vector<Expr> shifted;
    for (std::size_t i = 0; i < needed; ++i)
      shifted.push_back(i + step < words.size() ? select(shift, words[i + step], words[i])
                                                : words[i]);
    words = std::move(shifted);
  }
  return {words[0], words[1], words[2], words[3]};
}

constexpr std::int64_t kLow32 = 0xffffffff;

// An unsigned integer below 2^32 times `unit`.
Expr to_f64(Expr integer, double unit) {
  double shifter = 0x1p52 * unit;
  return bitcast(integer | bits_of_value(DType::f64, shifter), DType::f64) - shifter;
}

Reduction reduce_f64(Expr a) {
  Expr bits = to_bits(a);
  Expr mantissa = (bits & 0xfffffffffffff) | 0x10000000000000;
  Expr mantissa_low = mantissa & kLow32;
  Expr mantissa_high = mantissa >> 32;

  // The bit of 2/pi that, times the lowest bit of x, weighs 2; counting the zeros in front.
  Expr position = (bits >> 52) - std::int64_t{1013};
  std::array<Expr, 4> words = words_at(position);
  // Limbs of 32 bits of the 192 bits from there on, the lowest one first.
  Expr right = std::int64_t{63} - (position & 63);
  std::array<Expr, 6> limbs;
  for (std::size_t i = 0; i < 3; ++i) {
    Expr word = (words[i] << (position & 63)) | ((words[i + 1] >> 1) >> right);
    limbs[5 - 2 * i] = word >> 32;
    limbs[4 - 2 * i] = word & kLow32;
  }

  // Limbs 2 to 5 of the product. No sum overflows, as mantissa_high has 21 bits.
  std::array<Expr, 6> product;
  Expr carry;
  for (std::size_t i = 1; i < 6; ++i) {
    Expr low = mantissa_low * limbs[i];
    Expr high = mantissa_high * limbs[i - 1];
    Expr sum = (low & kLow32) + high;
    if (carry.valid()) sum = sum + carry;
    product[i] = sum & kLow32;
    carry = (sum >> 32) + (low >> 32);
  }

  Expr top = (product[5] << 32) | product[4];
  Expr quadrant = (top + (std::int64_t{1} << 61)) >> 62;
  // In units of 2^-62: between -2^61 and 2^61, made positive for the conversion.
  Expr rest = top - (quadrant << 62) + (std::int64_t{1} << 61);
  Expr part0 = to_f64(rest >> 32, 0x1p-30) - 0.5;
  Expr part1 = to_f64(rest & kLow32, 0x1p-62);
  Expr part2 = to_f64(product[3], 0x1p-94);
  Expr part3 = to_f64(product[2], 0x1p-126);
  Expr sum = part0 + part1;
  Expr sum_low = (part1 - (sum - part0)) + (part2 + part3);
  Expr fraction = sum + sum_low;
  Expr fraction_low = sum_low - (fraction - sum);

  // Times pi/2, in parts short enough for an exact product.
  Expr leading = leading_half(fraction);
  Expr trailing = (fraction - leading) + fraction_low;
  Expr exact = leading * 0x1.921fb5p+0;
  Expr correction = fma(leading, 0x1.110b4611a6263p-26, trailing * 0x1.921fb54442d18p+0);
  Expr high = exact + correction;
  Expr low = correction - (high - exact);

  Expr small = a < 0x1.921fb54442d18p-1;
  return {select(small, std::int64_t{0}, quadrant), select(small, a, high),
          select(small, 0.0, low) + (a - a)};  // infinity gives NaN
}

// The sine, `turn` quadrants further.
Expr sine(Expr x, bool negate_with_x, std::int64_t turn) {
  Expr a = abs(x);
  Reduction reduction = is_f32(x) ? reduce_f32(a) : reduce_f64(a);
  Expr r = reduction.high;
  Expr z = r * r;
  Expr half = z * 0.5;
  Expr nearly = 1.0 - half;
  Expr sin_tail = reduction.low * nearly;
  Expr cos_tail = ((1.0 - nearly) - half) - r * reduction.low;
  Expr sin_r = r + fma(r * z, polynomial(z, coefficients(x, kSinF32, kSinF64)), sin_tail);
  Expr cos_r = nearly + fma(z * z, polynomial(z, coefficients(x, kCosF32, kCosF64)), cos_tail);

  const Format& format = format_of(x);
  Expr quadrant = turn == 0 ? reduction.quadrant : reduction.quadrant + turn;
  Expr value = select((quadrant & 1) == 0, sin_r, cos_r);
  Expr sign = (quadrant & 2) << (format.width - 2);
  if (negate_with_x) sign = sign ^ (to_bits(x) & bits_of_value(x.type(), -0.0));
  return bitcast(to_bits(value) ^ sign, x.type());
}

}  // namespace

Expr sin(Expr x) { return sine(x, true, 0); }

Expr cos(Expr x) { return sine(x, false, 1); }

}  // namespace weir::scalar::expansions
