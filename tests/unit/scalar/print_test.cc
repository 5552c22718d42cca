// The printed form of scalar expressions.
#include "ir/scalar/print.h"

#include <array>

#include <gtest/gtest.h>

#include "ir/scalar/expr.h"

namespace weir::scalar {
namespace {

class Print : public testing::Test {
 protected:
  Expr argument(std::uint32_t number, DType type = DType::f32) {
    return {arena, arena.argument(number, type)};
  }
  std::string text(Expr expression) { return to_string(arena, expression.id(), names); }

  Arena arena;
  Names names{
      .argument = [](std::uint32_t number) { return std::string(1, "xymn"[number]); },
      .axis = [](std::uint32_t number) { return std::string(1, "ijk"[number]); },
      .local = {},
      .buffer = [](std::uint32_t number) { return std::string(1, "uvw"[number]); },
  };
  Expr x = argument(0), y = argument(1);
  Expr m = argument(2, DType::i64), n = argument(3, DType::i64);
};

TEST_F(Print, Activations) {
  EXPECT_EQ(text(select(x > 0.0, x, 0.05 * x)), "select(x > 0.0, x, 0.05 * x)");
  EXPECT_EQ(text(exp(x - y)), "exp(x - y)");
  EXPECT_EQ(text(x / (1.0 + exp(-x))), "x / (1.0 + exp(-x))");
  EXPECT_EQ(text(fma(x, y, 1.0)), "fma(x, y, 1.0)");
}

TEST_F(Print, Comparisons) {
  EXPECT_EQ(text(y < x), "y < x");
  EXPECT_EQ(text(x > y), "y < x");
  EXPECT_EQ(text(x >= 1.0), "x >= 1.0");
  EXPECT_EQ(text(x <= 1.0), "x <= 1.0");
  EXPECT_EQ(text((x < y) & !(x == y)), "x < y & !(x == y)");
  EXPECT_EQ(text((x < y) == (y < x)), "x < y == y < x");
  EXPECT_EQ(text(((x < y) == (y < x)) == (x != y)), "(x < y == y < x) == (x != y)");
}

TEST_F(Print, ParenthesesWhereNeeded) {
  EXPECT_EQ(text(x - (y - x)), "x - (y - x)");
  EXPECT_EQ(text((x - y) - x), "x - y - x");
  EXPECT_EQ(text(x + (y + x)), "x + (y + x)");
  EXPECT_EQ(text((x + y) * x), "(x + y) * x");
  EXPECT_EQ(text(x / (y * x)), "x / (y * x)");
  EXPECT_EQ(text(-(x + y)), "-(x + y)");
  EXPECT_EQ(text(-(-x)), "-(-x)");
  EXPECT_EQ(text(-x * y), "-x * y");
  EXPECT_EQ(text(x - -2.0), "x - -2.0");
  EXPECT_EQ(text((m & 3) == n), "(m & 3) == n");
  EXPECT_EQ(text((m << 2) + n), "(m << 2) + n");
  EXPECT_EQ(text(m << (n + 2)), "m << n + 2");
  EXPECT_EQ(text(~m | (n ^ 1)), "~m | n ^ 1");
}

TEST_F(Print, Conversions) {
  EXPECT_EQ(text(cast(x + y, DType::f64) * 2.0), "f64(x + y) * 2.0");
  EXPECT_EQ(text(bitcast(x, DType::i32) >> 3), "bitcast<i32>(x) >> 3");
  EXPECT_EQ(text(shift_right_arithmetic(m, 3)), "ashr(m, 3)");
  EXPECT_EQ(text(floor_div(m + 1, 4) + modulo(n, 2)), "floordiv(m + 1, 4) + mod(n, 2)");
}

TEST_F(Print, LeavesAndLoads) {
  Dim size = Dim::symbol("N");
  Expr i{arena, arena.axis(0, size)}, j{arena, arena.axis(1, 8)};
  EXPECT_EQ(text(i * 8 + j), "i * 8 + j");
  EXPECT_EQ(text(Expr(arena, arena.size_of(size * 4 + 1)) * i), "(4*N + 1) * i");
  EXPECT_EQ(text(Expr(arena, arena.size_of(size * 4)) + i), "4*N + i");
  std::array indices{(i + 1).id(), j.id()};
  Expr load{arena, arena.load(1, DType::f32, indices)};
  EXPECT_EQ(text(load * x), "v[i + 1, j] * x");
  Expr guarded{arena, arena.load_if(1, (i < j).id(), x.id(), indices)};
  EXPECT_EQ(text(guarded + 1.0), "(i < j ? v[i + 1, j] : x) + 1.0");
  EXPECT_EQ(text(Expr(arena, arena.local(4, DType::f32)) + x), "l4 + x");
}

TEST_F(Print, DefaultNames) {
  std::array indices{arena.axis(2, 8)};
  Expr load{arena, arena.load(1, DType::f32, indices)};
  EXPECT_EQ(to_string(arena, (load + x).id(), {}), "b1[i2] + a0");
}

TEST_F(Print, ListsNameWhatIsShared) {
  Expr difference = x - y;
  Expr square = difference * difference;
  std::array roots{(square + 1.0).id(), (square * x).id(), x.id(), difference.like(2.0).id()};
  Listing listing = list(arena, roots, names);
  EXPECT_EQ(listing.definitions, (std::vector<std::string>{"t0 = x - y", "t1 = t0 * t0"}));
  EXPECT_EQ(listing.roots, (std::vector<std::string>{"t1 + 1.0", "t1 * x", "x", "2.0"}));
}

TEST_F(Print, ListsAreLinearInTheNodes) {
  Expr doubled = x;
  for (int k = 0; k < 60; ++k) doubled = doubled + doubled;
  Listing listing = list(arena, std::array{doubled.id()}, names);
  EXPECT_EQ(listing.definitions.size(), 59u);
  EXPECT_EQ(listing.roots[0], "t58 + t58");
}

TEST_F(Print, DeepExpressionsNeedNoStack) {
  Expr sum = x;
  for (int k = 0; k < 3000; ++k) sum = sum + y;
  EXPECT_EQ(text(sum).size(), 1u + 3000 * 4);
}

}  // namespace
}  // namespace weir::scalar
