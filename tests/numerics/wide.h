// Arithmetic wider than what is tested: double for f32, and for f64 the widest type that the
// compiler has functions for, which is __float128 with GCC and long double elsewhere.
#pragma once

#include <cmath>
#include <limits>

#if defined(WEIR_QUADMATH) && __has_include(<quadmath.h>)
#include <quadmath.h>
#define WEIR_HAS_QUAD
#endif

namespace weir::numerics {

#if defined(WEIR_HAS_QUAD)
__extension__ using Quad = __float128;
#else
using Quad = long double;
#endif

template <class T>
struct WiderThan;
template <>
struct WiderThan<float> {
  using Type = double;
};
template <>
struct WiderThan<double> {
  using Type = Quad;
};
template <class T>
using Wide = typename WiderThan<T>::Type;

// The functions of a wide type, under one name each.
namespace wide {

#if defined(WEIR_HAS_QUAD)
#define WEIR_WIDE(name)                                 \
  inline double name(double x) { return std::name(x); } \
  inline Quad name(Quad x) { return name##q(x); }
inline double pow(double x, double y) { return std::pow(x, y); }
inline Quad pow(Quad x, Quad y) { return powq(x, y); }
inline bool is_nan(double x) { return x != x; }
inline bool is_nan(Quad x) { return x != x; }
inline bool negative(double x) { return std::signbit(x); }
inline bool negative(Quad x) { return signbitq(x) != 0; }
inline double scaled(double x, int exponent) { return std::ldexp(x, exponent); }
inline Quad scaled(Quad x, int exponent) { return ldexpq(x, exponent); }
inline int exponent_of(double x) { return std::ilogb(x); }
inline int exponent_of(Quad x) { return ilogbq(x); }
#else
#define WEIR_WIDE(name)                                 \
  inline double name(double x) { return std::name(x); } \
  inline Quad name(Quad x) { return std::name(x); }
template <class T>
T pow(T x, T y) {
  return std::pow(x, y);
}
template <class T>
bool is_nan(T x) {
  return x != x;
}
template <class T>
bool negative(T x) {
  return std::signbit(x);
}
template <class T>
T scaled(T x, int exponent) {
  return std::ldexp(x, exponent);
}
template <class T>
int exponent_of(T x) {
  return std::ilogb(x);
}
#endif
WEIR_WIDE(exp)
WEIR_WIDE(expm1)
WEIR_WIDE(log)
WEIR_WIDE(log1p)
WEIR_WIDE(tanh)
WEIR_WIDE(cosh)
WEIR_WIDE(erf)
WEIR_WIDE(erfc)
WEIR_WIDE(sin)
WEIR_WIDE(cos)
WEIR_WIDE(sqrt)
WEIR_WIDE(fabs)
#undef WEIR_WIDE

}  // namespace wide

// To 106 bits: its two nearest doubles.
template <class W>
inline constexpr W pi =
    static_cast<W>(0x1.921fb54442d18p+1) + static_cast<W>(0x1.1a62633145c07p-53);

}  // namespace weir::numerics
