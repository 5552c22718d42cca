// Writing scalar expressions: a handle with operators.
//
//   Expr leaky_relu(Expr x, double slope) { return select(x > 0.0, x, slope * x); }
//
// Plain numbers take the type of the expression they meet.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <initializer_list>

#include "ir/scalar/arena.h"

namespace weir::scalar {

class Expr {
 public:
  Expr() = default;
  Expr(Arena& arena, Id id) : arena_(&arena), id_(id) {}

  Arena& arena() const { return *arena_; }
  Id id() const { return id_; }
  bool valid() const { return arena_ != nullptr; }
  DType type() const { return (*arena_)[id_].type; }
  // A constant of this expression's type.
  Expr like(double value) const { return {*arena_, arena_->constant(type(), value)}; }
  Expr like(std::int64_t value) const {
    return {*arena_, arena_->constant(type(), bits_of(type(), value))};
  }
  Expr like(int value) const { return like(static_cast<std::int64_t>(value)); }
  Expr like(Expr value) const { return value; }

 private:
  Arena* arena_ = nullptr;
  Id id_;
};

template <class T>
concept Number = std::same_as<T, double> || std::same_as<T, int> || std::same_as<T, std::int64_t>;

inline Expr make(Primitive primitive, std::initializer_list<Expr> operands) {
  std::array<Id, 3> ids;
  std::size_t count = 0;
  for (const Expr& operand : operands) ids[count++] = operand.id();
  Arena& arena = operands.begin()->arena();
  return {arena, arena.make(primitive, std::span<const Id>(ids.data(), count))};
}

// Binary operators and functions, each also with a number on either side.
#define WEIR_SCALAR_BINARY(function, primitive)                                       \
  inline Expr function(Expr a, Expr b) { return make(Primitive::primitive, {a, b}); } \
  template <Number N>                                                                 \
  Expr function(Expr a, N b) {                                                        \
    return make(Primitive::primitive, {a, a.like(b)});                                \
  }                                                                                   \
  template <Number N>                                                                 \
  Expr function(N a, Expr b) {                                                        \
    return make(Primitive::primitive, {b.like(a), b});                                \
  }
WEIR_SCALAR_BINARY(operator+, add)
WEIR_SCALAR_BINARY(operator-, sub)
WEIR_SCALAR_BINARY(operator*, mul)
WEIR_SCALAR_BINARY(operator/, div)
WEIR_SCALAR_BINARY(operator==, eq)
WEIR_SCALAR_BINARY(operator!=, ne)
WEIR_SCALAR_BINARY(operator<, lt)
WEIR_SCALAR_BINARY(operator<=, le)
WEIR_SCALAR_BINARY(operator&, bit_and)
WEIR_SCALAR_BINARY(operator|, bit_or)
WEIR_SCALAR_BINARY(operator^, bit_xor)
WEIR_SCALAR_BINARY(operator<<, shift_left)
WEIR_SCALAR_BINARY(operator>>, shift_right)
WEIR_SCALAR_BINARY(shift_right_arithmetic, shift_right_arithmetic)
WEIR_SCALAR_BINARY(rem, rem)
WEIR_SCALAR_BINARY(min, min)
WEIR_SCALAR_BINARY(max, max)
WEIR_SCALAR_BINARY(pow, pow)
WEIR_SCALAR_BINARY(sigmoid_gate, sigmoid_gate)
WEIR_SCALAR_BINARY(normal_gate, normal_gate)
WEIR_SCALAR_BINARY(tanh_gate, tanh_gate)
WEIR_SCALAR_BINARY(floor_div, floor_div)
WEIR_SCALAR_BINARY(modulo, modulo)
#undef WEIR_SCALAR_BINARY

template <class A, class B>
  requires(std::same_as<A, Expr> || std::same_as<B, Expr>)
Expr operator>(A a, B b) {
  return b < a;
}
template <class A, class B>
  requires(std::same_as<A, Expr> || std::same_as<B, Expr>)
Expr operator>=(A a, B b) {
  return b <= a;
}

#define WEIR_SCALAR_UNARY(function, primitive) \
  inline Expr function(Expr x) { return make(Primitive::primitive, {x}); }
WEIR_SCALAR_UNARY(operator-, neg)
WEIR_SCALAR_UNARY(operator!, bit_not)
WEIR_SCALAR_UNARY(operator~, bit_not)
WEIR_SCALAR_UNARY(abs, abs)
WEIR_SCALAR_UNARY(sqrt, sqrt)
WEIR_SCALAR_UNARY(floor, floor)
WEIR_SCALAR_UNARY(ceil, ceil)
WEIR_SCALAR_UNARY(trunc, trunc)
WEIR_SCALAR_UNARY(round, round)
WEIR_SCALAR_UNARY(exp, exp)
WEIR_SCALAR_UNARY(expm1, expm1)
WEIR_SCALAR_UNARY(log, log)
WEIR_SCALAR_UNARY(log1p, log1p)
WEIR_SCALAR_UNARY(tanh, tanh)
WEIR_SCALAR_UNARY(erf, erf)
WEIR_SCALAR_UNARY(erfc, erfc)
WEIR_SCALAR_UNARY(sin, sin)
WEIR_SCALAR_UNARY(cos, cos)
WEIR_SCALAR_UNARY(sigmoid, sigmoid)
WEIR_SCALAR_UNARY(softplus, softplus)
#undef WEIR_SCALAR_UNARY

// a * b + c; `a` decides the type of numbers.
template <class B, class C>
Expr fma(Expr a, B b, C c) {
  return make(Primitive::fma, {a, a.like(b), a.like(c)});
}

// scale * exp(a * b); `a` decides the type of numbers.
template <class S, class B>
Expr scaled_exp(S scale, Expr a, B b) {
  return make(Primitive::scaled_exp, {a.like(scale), a, a.like(b)});
}

// Numbers take the type of the other branch.
inline Expr select(Expr condition, Expr a, Expr b) {
  return make(Primitive::select, {condition, a, b});
}
template <Number N>
Expr select(Expr condition, Expr a, N b) {
  return select(condition, a, a.like(b));
}
template <Number N>
Expr select(Expr condition, N a, Expr b) {
  return select(condition, b.like(a), b);
}

inline Expr cast(Expr x, DType type) { return {x.arena(), x.arena().cast(x.id(), type)}; }
inline Expr bitcast(Expr x, DType type) { return {x.arena(), x.arena().bitcast(x.id(), type)}; }
inline Expr is_nan(Expr x) { return x != x; }

}  // namespace weir::scalar
