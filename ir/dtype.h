// Element types.
//
// f16, bf16, i8 and u8 are declared, named and sized; arithmetic on them is not defined yet, and the
// verifier refuses them with a diagnostic.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace weir {

enum class DType : std::uint8_t { f32, f64, f16, bf16, i8, u8, i32, i64, boolean };

// The name in the text form: "f32", ..., "bool".
std::string_view name(DType type);
std::optional<DType> parse_dtype(std::string_view text);
// Bytes of one element in memory; a bool is one byte, 0 or 1.
int byte_size(DType type);
inline int bit_width(DType type) { return type == DType::boolean ? 1 : byte_size(type) * 8; }
inline bool is_float(DType type) { return type <= DType::bf16; }
inline bool is_integer(DType type) { return type >= DType::i8 && type <= DType::i64; }
inline bool is_signed(DType type) { return type != DType::u8 && type != DType::boolean; }
// Whether arithmetic on it is defined.
inline bool is_computable(DType type) {
  return type == DType::f32 || type == DType::f64 || type == DType::i32 || type == DType::i64 ||
         type == DType::boolean;
}

}  // namespace weir
