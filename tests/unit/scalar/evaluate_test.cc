// What every primitive means, at the corners, and how an Evaluator treats leaves and loads.
#include "ir/scalar/evaluate.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ir/diagnostic.h"
#include "ir/scalar/expr.h"

namespace weir::scalar {
namespace {

constexpr double kPlusInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr std::int64_t kMin32 = INT32_MIN, kMax32 = INT32_MAX;
constexpr std::int64_t kMin64 = INT64_MIN, kMax64 = INT64_MAX;

Bits apply_to(Primitive primitive, DType type, std::vector<Bits> operands, Numerics numerics = {}) {
  std::vector<DType> types(operands.size(), type);
  DType result = info(primitive).result == ResultRule::boolean ? DType::boolean : type;
  return apply(primitive, result, types, operands, numerics);
}

// A row of a table over the integer types. Limits are those of the type.
struct IntegerRow {
  Primitive primitive;
  std::vector<std::int64_t> operands;
  std::int64_t expected;
};

void check(DType type, const std::vector<IntegerRow>& rows) {
  for (const IntegerRow& row : rows) {
    std::vector<Bits> operands;
    std::string text(info(row.primitive).name);
    for (std::int64_t operand : row.operands) {
      operands.push_back(bits_of(type, operand));
      text += " " + std::to_string(operand);
    }
    Bits result = apply_to(row.primitive, type, operands);
    if (info(row.primitive).result == ResultRule::boolean) {
      EXPECT_EQ(as_bool(result), row.expected != 0) << text;
    } else {
      EXPECT_EQ(to_integer(type, result), row.expected) << name(type) << " " << text;
      EXPECT_EQ(result, bits_of(type, row.expected)) << "not zero-extended: " << text;
    }
  }
}

std::vector<IntegerRow> integer_table(std::int64_t lowest, std::int64_t highest,
                                      std::int64_t width) {
  using enum Primitive;
  return {
      {add, {highest, 1}, lowest},
      {sub, {lowest, 1}, highest},
      {mul, {highest, 2}, -2},
      {mul, {lowest, -1}, lowest},
      {fma, {3, -4, 5}, -7},
      {fma, {highest, highest, highest}, lowest},
      {neg, {lowest}, lowest},
      {neg, {5}, -5},
      {abs, {lowest}, lowest},
      {abs, {-5}, 5},
      {div, {7, 2}, 3},
      {div, {-7, 2}, -3},
      {div, {7, -2}, -3},
      {div, {7, 0}, 0},
      {div, {lowest, 0}, 0},
      {div, {lowest, -1}, lowest},
      {rem, {7, 2}, 1},
      {rem, {-7, 2}, -1},
      {rem, {7, -2}, 1},
      {rem, {7, 0}, 7},
      {rem, {lowest, 0}, lowest},
      {rem, {lowest, -1}, 0},
      {min, {lowest, highest}, lowest},
      {max, {-1, 1}, 1},
      {eq, {3, 3}, 1},
      {ne, {3, 3}, 0},
      {lt, {lowest, highest}, 1},
      {lt, {3, 3}, 0},
      {le, {3, 3}, 1},
      {bit_and, {12, 10}, 8},
      {bit_or, {12, 10}, 14},
      {bit_xor, {12, -1}, -13},
      {bit_not, {0}, -1},
      {shift_left, {1, width - 1}, lowest},
      {shift_left, {3, width}, 3},
      {shift_left, {3, width + 1}, 6},
      {shift_left, {3, -width}, 3},
      {shift_left, {-1, 1}, -2},
      {shift_right, {-1, 1}, highest},
      {shift_right, {lowest, width - 1}, 1},
      {shift_right, {-8, width}, -8},
      {shift_right_arithmetic, {-8, 1}, -4},
      {shift_right_arithmetic, {lowest, width - 1}, -1},
      {shift_right_arithmetic, {-8, width}, -8},
  };
}

TEST(Apply, IntegersWrapAndNeverTrap) {
  check(DType::i8, integer_table(-128, 127, 8));
  check(DType::i32, integer_table(kMin32, kMax32, 32));
  check(DType::i64, integer_table(kMin64, kMax64, 64));
}

TEST(Apply, BytesWithoutSign) {
  using enum Primitive;
  check(DType::u8, {
                       {add, {255, 1}, 0},
                       {sub, {0, 1}, 255},
                       {mul, {16, 17}, 16},
                       {fma, {15, 17, 1}, 0},
                       {neg, {1}, 255},
                       {abs, {200}, 200},
                       {div, {200, 3}, 66},
                       {div, {200, 255}, 0},
                       {div, {200, 0}, 0},
                       {rem, {200, 3}, 2},
                       {rem, {200, 0}, 200},
                       {min, {127, 128}, 127},
                       {max, {127, 128}, 128},
                       {lt, {127, 128}, 1},
                       {le, {128, 127}, 0},
                       {bit_not, {1}, 254},
                       {shift_left, {255, 9}, 254},
                       {shift_right, {255, 1}, 127},
                       {shift_right_arithmetic, {255, 1}, 127},
                   });
}

TEST(Apply, DivisionAndRemainderAlwaysAddUp) {
  for (std::int64_t a : {kMin32, kMin32 + 1, std::int64_t{-7}, std::int64_t{0}, kMax32})
    for (std::int64_t b : {kMin32, std::int64_t{-2}, std::int64_t{-1}, std::int64_t{0}, kMax32}) {
      Bits x = bits_of(DType::i32, a), y = bits_of(DType::i32, b);
      Bits quotient = apply_to(Primitive::div, DType::i32, {x, y});
      Bits rest = apply_to(Primitive::rem, DType::i32, {x, y});
      EXPECT_EQ(apply_to(Primitive::fma, DType::i32, {quotient, y, rest}), x) << a << " " << b;
    }
}

TEST(Apply, IndicesDivideDownwards) {
  using enum Primitive;
  check(DType::i64, {{floor_div, {7, 4}, 1},
                     {floor_div, {-7, 4}, -2},
                     {floor_div, {-8, 4}, -2},
                     {floor_div, {kMin64, 1}, kMin64},
                     {floor_div, {kMin64, kMax64}, -2},
                     {modulo, {7, 4}, 3},
                     {modulo, {-7, 4}, 1},
                     {modulo, {-8, 4}, 0},
                     {modulo, {kMin64, kMax64}, kMax64 - 1},
                     // An empty tensor has nothing to index; folding its indices is no fault.
                     {floor_div, {7, 0}, 0},
                     {modulo, {7, 0}, 7}});
}

struct FloatRow {
  Primitive primitive;
  std::vector<double> operands;
  double expected;
};

class ApplyFloat : public testing::TestWithParam<DType> {};
INSTANTIATE_TEST_SUITE_P(Types, ApplyFloat, testing::Values(DType::f32, DType::f64),
                         [](const auto& type) { return std::string(name(type.param)); });

TEST_P(ApplyFloat, Table) {
  using enum Primitive;
  const DType type = GetParam();
  const std::vector<FloatRow> rows{
      {add, {1, 2}, 3},
      {add, {kPlusInfinity, -kPlusInfinity}, kNan},
      {sub, {0.0, 0.0}, 0.0},
      {mul, {0.0, kPlusInfinity}, kNan},
      {mul, {-1, 0.0}, -0.0},
      {div, {1, 0.0}, kPlusInfinity},
      {div, {-1, 0.0}, -kPlusInfinity},
      {div, {0.0, 0.0}, kNan},
      {rem, {5.5, 2}, 1.5},
      {rem, {-5.5, 2}, -1.5},
      {rem, {-4, 2}, -0.0},
      {rem, {5, 0.0}, kNan},
      {rem, {5, kPlusInfinity}, 5},
      {fma, {2, 3, 4}, 10},
      {neg, {0.0}, -0.0},
      {abs, {-0.0}, 0.0},
      {abs, {-kPlusInfinity}, kPlusInfinity},
      {min, {1, 2}, 1},
      {min, {kNan, 1}, kNan},
      {min, {1, kNan}, kNan},
      {min, {0.0, -0.0}, -0.0},
      {min, {-0.0, 0.0}, 0.0},
      {max, {1, 2}, 2},
      {max, {kNan, 1}, kNan},
      {max, {1, kNan}, kNan},
      {max, {0.0, -0.0}, -0.0},
      {max, {-0.0, 0.0}, 0.0},
      {max, {-kPlusInfinity, kPlusInfinity}, kPlusInfinity},
      {sqrt, {2.25}, 1.5},
      {sqrt, {-0.0}, -0.0},
      {sqrt, {-1}, kNan},
      {floor, {-1.5}, -2},
      {ceil, {-0.5}, -0.0},
      {trunc, {-1.5}, -1},
      {trunc, {-0.5}, -0.0},
      {round, {0.5}, 0},
      {round, {1.5}, 2},
      {round, {2.5}, 2},
      {round, {-0.5}, -0.0},
      {round, {-2.5}, -2},
      {round, {kNan}, kNan},
      {exp, {0.0}, 1},
      {exp, {-kPlusInfinity}, 0},
      {log, {0.0}, -kPlusInfinity},
      {log, {-1}, kNan},
      {log1p, {-0.0}, -0.0},
      {expm1, {-kPlusInfinity}, -1},
      {tanh, {kPlusInfinity}, 1},
      {erf, {-kPlusInfinity}, -1},
      {erfc, {-kPlusInfinity}, 2},
      {sin, {kPlusInfinity}, kNan},
      {cos, {0.0}, 1},
      {pow, {0.0, 0.0}, 1},
      {pow, {kNan, 0.0}, 1},
      {pow, {-2, 3}, -8},
      {pow, {-2, 0.5}, kNan},
  };
  for (const FloatRow& row : rows) {
    std::vector<Bits> operands;
    std::string text(info(row.primitive).name);
    for (double operand : row.operands) {
      operands.push_back(bits_of(type, operand));
      text += " " + shortest(operand);
    }
    Bits result = apply_to(row.primitive, type, operands);
    EXPECT_TRUE(same_value(type, result, bits_of(type, row.expected)))
        << text << " is " << to_string(type, result) << ", not " << shortest(row.expected);
  }
}

TEST_P(ApplyFloat, ComparisonsWithNan) {
  using enum Primitive;
  const DType type = GetParam();
  Bits nan = bits_of(type, kNan), one = bits_of(type, 1.0);
  Bits zero = bits_of(type, 0.0), negative_zero = bits_of(type, -0.0);
  for (Primitive primitive : {eq, lt, le}) {
    EXPECT_FALSE(as_bool(apply_to(primitive, type, {nan, one})));
    EXPECT_FALSE(as_bool(apply_to(primitive, type, {one, nan})));
    EXPECT_FALSE(as_bool(apply_to(primitive, type, {nan, nan})));
  }
  EXPECT_TRUE(as_bool(apply_to(ne, type, {nan, nan})));
  EXPECT_TRUE(as_bool(apply_to(eq, type, {zero, negative_zero})));
  EXPECT_FALSE(as_bool(apply_to(lt, type, {negative_zero, zero})));
}

TEST_P(ApplyFloat, FusedMultiplyAddRoundsAsTheTargetDoes) {
  const DType type = GetParam();
  // (1 + e)^2 - (1 + 2e) is e^2 with one rounding, and 0 with two.
  double e = type == DType::f32 ? 0x1p-13 : 0x1p-30;
  Bits x = bits_of(type, 1 + e), negative = bits_of(type, -(1 + 2 * e));
  Numerics fused, separate;
  separate.has_fma = false;
  EXPECT_EQ(to_double(type, apply_to(Primitive::fma, type, {x, x, negative}, fused)), e * e);
  EXPECT_EQ(to_double(type, apply_to(Primitive::fma, type, {x, x, negative}, separate)), 0);
}

TEST_P(ApplyFloat, ElementaryNodesMustHaveBeenExpanded) {
  const DType type = GetParam();
  Numerics expanded{Numerics::Mode::expanded, true};
  EXPECT_THROW(apply_to(Primitive::exp, type, {bits_of(type, 1.0)}, expanded), InternalError);
  EXPECT_NO_THROW(apply_to(Primitive::sqrt, type, {bits_of(type, 1.0)}, expanded));
}

TEST(Apply, FloatArithmeticIsInFloat) {
  Bits third = apply_to(Primitive::div, DType::f32, {from_f32(1), from_f32(3)});
  EXPECT_EQ(as_f32(third), 1.0f / 3.0f);
  Bits large = from_f32(16777216.0f);
  EXPECT_EQ(as_f32(apply_to(Primitive::add, DType::f32, {large, from_f32(1)})), 16777216.0f);
  EXPECT_EQ(as_f32(apply_to(Primitive::exp, DType::f32, {from_f32(1)})), 0x1.5bf0a8p+1f);
}

TEST(Apply, WhatATypeLacksIsAFault) {
  EXPECT_THROW(apply_to(Primitive::bit_and, DType::f32, {Bits{}, Bits{}}), InternalError);
  EXPECT_THROW(apply_to(Primitive::sqrt, DType::i32, {Bits{}}), InternalError);
  EXPECT_THROW(apply_to(Primitive::add, DType::boolean, {Bits{}, Bits{}}), InternalError);
  EXPECT_THROW(apply_to(Primitive::add, DType::f16, {Bits{}, Bits{}}), InternalError);
  EXPECT_THROW(apply_to(Primitive::floor_div, DType::i32, {Bits{}, Bits{}}), InternalError);
}

TEST(Apply, Logic) {
  for (bool a : {false, true})
    for (bool b : {false, true}) {
      std::vector<Bits> both{from_bool(a), from_bool(b)};
      EXPECT_EQ(as_bool(apply_to(Primitive::bit_and, DType::boolean, both)), a && b);
      EXPECT_EQ(as_bool(apply_to(Primitive::bit_or, DType::boolean, both)), a || b);
      EXPECT_EQ(as_bool(apply_to(Primitive::bit_xor, DType::boolean, both)), a != b);
      EXPECT_EQ(as_bool(apply_to(Primitive::min, DType::boolean, both)), a && b);
      EXPECT_EQ(as_bool(apply_to(Primitive::max, DType::boolean, both)), a || b);
      EXPECT_EQ(as_bool(apply_to(Primitive::lt, DType::boolean, both)), !a && b);
    }
  EXPECT_EQ(apply_to(Primitive::bit_not, DType::boolean, {from_bool(true)}), from_bool(false));
  EXPECT_EQ(apply_to(Primitive::bit_not, DType::boolean, {from_bool(false)}), from_bool(true));
}

Bits cast_to(DType from, DType to, Bits value) {
  return apply(Primitive::cast, to, std::array{from}, std::array{value}, {});
}

TEST_P(ApplyFloat, CastsToIntegersTruncateAndSaturate) {
  const DType type = GetParam();
  auto i32 = [&](double x) { return as_i32(cast_to(type, DType::i32, bits_of(type, x))); };
  auto i64 = [&](double x) { return as_i64(cast_to(type, DType::i64, bits_of(type, x))); };
  EXPECT_EQ(i32(2.9), 2);
  EXPECT_EQ(i32(-2.9), -2);
  EXPECT_EQ(i32(3e9), kMax32);
  EXPECT_EQ(i32(2147483648.0), kMax32);
  EXPECT_EQ(i32(-2147483648.0), kMin32);
  EXPECT_EQ(i32(-kPlusInfinity), kMin32);
  EXPECT_EQ(i32(kNan), 0);
  EXPECT_EQ(i64(0x1p62), std::int64_t{1} << 62);
  EXPECT_EQ(i64(0x1p63), kMax64);
  EXPECT_EQ(i64(-0x1p63), kMin64);
  EXPECT_EQ(i64(kPlusInfinity), kMax64);
  EXPECT_EQ(i64(kNan), 0);
  auto boolean = [&](double x) { return as_bool(cast_to(type, DType::boolean, bits_of(type, x))); };
  EXPECT_TRUE(boolean(0.5));
  EXPECT_TRUE(boolean(kNan));
  EXPECT_FALSE(boolean(-0.0));
}

TEST(Apply, CastsOfIntegersWrapAndRoundOnce) {
  EXPECT_EQ(as_i32(cast_to(DType::i64, DType::i32, from_i64((std::int64_t{1} << 32) + 5))), 5);
  EXPECT_EQ(as_i32(cast_to(DType::i64, DType::i32, from_i64(kMax32 + 1))), kMin32);
  EXPECT_EQ(as_i64(cast_to(DType::i32, DType::i64, from_i32(-3))), -3);
  EXPECT_TRUE(as_bool(cast_to(DType::i64, DType::boolean, from_i64(std::int64_t{1} << 40))));
  EXPECT_TRUE(as_bool(cast_to(DType::i64, DType::boolean, from_i64(kMin64))));
  EXPECT_EQ(as_f32(cast_to(DType::boolean, DType::f32, from_bool(true))), 1.0f);
  EXPECT_EQ(as_i32(cast_to(DType::boolean, DType::i32, from_bool(true))), 1);
  // Rounding to double on the way would lose the last bit, and then tie.
  std::int64_t tie = (std::int64_t{1} << 60) + (std::int64_t{1} << 36) + 1;
  EXPECT_EQ(as_f32(cast_to(DType::i64, DType::f32, from_i64(tie))), 0x1p60f + 0x1p37f);
  EXPECT_EQ(as_f32(cast_to(DType::f64, DType::f32, from_f64(0.1))), 0.1f);
  EXPECT_EQ(as_f64(cast_to(DType::f32, DType::f64, from_f32(0.1f))), static_cast<double>(0.1f));
}

// Every cast to a 16-bit type rounds once: to nearest, ties to even, from whatever type.
TEST(Apply, CastsToHalfRoundOnce) {
  auto f16 = [](DType from, Bits value) { return cast_to(from, DType::f16, value).value; };
  auto bf16 = [](DType from, Bits value) { return cast_to(from, DType::bf16, value).value; };
  // 1 + 2^-11 is a tie, which a double just above it is not, and an f32 made of that is.
  EXPECT_EQ(f16(DType::f64, from_f64(0x1.002p+0)), 0x3C00u);
  EXPECT_EQ(f16(DType::f64, from_f64(0x1.0020000001p+0)), 0x3C01u);
  EXPECT_EQ(f16(DType::f64, from_f64(0x1.001ffffffffp+0)), 0x3C00u);
  EXPECT_EQ(bf16(DType::f64, from_f64(0x1.0100000001p+0)), 0x3F81u);
  // Half of the smallest number, and a little more.
  EXPECT_EQ(f16(DType::f64, from_f64(0x1p-25)), 0u);
  EXPECT_EQ(f16(DType::f64, from_f64(-0x1.0000000001p-25)), 0x8001u);
  EXPECT_EQ(bf16(DType::f64, from_f64(0x1.0000000001p-134)), 1u);
  // From here on infinity is nearer than the largest number.
  EXPECT_EQ(f16(DType::f32, from_f32(65519.996f)), 0x7BFFu);
  EXPECT_EQ(f16(DType::f32, from_f32(65520)), 0x7C00u);
  EXPECT_EQ(f16(DType::i32, from_i32(-65520)), 0xFC00u);
  EXPECT_EQ(f16(DType::i64, from_i64(kMax64)), 0x7C00u);
  EXPECT_EQ(bf16(DType::f32, from_f32(0x1.fefffep+127f)), 0x7F7Fu);
  EXPECT_EQ(bf16(DType::f32, from_f32(0x1.ffp+127f)), 0x7F80u);
  // Ties at 8 bits, and one more: neither f32 nor f64 hold the sums.
  EXPECT_EQ(bf16(DType::i32, from_i32((1 << 30) + (1 << 22))), 0x4E80u);
  EXPECT_EQ(bf16(DType::i32, from_i32((1 << 30) + (1 << 22) + 1)), 0x4E81u);
  EXPECT_EQ(bf16(DType::i64, from_i64((std::int64_t{1} << 62) + (std::int64_t{1} << 54) + 1)),
            0x5E81u);
  EXPECT_EQ(cast_to(DType::f16, DType::bf16, {0x3C01}).value, 0x3F80u);
  EXPECT_EQ(cast_to(DType::f16, DType::u8, {0xBC00}).value, 0u);
  EXPECT_EQ(cast_to(DType::u8, DType::f16, from_u8(255)).value, 0x5BF8u);
}

TEST(Evaluator, EvaluatesSharedExpressionsForEveryRoot) {
  Arena arena;
  Expr x{arena, arena.argument(0, DType::f32)}, y{arena, arena.argument(1, DType::f32)};
  Expr product = x * y;
  Expr leaky = select(x > 0.0, x, 0.05 * x);
  Evaluator evaluator(arena, {(product + product).id(), leaky.id(), x.id(), x.like(2.0).id()}, {});
  for (float value : {3.0f, -4.0f}) {
    std::array arguments{from_f32(value), from_f32(2)};
    Environment environment;
    environment.arguments = arguments;
    std::span<const Bits> results = evaluator.run(environment);
    ASSERT_EQ(results.size(), 4u);
    EXPECT_EQ(as_f32(results[0]), value * 4);
    EXPECT_EQ(as_f32(results[1]), value > 0 ? value : 0.05f * value);
    EXPECT_EQ(as_f32(results[2]), value);
    EXPECT_EQ(as_f32(results[3]), 2.0f);
  }
}

TEST(Evaluator, ReadsLeavesAndSurvivesAGrowingArena) {
  Arena arena;
  Dim n = Dim::symbol("N");
  Expr i{arena, arena.axis(1, n)}, size{arena, arena.size_of(n * 2)};
  Expr local{arena, arena.local(0, DType::i64)};
  Evaluator evaluator(arena, {(i * size + local).id()}, {});
  for (int k = 0; k < 1000; ++k) arena.index(1000 + k);
  std::array<std::int64_t, 2> axes{7, 3};
  std::array locals{from_i64(5)};
  Environment environment;
  environment.axes = axes;
  environment.locals = locals;
  environment.size = [](const Dim& dim) { return *dim.evaluate({{"N", 10}}); };
  EXPECT_EQ(as_i64(evaluator.run(environment)[0]), 3 * 20 + 5);
}

TEST(Evaluator, LoadsOnlyWhereTheGuardHolds) {
  Arena arena;
  Dim n = Dim::symbol("N");
  Expr i{arena, arena.axis(0, n)};
  Expr zero{arena, arena.constant(DType::f32, -1.0)};
  std::array indices{(i - 1).id(), (i * 2).id()};
  Id guarded = arena.load_if(3, (i > 0).id(), zero.id(), indices);
  Evaluator evaluator(arena, {guarded}, {});
  std::vector<std::vector<std::int64_t>> loads;
  std::array<std::int64_t, 1> axes{0};
  Environment environment;
  environment.axes = axes;
  environment.load = [&](std::uint32_t buffer, std::span<const std::int64_t> where) {
    EXPECT_EQ(buffer, 3u);
    loads.emplace_back(where.begin(), where.end());
    return from_f32(8);
  };
  EXPECT_EQ(as_f32(evaluator.run(environment)[0]), -1.0f);
  EXPECT_TRUE(loads.empty());
  axes[0] = 5;
  EXPECT_EQ(as_f32(evaluator.run(environment)[0]), 8.0f);
  ASSERT_EQ(loads.size(), 1u);
  EXPECT_EQ(loads[0], (std::vector<std::int64_t>{4, 10}));
}

TEST(Evaluator, ALeafWithoutAValueIsAFault) {
  Arena arena;
  Evaluator evaluator(arena, {arena.argument(2, DType::f32)}, {});
  EXPECT_THROW(evaluator.run({}), InternalError);
}

}  // namespace
}  // namespace weir::scalar
