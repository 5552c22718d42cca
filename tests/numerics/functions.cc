// See functions.h. Bounds: 1.5 ulp for a primitive with FMA and 2.5 without, 4 for an activation
// and for a derivative; 2 ulp for a primitive in f64.
#include "tests/numerics/functions.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace weir::numerics {
namespace {

using namespace wide;

template <class W>
W infinity() {
  return static_cast<W>(std::numeric_limits<double>::infinity());
}

template <class W>
W greatest(W a, W b) {
  return fabs(a) > fabs(b) ? fabs(a) : fabs(b);
}

// a + b, in units of the greater.
template <class W>
Exact<W> sum(W a, W b) {
  return {a + b, greatest(a, b)};
}

template <class W>
void exp_of(W x, W, Exact<W>* results) {
  results[0] = results[1] = {exp(x)};
}

template <class W>
void expm1_of(W x, W, Exact<W>* results) {
  results[0] = {expm1(x)};
  results[1] = {exp(x)};
}

template <class W>
void log_of(W x, W, Exact<W>* results) {
  results[0] = {log(x)};
  results[1] = {1 / x};
}

template <class W>
void log1p_of(W x, W, Exact<W>* results) {
  results[0] = {log1p(x)};
  results[1] = {1 / (1 + x)};
}

template <class W>
void tanh_of(W x, W, Exact<W>* results) {
  W c = cosh(x);
  results[0] = {tanh(x)};
  results[1] = {1 / c / c};
}

template <class W>
W sigmoid(W x) {
  return 1 / (1 + exp(-x));
}
template <class W>
W sigmoid_slope(W x) {
  W e = exp(-fabs(x));
  return e / ((1 + e) * (1 + e));
}

template <class W>
void sigmoid_of(W x, W, Exact<W>* results) {
  results[0] = {sigmoid(x)};
  results[1] = {sigmoid_slope(x)};
}

template <class W>
void erf_of(W x, W, Exact<W>* results) {
  results[0] = {erf(x)};
  results[1] = {2 / sqrt(pi<W>) * exp(-x * x)};
}

template <class W>
void erfc_of(W x, W, Exact<W>* results) {
  results[0] = {erfc(x)};
  results[1] = {-2 / sqrt(pi<W>) * exp(-x * x)};
}

template <class W>
void sin_of(W x, W, Exact<W>* results) {
  results[0] = {sin(x)};
  results[1] = {cos(x)};
}

template <class W>
void cos_of(W x, W, Exact<W>* results) {
  results[0] = {cos(x)};
  results[1] = {-sin(x)};
}

template <class W>
void sqrt_of(W x, W, Exact<W>* results) {
  W root = sqrt(x);
  results[0] = {root};
  results[1] = {1 / (2 * root)};
}

template <class W>
void rsqrt_of(W x, W, Exact<W>* results) {
  W root = sqrt(x);
  results[0] = {1 / root};
  results[1] = {-1 / (2 * x * root)};
}

template <class W>
void reciprocal_of(W x, W, Exact<W>* results) {
  results[0] = {1 / x};
  results[1] = {-1 / (x * x)};
}

// The value and derivative of x * share(x), where share goes from 0 to 1.
template <class W>
void gated(W x, W share, W slope, Exact<W>* results) {
  if (x == infinity<W>() || x == -infinity<W>()) {
    results[0] = {x > 0 ? x : static_cast<W>(-0.0)};
    results[1] = {static_cast<W>(x > 0 ? 1 : 0)};
    return;
  }
  results[0] = {x * share};
  results[1] = sum(share, x * slope);
}

template <class W>
void gelu_of(W x, W, Exact<W>* results) {
  W share = erfc(-x / sqrt(static_cast<W>(2))) / 2;
  gated(x, share, exp(-x * x / 2) / sqrt(2 * pi<W>), results);
}

template <class W>
void gelu_tanh_of(W x, W, Exact<W>* results) {
  W cubic = static_cast<W>(44715) / 1000000;
  W factor = 2 * sqrt(2 / pi<W>);  // (1 + tanh(u)) / 2 is the sigmoid of 2 u
  W argument = factor * (x + cubic * x * x * x);
  gated(x, sigmoid(argument), sigmoid_slope(argument) * factor * (1 + 3 * cubic * x * x), results);
}

template <class W>
W softplus(W x) {
  return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

template <class W>
void softplus_of(W x, W, Exact<W>* results) {
  results[0] = {softplus(x)};
  results[1] = {sigmoid(x)};
}

template <class W>
void silu_of(W x, W, Exact<W>* results) {
  gated(x, sigmoid(x), sigmoid_slope(x), results);
}

template <class W>
void mish_of(W x, W, Exact<W>* results) {
  W plus = softplus(x);
  W c = cosh(plus);
  gated(x, tanh(plus), sigmoid(x) / c / c, results);
}

// scale * (x or alpha (exp(x / width) - 1)).
template <class W>
void exponential_linear(W x, W alpha, W scale, W width, Exact<W>* results) {
  bool above = x > 0;
  results[0] = {above ? scale * x : scale * alpha * expm1(x / width)};
  results[1] = {above ? scale : scale * alpha / width * exp(x / width)};
}

template <class W>
void elu_of(W x, W, Exact<W>* results) {
  exponential_linear<W>(x, 1, 1, 1, results);
}

template <class W>
void selu_of(W x, W, Exact<W>* results) {
  exponential_linear<W>(x, static_cast<W>(1.6732632423543772), static_cast<W>(1.0507009873554805),
                        1, results);
}

template <class W>
void celu_of(W x, W, Exact<W>* results) {
  exponential_linear<W>(x, static_cast<W>(0.5), 1, static_cast<W>(0.5), results);
}

template <class W>
void pow_of(W x, W y, Exact<W>* results) {
  results[0] = {pow(x, y)};
  // Of a tiny y no trace is left in y - 1.
  bool has_no_power = x < 0 && is_nan(results[0].value);
  results[1] = {y == 0 ? 0 : has_no_power ? results[0].value : y * pow(x, y - 1)};
  results[2] = {x == 0 && y >= 0 ? 0 : pow(x == 0 ? 0 : x, y) * log(x == 0 ? 0 : x)};
}

constexpr Bounds kPrimitive{1.5, 2.5}, kPrimitiveF64{2, 2};
constexpr Bounds kComposed{4, 4};  // activations, and all derivatives

#define WEIR_REFERENCES(function) function<double>, function<Quad>
constexpr Direction kUp = Direction::increasing, kDown = Direction::decreasing;
constexpr Direction kNeither = Direction::none;

Function primitive(std::string_view name, std::string_view text, Reference<double> of_f32,
                   Reference<Quad> of_f64, Direction direction, bool steps_at_zero = false) {
  return {name,          text,      of_f32,    of_f64,       kPrimitive,
          kPrimitiveF64, kComposed, direction, steps_at_zero};
}

Function activation(std::string_view name, std::string_view text, Reference<double> of_f32,
                    Reference<Quad> of_f64, Direction direction) {
  return {name, text, of_f32, of_f64, kComposed, kComposed, kComposed, direction, false};
}

// A line each, which cmake/WeirNumerics.cmake reads.
// clang-format off
const std::array kFunctions{
    primitive("exp", "exp(%t)", WEIR_REFERENCES(exp_of), kUp),
    primitive("expm1", "expm1(%t)", WEIR_REFERENCES(expm1_of), kUp),
    primitive("log", "log(%t)", WEIR_REFERENCES(log_of), kUp),
    primitive("log1p", "log1p(%t)", WEIR_REFERENCES(log1p_of), kUp),
    primitive("tanh", "tanh(%t)", WEIR_REFERENCES(tanh_of), kUp),
    primitive("sigmoid", "sigmoid(%t)", WEIR_REFERENCES(sigmoid_of), kUp),
    primitive("erf", "erf(%t)", WEIR_REFERENCES(erf_of), kUp),
    primitive("erfc", "erfc(%t)", WEIR_REFERENCES(erfc_of), kDown),
    primitive("sin", "sin(%t)", WEIR_REFERENCES(sin_of), kNeither),
    primitive("cos", "cos(%t)", WEIR_REFERENCES(cos_of), kNeither),
    primitive("sqrt", "sqrt(%t)", WEIR_REFERENCES(sqrt_of), kUp),
    primitive("rsqrt", "rsqrt(%t)", WEIR_REFERENCES(rsqrt_of), kDown, true),
    primitive("reciprocal", "reciprocal(%t)", WEIR_REFERENCES(reciprocal_of), kDown, true),
    primitive("pow", "pow(%t, %y)", WEIR_REFERENCES(pow_of), kNeither),
    activation("gelu", "gelu(%t)", WEIR_REFERENCES(gelu_of), kNeither),
    activation("gelu_tanh", "gelu(%t) {approximate = true}", WEIR_REFERENCES(gelu_tanh_of), kNeither),
    activation("softplus", "softplus(%t)", WEIR_REFERENCES(softplus_of), kUp),
    activation("silu", "silu(%t)", WEIR_REFERENCES(silu_of), kNeither),
    activation("mish", "mish(%t)", WEIR_REFERENCES(mish_of), kNeither),
    activation("elu", "elu(%t)", WEIR_REFERENCES(elu_of), kUp),
    activation("selu", "selu(%t)", WEIR_REFERENCES(selu_of), kUp),
    activation("celu", "celu(%t) {alpha = 0.5}", WEIR_REFERENCES(celu_of), kUp),
};
// clang-format on

}  // namespace

std::span<const Function> functions() { return kFunctions; }

const Function* find_function(std::string_view name) {
  auto found = std::find_if(kFunctions.begin(), kFunctions.end(),
                            [&](const Function& function) { return function.name == name; });
  return found == kFunctions.end() ? nullptr : &*found;
}

std::string Function::name_of(int result) const {
  if (result == 0) return std::string(name);
  return fmt::format("{}'{}", name, operands() == 1 ? "" : result == 1 ? " x" : " y");
}

}  // namespace weir::numerics
