// The meaning of every primitive, as one function on bits for each primitive and type.
//
// Floating-point expressions here must not be contracted; the build says -ffp-contract=off.
#include "ir/scalar/primitive_function.h"

#include <cfloat>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <type_traits>

#include "ir/diagnostic.h"

namespace weir::scalar {
namespace {

static_assert(FLT_EVAL_METHOD == 0, "float arithmetic must not use wider registers");

using Function = PrimitiveFunction;

template <class T>
T read(Bits bits) {
  if constexpr (std::is_same_v<T, float>) return as_f32(bits);
  if constexpr (std::is_same_v<T, double>) return as_f64(bits);
  if constexpr (std::is_same_v<T, std::int8_t>) return as_i8(bits);
  if constexpr (std::is_same_v<T, std::uint8_t>) return as_u8(bits);
  if constexpr (std::is_same_v<T, std::int32_t>) return as_i32(bits);
  if constexpr (std::is_same_v<T, std::int64_t>) return as_i64(bits);
  if constexpr (std::is_same_v<T, bool>) return as_bool(bits);
}

inline Bits write(float x) { return from_f32(x); }
inline Bits write(double x) { return from_f64(x); }
inline Bits write(std::int8_t x) { return from_i8(x); }
inline Bits write(std::uint8_t x) { return from_u8(x); }
inline Bits write(std::int32_t x) { return from_i32(x); }
inline Bits write(std::int64_t x) { return from_i64(x); }
inline Bits write(bool x) { return from_bool(x); }

// A function without captures on values, as a function on bits.
template <class T, class Operation>
constexpr Function lift(Operation) {
  return [](Bits a, [[maybe_unused]] Bits b, [[maybe_unused]] Bits c) {
    if constexpr (std::is_invocable_v<Operation, T, T, T>) {
      return write(Operation{}(read<T>(a), read<T>(b), read<T>(c)));
    } else if constexpr (std::is_invocable_v<Operation, T, T>) {
      return write(Operation{}(read<T>(a), read<T>(b)));
    } else {
      return write(Operation{}(read<T>(a)));
    }
  };
}

// An elementary function by the next wider type, rounded once.
template <class T, class Operation>
constexpr Function widened(Operation) {
  using Wide = std::conditional_t<std::is_same_v<T, float>, double, long double>;
  return [](Bits a, [[maybe_unused]] Bits b, [[maybe_unused]] Bits c) {
    auto wide = [](Bits bits) { return static_cast<Wide>(read<T>(bits)); };
    if constexpr (std::is_invocable_v<Operation, Wide, Wide, Wide>) {
      return write(static_cast<T>(Operation{}(wide(a), wide(b), wide(c))));
    } else if constexpr (std::is_invocable_v<Operation, Wide, Wide>) {
      return write(static_cast<T>(Operation{}(wide(a), wide(b))));
    } else {
      return write(static_cast<T>(Operation{}(wide(a))));
    }
  };
}

template <class T>
T minimum(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a)) return a;
  }
  return a < b ? a : b;
}

template <class T>
T maximum(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a)) return a;
  }
  return b < a ? a : b;
}

// What all types have. With min and max of bool being `and` and `or`.
template <class T>
Function ordered_function(Primitive primitive) {
  switch (primitive) {
    case Primitive::min:
      return lift<T>([](T a, T b) { return minimum(a, b); });
    case Primitive::max:
      return lift<T>([](T a, T b) { return maximum(a, b); });
    case Primitive::eq:
      return lift<T>([](T a, T b) { return a == b; });
    case Primitive::ne:
      return lift<T>([](T a, T b) { return a != b; });
    case Primitive::lt:
      return lift<T>([](T a, T b) { return a < b; });
    case Primitive::le:
      return lift<T>([](T a, T b) { return a <= b; });
    default:
      return nullptr;
  }
}

template <class T>
Function elementary_function(Primitive primitive) {
  switch (primitive) {
    case Primitive::exp:
      return widened<T>([](auto x) { return std::exp(x); });
    case Primitive::expm1:
      return widened<T>([](auto x) { return std::expm1(x); });
    case Primitive::log:
      return widened<T>([](auto x) { return std::log(x); });
    case Primitive::log1p:
      return widened<T>([](auto x) { return std::log1p(x); });
    case Primitive::tanh:
      return widened<T>([](auto x) { return std::tanh(x); });
    case Primitive::erf:
      return widened<T>([](auto x) { return std::erf(x); });
    case Primitive::erfc:
      return widened<T>([](auto x) { return std::erfc(x); });
    case Primitive::sin:
      return widened<T>([](auto x) { return std::sin(x); });
    case Primitive::cos:
      return widened<T>([](auto x) { return std::cos(x); });
    case Primitive::pow:
      return widened<T>([](auto x, auto y) { return std::pow(x, y); });
    case Primitive::scaled_exp:
      return widened<T>([](auto scale, auto a, auto b) { return scale * std::exp(a * b); });
    case Primitive::sigmoid:
      return widened<T>([](auto x) { return 1 / (1 + std::exp(-x)); });
    case Primitive::sigmoid_gate:
      return widened<T>([](auto scale, auto x) { return scale / (1 + std::exp(-x)); });
    case Primitive::normal_gate:
      return widened<T>([](auto scale, auto x) {
        using W = decltype(x);
        return scale * (std::erfc(-x / std::numbers::sqrt2_v<W>) / 2);
      });
    case Primitive::tanh_gate:
      return widened<T>([](auto scale, auto x) {
        using W = decltype(x);
        constexpr W factor = 2 * std::numbers::sqrt2_v<W> * std::numbers::inv_sqrtpi_v<W>;
        constexpr W cubic = static_cast<W>(44715) / 1000000;
        return scale / (1 + std::exp(-factor * (x + cubic * (x * x * x))));
      });
    case Primitive::softplus:
      return widened<T>([](auto x) {
        using W = decltype(x);
        return x != x ? x : std::fmax(x, W(0)) + std::log1p(std::exp(-std::fabs(x)));
      });
    default:
      return nullptr;
  }
}

template <class T>
Function float_function(Primitive primitive, const Numerics& numerics) {
  switch (primitive) {
    case Primitive::add:
      return lift<T>([](T a, T b) { return a + b; });
    case Primitive::sub:
      return lift<T>([](T a, T b) { return a - b; });
    case Primitive::mul:
      return lift<T>([](T a, T b) { return a * b; });
    case Primitive::div:
      return lift<T>([](T a, T b) { return a / b; });
    case Primitive::rem:
      return lift<T>([](T a, T b) { return std::fmod(a, b); });
    case Primitive::fma:
      if (numerics.has_fma) return lift<T>([](T a, T b, T c) { return std::fma(a, b, c); });
      return lift<T>([](T a, T b, T c) {
        // Two roundings, whatever the compiler was told about contraction.
        volatile T product = a * b;
        return product + c;
      });
    case Primitive::neg:
      return lift<T>([](T a) { return -a; });
    case Primitive::abs:
      return lift<T>([](T a) { return std::fabs(a); });
    case Primitive::sqrt:
      return lift<T>([](T a) { return std::sqrt(a); });
    case Primitive::floor:
      return lift<T>([](T a) { return std::floor(a); });
    case Primitive::ceil:
      return lift<T>([](T a) { return std::ceil(a); });
    case Primitive::trunc:
      return lift<T>([](T a) { return std::trunc(a); });
    case Primitive::round:
      // Half to even in the default environment, which is assumed.
      return lift<T>([](T a) { return std::nearbyint(a); });
    default:
      break;
  }
  if (info(primitive).elementary && numerics.mode == Numerics::Mode::mathematical)
    return elementary_function<T>(primitive);
  return ordered_function<T>(primitive);
}

// Wrapping arithmetic is that of the unsigned type.
template <class T>
Function integer_function(Primitive primitive) {
  using Unsigned = std::make_unsigned_t<T>;
  constexpr T lowest = std::numeric_limits<T>::min();
  constexpr Unsigned width_mask = sizeof(T) * 8 - 1;
  switch (primitive) {
    case Primitive::add:
      return lift<T>([](T a, T b) {
        return static_cast<T>(static_cast<Unsigned>(a) + static_cast<Unsigned>(b));
      });
    case Primitive::sub:
      return lift<T>([](T a, T b) {
        return static_cast<T>(static_cast<Unsigned>(a) - static_cast<Unsigned>(b));
      });
    case Primitive::mul:
      return lift<T>([](T a, T b) {
        return static_cast<T>(static_cast<Unsigned>(a) * static_cast<Unsigned>(b));
      });
    case Primitive::div:
      return lift<T>([](T a, T b) -> T {
        if (b == 0) return 0;
        if constexpr (std::is_signed_v<T>)
          if (a == lowest && b == -1) return lowest;
        return static_cast<T>(a / b);
      });
    case Primitive::rem:
      return lift<T>([](T a, T b) -> T {
        if (b == 0) return a;
        if constexpr (std::is_signed_v<T>)
          if (b == -1) return 0;
        return static_cast<T>(a % b);
      });
    case Primitive::fma:
      return lift<T>([](T a, T b, T c) {
        return static_cast<T>(static_cast<Unsigned>(a) * static_cast<Unsigned>(b) +
                              static_cast<Unsigned>(c));
      });
    case Primitive::neg:
      return lift<T>([](T a) { return static_cast<T>(Unsigned{0} - static_cast<Unsigned>(a)); });
    case Primitive::abs:
      return lift<T>([](T a) {
        if constexpr (std::is_signed_v<T>)
          if (a < 0) return static_cast<T>(Unsigned{0} - static_cast<Unsigned>(a));
        return a;
      });
    case Primitive::bit_and:
      return lift<T>([](T a, T b) { return static_cast<T>(a & b); });
    case Primitive::bit_or:
      return lift<T>([](T a, T b) { return static_cast<T>(a | b); });
    case Primitive::bit_xor:
      return lift<T>([](T a, T b) { return static_cast<T>(a ^ b); });
    case Primitive::bit_not:
      return lift<T>([](T a) { return static_cast<T>(~a); });
    case Primitive::shift_left:
      return lift<T>([](T a, T b) {
        return static_cast<T>(static_cast<Unsigned>(a) << (static_cast<Unsigned>(b) & width_mask));
      });
    case Primitive::shift_right:
      return lift<T>([](T a, T b) {
        return static_cast<T>(static_cast<Unsigned>(a) >> (static_cast<Unsigned>(b) & width_mask));
      });
    case Primitive::shift_right_arithmetic:
      return lift<T>(
          [](T a, T b) { return static_cast<T>(a >> (static_cast<Unsigned>(b) & width_mask)); });
    default:
      return ordered_function<T>(primitive);
  }
}

// An extent that divides an index may be 0 where there is no element to index; that is no fault.
std::int64_t modulo_of(std::int64_t a, std::int64_t b) {
  if (b <= 0) return a;
  std::int64_t rest = a % b;
  return rest < 0 ? rest + b : rest;
}

std::int64_t floor_div_of(std::int64_t a, std::int64_t b) {
  if (b <= 0) return 0;
  return a / b - (a % b < 0 ? 1 : 0);
}

Function index_function(Primitive primitive) {
  using T = std::int64_t;
  switch (primitive) {
    case Primitive::floor_div:
      return lift<T>([](T a, T b) { return floor_div_of(a, b); });
    case Primitive::modulo:
      return lift<T>([](T a, T b) { return modulo_of(a, b); });
    default:
      return integer_function<T>(primitive);
  }
}

Function boolean_function(Primitive primitive) {
  switch (primitive) {
    case Primitive::bit_and:
      return lift<bool>([](bool a, bool b) { return a && b; });
    case Primitive::bit_or:
      return lift<bool>([](bool a, bool b) { return a || b; });
    case Primitive::bit_xor:
      return lift<bool>([](bool a, bool b) { return a != b; });
    case Primitive::bit_not:
      return lift<bool>([](bool a) { return !a; });
    default:
      return ordered_function<bool>(primitive);
  }
}

template <DType from, DType to>
Bits convert(Bits a, Bits, Bits) {
  if (is_float(from)) return bits_of(to, to_double(from, a));
  return bits_of(to, to_integer(from, a));
}

template <DType from>
Function cast_from(DType to) {
  switch (to) {
    case DType::f32:
      return convert<from, DType::f32>;
    case DType::f64:
      return convert<from, DType::f64>;
    case DType::f16:
      return convert<from, DType::f16>;
    case DType::bf16:
      return convert<from, DType::bf16>;
    case DType::i8:
      return convert<from, DType::i8>;
    case DType::u8:
      return convert<from, DType::u8>;
    case DType::i32:
      return convert<from, DType::i32>;
    case DType::i64:
      return convert<from, DType::i64>;
    case DType::boolean:
      return convert<from, DType::boolean>;
  }
  return nullptr;
}

Function cast_function(DType from, DType to) {
  switch (from) {
    case DType::f32:
      return cast_from<DType::f32>(to);
    case DType::f64:
      return cast_from<DType::f64>(to);
    case DType::f16:
      return cast_from<DType::f16>(to);
    case DType::bf16:
      return cast_from<DType::bf16>(to);
    case DType::i8:
      return cast_from<DType::i8>(to);
    case DType::u8:
      return cast_from<DType::u8>(to);
    case DType::i32:
      return cast_from<DType::i32>(to);
    case DType::i64:
      return cast_from<DType::i64>(to);
    case DType::boolean:
      return cast_from<DType::boolean>(to);
  }
  return nullptr;
}

// `operand` is the type of the first operand.
Function find_function(Primitive primitive, DType type, DType operand, const Numerics& numerics) {
  switch (primitive) {
    case Primitive::select:
      return [](Bits condition, Bits a, Bits b) { return as_bool(condition) ? a : b; };
    case Primitive::bitcast:
      return [](Bits a, Bits, Bits) { return a; };
    case Primitive::cast:
      return cast_function(operand, type);
    default:
      break;
  }
  switch (operand) {
    case DType::f32:
      return float_function<float>(primitive, numerics);
    case DType::f64:
      return float_function<double>(primitive, numerics);
    case DType::i8:
      return integer_function<std::int8_t>(primitive);
    case DType::u8:
      return integer_function<std::uint8_t>(primitive);
    case DType::i32:
      return integer_function<std::int32_t>(primitive);
    case DType::i64:
      return index_function(primitive);
    case DType::boolean:
      return boolean_function(primitive);
    default:
      return nullptr;
  }
}

}  // namespace

PrimitiveFunction primitive_function(Primitive primitive, DType type, DType operand,
                                     const Numerics& numerics) {
  PrimitiveFunction function = find_function(primitive, type, operand, numerics);
  WEIR_CHECK(function != nullptr,
             std::string(info(primitive).name) + " of " + std::string(name(operand)));
  return function;
}

}  // namespace weir::scalar
