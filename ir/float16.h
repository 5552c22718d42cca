// The 16-bit floating-point types, as C++ types: elements of f16 and bf16 tensors.
//
//   Tensor x = Tensor::from<Float16>({Float16(0.5f), Float16(-2.0f)}, {2});
//
// They hold bits and convert; arithmetic is that of float. A conversion to them rounds once, to the
// nearest value and to even in a tie; beyond the largest number it gives an infinity.
#pragma once

#include <cstdint>

namespace weir {

// The bits of the nearest f16 or bf16, and their values.
std::uint16_t f16_bits(double value);
std::uint16_t bf16_bits(double value);
float f16_value(std::uint16_t bits);
float bf16_value(std::uint16_t bits);

// IEEE 754 binary16: 1 sign, 5 exponent and 10 fraction bits.
struct Float16 {
  std::uint16_t bits = 0;

  Float16() = default;
  explicit Float16(double value) : bits(f16_bits(value)) {}
  explicit operator float() const { return f16_value(bits); }
};

// The upper half of a float: 1 sign, 8 exponent and 7 fraction bits.
struct BFloat16 {
  std::uint16_t bits = 0;

  BFloat16() = default;
  explicit BFloat16(double value) : bits(bf16_bits(value)) {}
  explicit operator float() const { return bf16_value(bits); }
};

static_assert(sizeof(Float16) == 2 && sizeof(BFloat16) == 2);

}  // namespace weir
