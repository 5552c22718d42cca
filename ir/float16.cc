// A finite magnitude lies between 2^e and 2^(e + 1), where e is at least the exponent of the
// smallest normal number. Numbers there are n * 2^(e - fraction bits), so n is found by scaling,
// which is exact, and rounding to an integer. The exponent's field counts from the lowest e, and n
// brings one more, if it has its leading bit, into that field: so field and n are simply added. n
// that has been rounded up to the next power of two, and denormal n, come out right by themselves.
#include "ir/float16.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace weir {
namespace {

struct Layout {
  int fraction_bits;
  int lowest_exponent;  // of normal numbers
  std::uint16_t infinity;
};

constexpr Layout kF16{10, -14, 0x7C00};
constexpr Layout kBF16{7, -126, 0x7F80};

// 2^exponent, where that is a normal number: multiplying by it scales as std::ldexp does, sooner.
double power_of_two(int exponent) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52);
}

std::uint16_t bits_of(const Layout& layout, double value) {
  int sign = std::signbit(value) ? 0x8000 : 0;
  double magnitude = std::fabs(value);
  int bits = layout.infinity;
  if (std::isnan(value)) {
    bits |= 1 << (layout.fraction_bits - 1);
  } else if (magnitude == 0) {
    bits = 0;
  } else if (std::isfinite(magnitude)) {
    int exponent = std::max(std::ilogb(magnitude), layout.lowest_exponent);
    double n = std::nearbyint(magnitude * power_of_two(layout.fraction_bits - exponent));
    int field = (exponent - layout.lowest_exponent) << layout.fraction_bits;
    bits = std::min(bits, field + static_cast<int>(n));
  }
  return static_cast<std::uint16_t>(sign | bits);
}

float value_of(const Layout& layout, std::uint16_t bits) {
  int magnitude = bits & 0x7FFF;
  int fraction = magnitude & ((1 << layout.fraction_bits) - 1);
  int field = magnitude >> layout.fraction_bits;
  float value;
  if (magnitude >= layout.infinity) {
    value = fraction == 0 ? INFINITY : NAN;
  } else {
    if (field > 0) fraction |= 1 << layout.fraction_bits;
    int exponent = layout.lowest_exponent + std::max(field, 1) - 1;
    value = static_cast<float>(fraction * power_of_two(exponent - layout.fraction_bits));
  }
  return (bits & 0x8000) != 0 ? -value : value;
}

}  // namespace

std::uint16_t f16_bits(double value) { return bits_of(kF16, value); }
std::uint16_t bf16_bits(double value) { return bits_of(kBF16, value); }
float f16_value(std::uint16_t bits) { return value_of(kF16, bits); }
float bf16_value(std::uint16_t bits) { return value_of(kBF16, bits); }

}  // namespace weir
