// A scalar value: its bits, to be read at a known element type.
#pragma once

#include <bit>
#include <cstdint>
#include <string>

#include "ir/dtype.h"

namespace weir::scalar {

// Bits are zero-extended: a f32 occupies the low 32, a bool the lowest one.
struct Bits {
  std::uint64_t value = 0;
  friend bool operator==(const Bits&, const Bits&) = default;
};

inline Bits from_f32(float x) { return {std::bit_cast<std::uint32_t>(x)}; }
inline Bits from_f64(double x) { return {std::bit_cast<std::uint64_t>(x)}; }
inline Bits from_i32(std::int32_t x) { return {static_cast<std::uint32_t>(x)}; }
inline Bits from_i64(std::int64_t x) { return {static_cast<std::uint64_t>(x)}; }
inline Bits from_bool(bool x) { return {x ? 1u : 0u}; }
inline float as_f32(Bits b) { return std::bit_cast<float>(static_cast<std::uint32_t>(b.value)); }
inline double as_f64(Bits b) { return std::bit_cast<double>(b.value); }
inline std::int32_t as_i32(Bits b) { return static_cast<std::int32_t>(b.value); }
inline std::int64_t as_i64(Bits b) { return static_cast<std::int64_t>(b.value); }
inline bool as_bool(Bits b) { return (b.value & 1) != 0; }

// The value of `type` nearest to a double; integers truncate and saturate.
Bits bits_of(DType type, double value);
Bits bits_of(DType type, std::int64_t value);
// The value as a double (exact for all but large i64).
double to_double(DType type, Bits bits);
std::int64_t to_integer(DType type, Bits bits);
// Whether two values are the same: all NaNs are, +0 and -0 are not.
bool same_value(DType type, Bits a, Bits b);
// The shortest text that reads back as the same value: "0.01", "-inf", "nan", "true", "3".
// A float always shows that it is one: "1.0", not "1".
std::string to_string(DType type, Bits bits);
// Likewise for a double on its own.
std::string shortest(double value);

}  // namespace weir::scalar
