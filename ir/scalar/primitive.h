// The primitives of the scalar language, and what each of them means.
//
// Semantics, for every target and both evaluators alike:
//   - Floating point is IEEE 754 with round to nearest even; no fast-math, no implicit contraction.
//     All NaNs are equal: which NaN an operation returns is not promised.
//   - Integers wrap. x / 0 is 0 and x rem 0 is x, INT_MIN / -1 is INT_MIN and INT_MIN rem -1 is 0, so
//     x == (x / y) * y + x rem y always holds and nothing traps.
//   - Comparisons with NaN are false, except `ne`, which is true.
//   - min and max return NaN if either operand is NaN; of two zeros they return the second operand.
//   - A cast from float to integer truncates, saturates at the ends of the range and takes NaN to 0;
//     to bool it is `x != 0`. A cast between integers wraps.
//   - Shift amounts are taken modulo the width.
//   - f16 and bf16 are loaded, stored, selected and cast; no other primitive takes them. A cast to
//   one of
//     them rounds once, from whatever type.
//   - floor_div and modulo are for indices: i64, divisor > 0.
// The elementary functions (exp ... pow) have a mathematical meaning and an expansion in the other
// primitives (ir/scalar/expand.h); the expansion is what gets compiled.
#pragma once

#include <cstdint>
#include <string_view>

namespace weir::scalar {

enum class Primitive : std::uint8_t {
  // Leaves. Their payload is described in ir/scalar/arena.h.
  constant,
  argument,
  axis,
  size,
  local,
  load,     // operands: one index a dimension
  load_if,  // operands: guard, value where the guard is false, then the indices
  // Arithmetic.
  add,
  sub,
  mul,
  div,
  rem,  // sign of the dividend, exact (fmod)
  fma,  // a * b + c: one rounding where the target has FMA, two where it has not
  neg,
  abs,
  min,
  max,
  // Comparisons, to bool.
  eq,
  ne,
  lt,
  le,
  // Bits, and logic on bool.
  bit_and,
  bit_or,
  bit_xor,
  bit_not,
  shift_left,
  shift_right,             // logical
  shift_right_arithmetic,  // keeps the sign
  // Choice and conversion.
  select,
  cast,
  bitcast,
  // Exactly rounded functions.
  sqrt,
  floor,
  ceil,
  trunc,
  round,  // half to even
  // Elementary functions.
  exp,
  expm1,
  log,
  log1p,
  tanh,
  erf,
  erfc,
  sin,
  cos,
  pow,
  // Elementary functions that activations and derivatives are made of, each accurate as a whole:
  // rounding an argument would cost many digits of an exponential, and a factor that comes later
  // those that a denormal number lacks. |scale| is below 2^40.
  scaled_exp,    // scale, a, b: scale * exp(a * b)
  sigmoid,       // 1 / (1 + exp(-x))
  sigmoid_gate,  // scale, x: scale * sigmoid(x)
  normal_gate,   // scale, x: scale times the normal distribution function at x
  tanh_gate,     // scale, x: scale * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))) / 2
  softplus,      // log(1 + exp(x))
  // Indices.
  floor_div,
  modulo,
};

inline constexpr int kPrimitiveCount = static_cast<int>(Primitive::modulo) + 1;

// How a primitive's result type follows from its operands.
enum class ResultRule : std::uint8_t {
  explicit_type,  // stated when the node is made: leaves, casts
  same,           // that of the first operand
  boolean,        // bool
  of_second,      // that of the second operand: select
};

struct PrimitiveInfo {
  std::string_view name;   // as printed
  std::string_view infix;  // operator, or empty for function notation
  int arity;               // -1: any
  ResultRule result;
  bool elementary;  // has an expansion
  int cost;         // rough cycles of one vector operation, for fusion and grain sizes
};

const PrimitiveInfo& info(Primitive primitive);

inline bool is_load(Primitive primitive) {
  return primitive == Primitive::load || primitive == Primitive::load_if;
}

}  // namespace weir::scalar
