// Element types.
//
// f16 (IEEE binary16) and bf16 (the upper half of a f32) are types of memory. An op computes on
// them in f32 and rounds its result once, so every value of a graph is rounded, fused or not. i8
// and u8 are computed on as they are, and wrap; sums and products of many of them are i32.
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
// f16 and bf16.
inline bool is_half(DType type) { return type == DType::f16 || type == DType::bf16; }
// The type that arithmetic is done in: f32 for f16 and bf16, and otherwise the type itself.
inline DType compute_type(DType type) { return is_half(type) ? DType::f32 : type; }
// The type of a sum of elements while it is added up: f32 for f16 and bf16, i32 for i8 and u8.
inline DType accumulator_type(DType type) {
  return type == DType::i8 || type == DType::u8 ? DType::i32 : compute_type(type);
}
// Whether `to` holds every value of `from`, so that a conversion there loses nothing.
bool holds_all_values(DType to, DType from);

}  // namespace weir
