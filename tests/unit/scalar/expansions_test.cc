// The expansions against the mathematical functions, evaluated in wider types.
//
// Errors are counted in ulp: units in the last place of the exact result, denormal ones included.
// An infinite result counts as the power of two after the largest number. The bounds are those that
// the headers of the expansions state, found over all f32 and many more f64.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <ostream>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "ir/scalar/evaluate.h"
#include "ir/scalar/expand.h"
#include "ir/scalar/expr.h"

namespace weir::scalar {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <class T>
struct Traits;
template <>
struct Traits<float> {
  using Wide = double;
  using Integer = std::uint32_t;
  static constexpr DType dtype = DType::f32;
};
template <>
struct Traits<double> {
  using Wide = long double;
  using Integer = std::uint64_t;
  static constexpr DType dtype = DType::f64;
};

// An expanded primitive, ready to be called.
template <class T>
class Expanded {
 public:
  Expanded(Primitive primitive, bool has_fma) : root_(expansion(arena_, primitive)) {
    evaluator_.emplace_back(arena_, std::vector{root_},
                            Numerics{Numerics::Mode::expanded, has_fma});
  }
  template <class... Operand>
  T operator()(Operand... operands) {
    std::array bits{to_bits(operands)...};
    environment_.arguments = bits;
    return from_bits(evaluator_[0].run(environment_)[0]);
  }

 private:
  static Id expansion(Arena& arena, Primitive primitive) {
    std::vector<Id> operands;
    for (int i = 0; i < info(primitive).arity; ++i)
      operands.push_back(arena.argument(static_cast<std::uint32_t>(i), Traits<T>::dtype));
    return expand(arena, primitive, operands);
  }
  static Bits to_bits(T x) { return {std::bit_cast<typename Traits<T>::Integer>(x)}; }
  static T from_bits(Bits bits) {
    return std::bit_cast<T>(static_cast<typename Traits<T>::Integer>(bits.value));
  }

  Arena arena_;
  Id root_;
  std::vector<Evaluator> evaluator_;
  Environment environment_;
};

// |result - exact| in ulp of `exact`; infinity if one of them alone is NaN.
template <class T>
double error_in_ulp(T result, typename Traits<T>::Wide exact) {
  using Wide = typename Traits<T>::Wide;
  using Limits = std::numeric_limits<T>;
  if (std::isnan(exact) || std::isnan(result))
    return std::isnan(exact) && std::isnan(result) ? 0 : kInfinity;
  Wide beyond = std::ldexp(Wide{1}, Limits::max_exponent);
  Wide value = std::isinf(result) ? std::copysign(beyond, Wide{result}) : Wide{result};
  if (std::isinf(static_cast<T>(exact)))
    return value == std::copysign(beyond, exact) ? 0 : kInfinity;
  int exponent = Limits::min_exponent;
  if (exact != 0) std::frexp(exact, &exponent);
  exponent = std::max(exponent, Limits::min_exponent) - Limits::digits;
  return static_cast<double>(std::ldexp(std::fabs(value - exact), -exponent));
}

struct Bounds {
  double with_fma;
  double without;
};

struct Function {
  Primitive primitive;
  double (*reference)(double);
  long double (*wide_reference)(long double);
  Bounds f32;
  Bounds f64;
  double low, high;  // where most of what happens in f64 happens
  int direction;     // 1: increasing, -1: decreasing, 0: neither
};

void PrintTo(const Function& function, std::ostream* out) { *out << info(function.primitive).name; }

template <class W>
W sigmoid(W x) {
  return 1 / (1 + std::exp(-x));
}
template <class W>
W softplus(W x) {
  return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
}

const std::array kFunctions{
    Function{Primitive::exp, std::exp, std::exp, {1.1, 1.1}, {1.1, 1.1}, -750, 715, 1},
    Function{Primitive::expm1, std::expm1, std::expm1, {1.3, 1.3}, {1.3, 1.3}, -40, 40, 1},
    Function{Primitive::log, std::log, std::log, {1.0, 1.0}, {1.0, 1.0}, 0, 4, 1},
    Function{Primitive::log1p, std::log1p, std::log1p, {1.0, 1.0}, {1.6, 1.6}, -1, 4, 1},
    Function{Primitive::tanh, std::tanh, std::tanh, {1.2, 1.2}, {1.5, 1.5}, -20, 20, 1},
    Function{Primitive::erf, std::erf, std::erf, {1.2, 1.4}, {1.3, 1.3}, -6, 6, 1},
    Function{Primitive::erfc, std::erfc, std::erfc, {1.5, 1.7}, {1.5, 1.8}, -6, 27, -1},
    Function{Primitive::sin, std::sin, std::sin, {0.9, 1.0}, {0.9, 0.9}, -700, 700, 0},
    Function{Primitive::cos, std::cos, std::cos, {0.9, 1.0}, {0.9, 0.9}, -700, 700, 0},
    Function{Primitive::sigmoid,
             sigmoid<double>,
             sigmoid<long double>,
             {1.1, 1.1},
             {1.1, 1.1},
             -750,
             40,
             1},
    Function{Primitive::softplus,
             softplus<double>,
             softplus<long double>,
             {1.6, 1.6},
             {1.7, 1.7},
             -750,
             40,
             1},
};

class Expansions : public testing::TestWithParam<Function> {
 protected:
  template <class T>
  static auto reference(T x) {
    if constexpr (std::is_same_v<T, float>)
      return GetParam().reference(x);
    else
      return GetParam().wide_reference(x);
  }

  template <class T>
  static void expect_close(const std::vector<T>& inputs, const Bounds& bounds) {
    for (bool has_fma : {true, false}) {
      Expanded<T> function(GetParam().primitive, has_fma);
      double worst = 0;
      T worst_input = 0;
      for (T x : inputs) {
        T result = function(x);
        auto exact = reference(x);
        double error = error_in_ulp(result, exact);
        if (error > worst) {
          worst = error;
          worst_input = x;
        }
        if (result == 0 && exact == 0) {
          ASSERT_EQ(std::signbit(result), std::signbit(exact)) << "sign of zero at " << x;
        }
      }
      EXPECT_LE(worst, has_fma ? bounds.with_fma : bounds.without)
          << (has_fma ? "with" : "without") << " FMA, at " << std::hexfloat << worst_input;
    }
  }

  // Every run of neighbours starts at one of the inputs.
  template <class T>
  static void expect_monotone(const std::vector<T>& starts) {
    int direction = GetParam().direction;
    for (bool has_fma : {true, false}) {
      Expanded<T> function(GetParam().primitive, has_fma);
      for (T x : starts) {
        T previous = function(x);
        for (int i = 0; i < 64; ++i) {
          x = std::nextafter(x, std::numeric_limits<T>::infinity());
          T next = function(x);
          // Comparisons with NaN, outside of the domain, are false.
          ASSERT_FALSE(direction > 0 ? next < previous : next > previous)
              << (has_fma ? "with" : "without") << " FMA, at " << std::hexfloat << x;
          previous = next;
        }
      }
    }
  }
};

class MonotoneExpansions : public Expansions {};

template <class T>
std::vector<T> special_values() {
  using Limits = std::numeric_limits<T>;
  std::vector<T> values;
  for (T x : {T(0),
              Limits::denorm_min(),
              3 * Limits::denorm_min(),
              Limits::min() / 3,
              Limits::min(),
              Limits::epsilon() / 2,
              Limits::epsilon(),
              T(0.25),
              T(0.3465736),
              T(0.5),
              T(0.55),
              T(0.625),
              T(0.6931472),
              T(0.7071068),
              T(0.75),
              T(1),
              T(1.4142136),
              T(1.5),
              T(1.5707963),
              T(2),
              T(3),
              T(3.1415927),
              T(4),
              T(9.1),
              T(10.06),
              T(17.4),
              T(26.6),
              T(87.33655),
              T(88.72284),
              T(103.97),
              T(708.3964),
              T(709.78271),
              T(745.13321),
              Limits::max() / 4,
              Limits::max(),
              Limits::infinity()}) {
    for (T near : {x, std::nextafter(x, T(0)), std::nextafter(x, Limits::infinity())})
      values.insert(values.end(), {near, -near});
  }
  values.push_back(Limits::quiet_NaN());
  return values;
}

std::vector<float> all_magnitudes_f32() {
  std::vector<float> values = special_values<float>();
  for (std::uint64_t bits = 0; bits < (1ull << 32); bits += 8209)
    values.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
  return values;
}

std::vector<double> all_magnitudes_f64() {
  std::vector<double> values = special_values<double>();
  std::mt19937_64 random(1);
  for (int i = 0; i < 100000; ++i) values.push_back(std::bit_cast<double>(random()));
  return values;
}

std::vector<double> dense_f64(double low, double high) {
  std::vector<double> values;
  std::mt19937_64 random(2);
  std::uniform_real_distribution<double> uniform(0, 1);
  for (int i = 0; i < 100000; ++i) {
    double x = low + (high - low) * uniform(random);
    // As many inputs again around 0, and all of them with random last bits.
    values.push_back(std::bit_cast<double>(std::bit_cast<std::uint64_t>(x) ^ (random() & 0xffff)));
    values.push_back(std::ldexp(values.back(), -static_cast<int>(random() % 12)));
  }
  return values;
}

TEST_P(Expansions, AreAccurateInF32) { expect_close(all_magnitudes_f32(), GetParam().f32); }

TEST_P(Expansions, AreAccurateInF64) {
  expect_close(all_magnitudes_f64(), GetParam().f64);
  expect_close(dense_f64(GetParam().low, GetParam().high), GetParam().f64);
}

TEST_P(MonotoneExpansions, AreMonotoneInF32) {
  std::vector<float> starts = special_values<float>();
  for (std::uint64_t bits = 0; bits < (1ull << 32); bits += 1048583)
    starts.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
  // erfc comes nearest to a step in the wrong direction here.
  starts.push_back(0x1.2ebcap-2f);
  expect_monotone(starts);
}

TEST_P(MonotoneExpansions, AreMonotoneInF64) {
  std::vector<double> starts = dense_f64(GetParam().low, GetParam().high);
  starts.resize(2000);
  for (double x : special_values<double>()) starts.push_back(x);
  expect_monotone(starts);
}

std::string name_of(const testing::TestParamInfo<Function>& function) {
  return std::string(info(function.param.primitive).name);
}

std::vector<Function> monotone_functions() {
  std::vector<Function> functions;
  for (const Function& function : kFunctions)
    if (function.direction != 0) functions.push_back(function);
  return functions;
}

INSTANTIATE_TEST_SUITE_P(All, Expansions, testing::ValuesIn(kFunctions), name_of);
INSTANTIATE_TEST_SUITE_P(All, MonotoneExpansions, testing::ValuesIn(monotone_functions()), name_of);

template <class T>
void expect_close_power(const std::vector<std::pair<T, T>>& inputs, const Bounds& bounds) {
  using Wide = typename Traits<T>::Wide;
  for (bool has_fma : {true, false}) {
    Expanded<T> power(Primitive::pow, has_fma);
    for (auto [x, y] : inputs) {
      T result = power(x, y);
      Wide exact = std::pow(Wide{x}, Wide{y});
      ASSERT_LE(error_in_ulp(result, exact), has_fma ? bounds.with_fma : bounds.without)
          << (has_fma ? "with" : "without") << " FMA, " << std::hexfloat << x << " to the " << y
          << " is not " << result;
      if (result == 0 && exact == 0) {
        ASSERT_EQ(std::signbit(result), std::signbit(exact)) << x << " to the " << y;
      }
    }
  }
}

template <class T>
std::vector<std::pair<T, T>> special_powers() {
  std::vector<T> values = special_values<T>();
  for (T x : {std::ldexp(T(1), std::numeric_limits<T>::digits - 1),
              std::ldexp(T(1), std::numeric_limits<T>::digits)})
    for (T near : {x - 1, x, x + 1, x + 2}) values.insert(values.end(), {near, -near});
  std::vector<std::pair<T, T>> powers;
  for (T x : values)
    for (T y : values) powers.emplace_back(x, y);
  return powers;
}

// Bases of all magnitudes and near 1, with exponents that take them anywhere in the range.
template <class T>
std::vector<std::pair<T, T>> random_powers() {
  using Limits = std::numeric_limits<T>;
  std::mt19937_64 random(3);
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::vector<std::pair<T, T>> powers;
  for (int i = 0; i < 100000; ++i) {
    double spread =
        i % 2 == 0 ? Limits::max_exponent : std::ldexp(1.0, -static_cast<int>(random() % 16));
    T x = static_cast<T>(std::exp2(spread * uniform(random)));
    T y = static_cast<T>(1.05 * Limits::max_exponent * uniform(random) / std::log2(double{x}));
    powers.emplace_back(x, y);
    powers.emplace_back(-x, std::nearbyint(y));
  }
  return powers;
}

constexpr Bounds kPowerF32{0.51, 0.51};
constexpr Bounds kPowerF64{0.75, 0.75};

TEST(PowerExpansion, IsAccurateInF32) { expect_close_power(random_powers<float>(), kPowerF32); }

TEST(PowerExpansion, IsAccurateInF64) { expect_close_power(random_powers<double>(), kPowerF64); }

TEST(PowerExpansion, HasTheSpecialCasesOfC) {
  expect_close_power(special_powers<float>(), kPowerF32);
  expect_close_power(special_powers<double>(), kPowerF64);
}

// Powers that are numbers of the type are these numbers. The products are those of integers.
template <class T>
void expect_exact_powers(std::int64_t square_stride) {
  constexpr int kDigits = std::numeric_limits<T>::digits;
  for (bool has_fma : {true, false}) {
    Expanded<T> power(Primitive::pow, has_fma);
    auto expect = [&](T x, T y, T exact) {
      ASSERT_EQ(power(x, y), exact)
          << (has_fma ? "with" : "without") << " FMA, " << std::hexfloat << x << " to the " << y;
    };
    for (int exponent = 1; exponent <= kDigits; ++exponent) {
      std::int64_t stride = exponent == 1   ? (std::int64_t{1} << (kDigits - 10)) + 1
                            : exponent == 2 ? square_stride
                                            : 1;
      for (std::int64_t base = 2;; base += stride) {
        std::int64_t product = 1;
        for (int i = 0; i < exponent && product < (std::int64_t{1} << kDigits); ++i)
          product *= base;
        if (product >= (std::int64_t{1} << kDigits)) break;
        T x = static_cast<T>(base), y = static_cast<T>(exponent), exact = static_cast<T>(product);
        expect(x, y, exact);
        expect(-x, y, exponent % 2 == 0 ? exact : -exact);
        expect(std::ldexp(x, -3), y, std::ldexp(exact, -3 * exponent));
        if (exponent == 2) expect(exact, T(0.5), x);
        if (exponent == 3) expect(x * x, T(1.5), exact);
        if (testing::Test::HasFailure()) return;
      }
    }
    for (int exponent = 1; exponent < 30; ++exponent)
      expect(T(4), T(-exponent), std::ldexp(T(1), -2 * exponent));
  }
}

TEST(PowerExpansion, IsExactWhereTheResultIsANumber) {
  expect_exact_powers<float>(1);
  expect_exact_powers<double>(9973);
}

TEST(ExpandAll, ExpandsNestedFunctionsAndSharesEqualOnes) {
  Arena arena;
  Expr x(arena, arena.argument(0, DType::f32));
  std::array roots{(exp(log(x)) + 1.0).id(), (exp(log(x)) * 2.0).id(), x.id()};
  std::vector<Id> expanded = expand_all(arena, roots);
  ASSERT_EQ(expanded.size(), roots.size());
  EXPECT_EQ(expanded[2], x.id());
  for (Id id : reachable(arena, expanded)) EXPECT_FALSE(info(arena[id].primitive).elementary);
  EXPECT_EQ(arena.operand(expanded[0], 0), arena.operand(expanded[1], 0));

  Evaluator evaluator(arena, expanded, {Numerics::Mode::expanded, true});
  std::array arguments{from_f32(3.0f)};
  Environment environment;
  environment.arguments = arguments;
  std::span<const Bits> results = evaluator.run(environment);
  EXPECT_NEAR(as_f32(results[0]), 4.0f, 1e-5f);
  EXPECT_NEAR(as_f32(results[1]), 6.0f, 1e-5f);
}

TEST(ExpandAll, LeavesOtherExpressionsAlone) {
  Arena arena;
  Expr x(arena, arena.argument(0, DType::f64));
  std::array roots{fma(x, 2.0, 1.0).id()};
  EXPECT_EQ(expand_all(arena, roots), std::vector(roots.begin(), roots.end()));
}

}  // namespace
}  // namespace weir::scalar
