#include "tests/numerics/glance.h"

#include <bit>
#include <cmath>
#include <cstdint>

#if defined(__x86_64__) && defined(__linux__)
#define WEIR_WIDE_LOOP __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define WEIR_WIDE_LOOP
#endif

namespace weir::numerics {
WEIR_WIDE_LOOP bool nothing_new(const Exact<double>* exact, const float* results, std::size_t count,
                                double known, bool signs_count) {
  constexpr double beyond = 0x1p128;
  constexpr std::uint64_t exponent_bits = std::uint64_t{0x7FF} << 52;
  constexpr std::uint64_t of_inverse = std::uint64_t{2 * 1023 + 23} << 52;
  constexpr double odd = 0x1p1000;
  double signs = signs_count ? 1 : 0;
  std::uint64_t worst = 0;  // as bits, which are in order
  for (std::size_t i = 0; i < count; ++i) {
    double e = exact[i].value, unit = exact[i].unit;
    double r = static_cast<double>(results[i]);
    double magnitude = std::fabs(e);
    magnitude = magnitude < unit ? unit : magnitude;
    magnitude = magnitude < 0x1p-126 ? 0x1p-126 : magnitude;
    magnitude = magnitude > 0x1p127 ? 0x1p127 : magnitude;
    // 1 / ulp = 2^(23 - exponent).
    std::uint64_t exponent = std::bit_cast<std::uint64_t>(magnitude) & exponent_bits;
    double inverse = std::bit_cast<double>(of_inverse - exponent);
    double limited = e > beyond ? beyond : e;
    limited = limited < -beyond ? -beyond : limited;
    double value = r > beyond ? beyond : r;
    value = value < -beyond ? -beyond : value;
    double error = std::fabs(value - limited) * inverse;
    // What is odd is as far off as can be. NaN compares as false.
    error = r == r ? error : e == e ? odd : 0;
    error = e == e ? error : r == r ? odd : 0;
    double sign_r = std::copysign(signs, r), sign_e = std::copysign(signs, e);
    error = r == 0 ? (sign_r == sign_e ? error : odd) : error;
    error = std::fabs(e) >= beyond ? (std::fabs(r) < beyond ? odd : error) : error;
    std::uint64_t bits = std::bit_cast<std::uint64_t>(error);
    worst = bits > worst ? bits : worst;
  }
  return std::bit_cast<double>(worst) <= known;
}

}  // namespace weir::numerics
