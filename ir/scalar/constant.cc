#include "ir/scalar/constant.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "ir/diagnostic.h"

namespace weir::scalar {
namespace {

template <class Float>
std::string shortest_text(Float value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::array<char, 64> buffer;
  auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  std::string text(buffer.data(), end);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

// The same for a value of a 16-bit type: the fewest digits that round to it.
std::string shortest_text(DType type, Bits bits) {
  double value = to_double(type, bits);
  for (int digits = 1; std::isfinite(value); ++digits) {
    std::array<char, 64> buffer;
    auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                             std::chars_format::scientific, digits - 1)
                   .ptr;
    double shorter = 0;
    std::from_chars(buffer.data(), end, shorter);
    if (bits_of(type, shorter) == bits) return shortest_text(shorter);
  }
  return shortest_text(value);
}

template <class Integer>
Integer saturate(double value) {
  if (std::isnan(value)) return 0;
  // The limits as doubles: the upper one may round up, and then is itself out of range.
  if (value <= static_cast<double>(std::numeric_limits<Integer>::min()))
    return std::numeric_limits<Integer>::min();
  if (value >= static_cast<double>(std::numeric_limits<Integer>::max()))
    return std::numeric_limits<Integer>::max();
  return static_cast<Integer>(value);
}

// A double that rounds to 24 bits or fewer as the integer does. Where a double does not hold it,
// the bits that are too many are gathered into one that is set if any of them is.
double nearly(std::int64_t value) {
  constexpr std::int64_t kLow = 0x7FF;
  std::int64_t magnitude = value < 0 ? ~value : value;
  if (magnitude >> 53 != 0) value = (value & ~kLow) | ((value & kLow) != 0 ? 0x400 : 0);
  return static_cast<double>(value);
}

}  // namespace

Bits bits_of(DType type, double value) {
  switch (type) {
    case DType::f32:
      return from_f32(static_cast<float>(value));
    case DType::f64:
      return from_f64(value);
    case DType::f16:
      return from_f16(Float16(value));
    case DType::bf16:
      return from_bf16(BFloat16(value));
    case DType::i8:
      return from_i8(saturate<std::int8_t>(value));
    case DType::u8:
      return from_u8(saturate<std::uint8_t>(value));
    case DType::i32:
      return from_i32(saturate<std::int32_t>(value));
    case DType::i64:
      return from_i64(saturate<std::int64_t>(value));
    case DType::boolean:
      break;
  }
  return from_bool(value != 0);
}

Bits bits_of(DType type, std::int64_t value) {
  switch (type) {
    case DType::i8:
      return from_i8(static_cast<std::int8_t>(value));
    case DType::u8:
      return from_u8(static_cast<std::uint8_t>(value));
    case DType::i32:
      return from_i32(static_cast<std::int32_t>(value));
    case DType::i64:
      return from_i64(value);
    case DType::f32:
      return from_f32(static_cast<float>(value));
    case DType::f16:
    case DType::bf16:
      return bits_of(type, nearly(value));
    default:
      return bits_of(type, static_cast<double>(value));
  }
}

double to_double(DType type, Bits bits) {
  switch (type) {
    case DType::f32:
      return as_f32(bits);
    case DType::f64:
      return as_f64(bits);
    case DType::f16:
      return as_f16(bits);
    case DType::bf16:
      return as_bf16(bits);
    case DType::boolean:
      return as_bool(bits) ? 1 : 0;
    default:
      return static_cast<double>(to_integer(type, bits));
  }
}

std::int64_t to_integer(DType type, Bits bits) {
  switch (type) {
    case DType::i8:
      return as_i8(bits);
    case DType::u8:
      return as_u8(bits);
    case DType::i32:
      return as_i32(bits);
    case DType::i64:
      return as_i64(bits);
    default:
      return saturate<std::int64_t>(to_double(type, bits));
  }
}

bool same_value(DType type, Bits a, Bits b) {
  if (a == b) return true;
  return is_float(type) && std::isnan(to_double(type, a)) && std::isnan(to_double(type, b));
}

std::string shortest(double value) { return shortest_text(value); }

std::string range_text(DType type) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  Bits low = bits_of(type, -infinity), high = bits_of(type, infinity);
  if (is_float(type)) {
    low.value = 1;
    high.value -= 1;
  }
  // f32 shows f16 and bf16 as they are, where their own few digits would show a number nearby.
  auto text = [type](Bits bits) {
    if (!is_half(type)) return to_string(type, bits);
    return to_string(DType::f32, bits_of(DType::f32, to_double(type, bits)));
  };
  return text(low) + " to " + text(high);
}

std::string to_string(DType type, Bits bits) {
  switch (type) {
    case DType::f32:
      return shortest_text(as_f32(bits));
    case DType::f64:
      return shortest_text(as_f64(bits));
    case DType::f16:
    case DType::bf16:
      return shortest_text(type, bits);
    case DType::boolean:
      return as_bool(bits) ? "true" : "false";
    default:
      return std::to_string(to_integer(type, bits));
  }
}

}  // namespace weir::scalar
