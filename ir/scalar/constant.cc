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

}  // namespace

Bits bits_of(DType type, double value) {
  switch (type) {
    case DType::f32:
      return from_f32(static_cast<float>(value));
    case DType::f64:
      return from_f64(value);
    case DType::i32:
      return from_i32(saturate<std::int32_t>(value));
    case DType::i64:
      return from_i64(saturate<std::int64_t>(value));
    case DType::boolean:
      return from_bool(value != 0);
    default:
      break;
  }
  WEIR_CHECK(is_computable(type), std::string(name(type)));
  return {};
}

Bits bits_of(DType type, std::int64_t value) {
  switch (type) {
    case DType::i32:
      return from_i32(static_cast<std::int32_t>(value));
    case DType::i64:
      return from_i64(value);
    case DType::f32:
      return from_f32(static_cast<float>(value));
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
    case DType::i32:
      return as_i32(bits);
    case DType::i64:
      return static_cast<double>(as_i64(bits));
    case DType::boolean:
      return as_bool(bits) ? 1 : 0;
    default:
      break;
  }
  WEIR_CHECK(is_computable(type), std::string(name(type)));
  return 0;
}

std::int64_t to_integer(DType type, Bits bits) {
  if (type == DType::i64) return as_i64(bits);
  if (type == DType::i32) return as_i32(bits);
  return saturate<std::int64_t>(to_double(type, bits));
}

bool same_value(DType type, Bits a, Bits b) {
  if (a == b) return true;
  return is_float(type) && std::isnan(to_double(type, a)) && std::isnan(to_double(type, b));
}

std::string shortest(double value) { return shortest_text(value); }

std::string to_string(DType type, Bits bits) {
  switch (type) {
    case DType::f32:
      return shortest_text(as_f32(bits));
    case DType::f64:
      return shortest_text(as_f64(bits));
    case DType::boolean:
      return as_bool(bits) ? "true" : "false";
    default:
      return std::to_string(to_integer(type, bits));
  }
}

}  // namespace weir::scalar
