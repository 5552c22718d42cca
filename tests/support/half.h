// The 16-bit floating-point types by their definition, independent of ir/float16.h: a table of all
// finite values, in which the nearest to a number is looked up.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "ir/dtype.h"

namespace weir::test {

class HalfTable {
 public:
  HalfTable(int exponent_bits, int fraction_bits) {
    int bias = (1 << (exponent_bits - 1)) - 1;
    for (int exponent = 0; exponent < (1 << exponent_bits) - 1; ++exponent)
      for (int fraction = 0; fraction < 1 << fraction_bits; ++fraction) {
        double significand = std::ldexp(fraction, -fraction_bits) + (exponent > 0 ? 1 : 0);
        values_.push_back(std::ldexp(significand, std::max(exponent, 1) - bias));
      }
    // The number that would follow the largest is as far from it as the one before.
    values_.push_back(2 * values_.back() - values_[values_.size() - 2]);
  }

  // The bits of +infinity.
  std::uint16_t infinity() const { return static_cast<std::uint16_t>(values_.size() - 1); }

  double value(std::uint16_t bits) const {
    std::uint16_t magnitude = bits & 0x7FFF;
    double value = magnitude < infinity()    ? values_[magnitude]
                   : magnitude == infinity() ? std::numeric_limits<double>::infinity()
                                             : std::numeric_limits<double>::quiet_NaN();
    return (bits & 0x8000) != 0 ? -value : value;
  }

  // To nearest, ties to even: the bits of neighbours are neighbours too. A long double holds every
  // i64.
  std::uint16_t nearest(long double x) const {
    int sign = std::signbit(x) ? 0x8000 : 0;
    auto with_sign = [sign](int bits) { return static_cast<std::uint16_t>(sign | bits); };
    if (std::isnan(x)) return with_sign(0x7FFF);
    long double magnitude = std::fabs(x);
    auto above = std::lower_bound(values_.begin(), values_.end(), magnitude);
    if (above == values_.end()) return with_sign(infinity());
    int bits = static_cast<int>(above - values_.begin());
    if (*above != magnitude) {
      double below = above[-1], middle = below + (*above - below) / 2;
      if (magnitude < middle || (magnitude == middle && bits % 2 == 1)) --bits;
    }
    return with_sign(bits);
  }

  // Whether both are the same value; all NaNs are.
  bool same(std::uint16_t a, std::uint16_t b) const {
    return a == b || ((a & 0x7FFF) > infinity() && (b & 0x7FFF) > infinity());
  }

 private:
  std::vector<double> values_;  // of the bits 0, 1, ..., and one beyond the largest
};

// Of f16 or bf16.
inline const HalfTable& half_table(DType type) {
  static const HalfTable f16(5, 10), bf16(8, 7);
  return type == DType::f16 ? f16 : bf16;
}

}  // namespace weir::test
