// A scalar value: its bits, to be read at a known element type.
#pragma once

#include <bit>
#include <cstdint>
#include <string>

#include "ir/dtype.h"
#include "ir/float16.h"

namespace weir::scalar {

// Bits are zero-extended: a f32 occupies the low 32, a bool the lowest one.
struct Bits {
  std::uint64_t value = 0;
  friend bool operator==(const Bits&, const Bits&) = default;
};

inline Bits from_f32(float x) { return {std::bit_cast<std::uint32_t>(x)}; }
inline Bits from_f64(double x) { return {std::bit_cast<std::uint64_t>(x)}; }
inline Bits from_f16(Float16 x) { return {x.bits}; }
inline Bits from_bf16(BFloat16 x) { return {x.bits}; }
inline Bits from_i8(std::int8_t x) { return {static_cast<std::uint8_t>(x)}; }
inline Bits from_u8(std::uint8_t x) { return {x}; }
inline Bits from_i32(std::int32_t x) { return {static_cast<std::uint32_t>(x)}; }
inline Bits from_i64(std::int64_t x) { return {static_cast<std::uint64_t>(x)}; }
inline Bits from_bool(bool x) { return {x ? 1u : 0u}; }
inline float as_f32(Bits b) { return std::bit_cast<float>(static_cast<std::uint32_t>(b.value)); }
inline double as_f64(Bits b) { return std::bit_cast<double>(b.value); }
inline float as_f16(Bits b) { return f16_value(static_cast<std::uint16_t>(b.value)); }
inline float as_bf16(Bits b) { return bf16_value(static_cast<std::uint16_t>(b.value)); }
inline std::int8_t as_i8(Bits b) { return static_cast<std::int8_t>(b.value); }
inline std::uint8_t as_u8(Bits b) { return static_cast<std::uint8_t>(b.value); }
inline std::int32_t as_i32(Bits b) { return static_cast<std::int32_t>(b.value); }
inline std::int64_t as_i64(Bits b) { return static_cast<std::int64_t>(b.value); }
inline bool as_bool(Bits b) { return (b.value & 1) != 0; }

// The value of `type` nearest to a number, rounded once. A double becomes an integer by truncation
// and saturates; an integer wraps.
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
// "-128 to 127": the range of an integer type. "5.9604645e-08 to 65504.0": the magnitudes of a
// float type, besides 0.0 and inf.
std::string range_text(DType type);

}  // namespace weir::scalar
