// Dimensions: their one form, and that it stands for the numbers that it was made of.
#include "ir/dim.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/text.h"
#include "tests/support/error_of.h"
#include "tests/support/sanitized.h"

namespace weir {
namespace {

using test::error_of;
using testing::HasSubstr;

const Dim kN = Dim::symbol("N"), kM = Dim::symbol("M");

TEST(Dim, QuotientsHaveOneForm) {
  struct {
    Dim quotient;
    const char* text;
  } const cases[] = {
      {floor_quotient(7, 2), "3"},
      {floor_quotient(-7, 2), "-4"},
      {floor_quotient(kN, 1), "N"},
      {floor_quotient(kN, 2), "floordiv(N, 2)"},
      {floor_quotient(4 * kN + 7, 2), "2*N + 3"},
      {floor_quotient(3 * kN - 1, 2), "N + floordiv(N + 1, 2) - 1"},
      {floor_quotient(2 * kN + 3, 4), "floordiv(N + 1, 2)"},
      {floor_quotient(6 * kN * kM + 9, 12), "floordiv(M*N + 1, 2)"},
      {floor_quotient(floor_quotient(kN, 2) + 1, 3), "floordiv(N + 2, 6)"},
      {floor_quotient(floor_quotient(kN, 2) - floor_quotient(kM, 3), 2),
       "-floordiv(M, 3) + floordiv(floordiv(M, 3) + floordiv(N, 2), 2)"},
      {floor_quotient(kN + 1, 2) * floor_quotient(kN + 1, 2),
       "floordiv(N + 1, 2)*floordiv(N + 1, 2)"},
      {floor_quotient(kN, 2) - floor_quotient(kN + 2, 2), "-1"},
      {floor_quotient(kN * Dim(INT64_MIN), 3), "-3074457345618258603*N + floordiv(N, 3)"},
  };
  for (const auto& each : cases) EXPECT_EQ(each.quotient.to_string(), each.text);
  // Five convolutions of stride 2 one after the other, as one of stride 32.
  Dim size = kN;
  for (int i = 0; i < 5; ++i) size = floor_quotient(size + 2 - 3, 2) + 1;
  EXPECT_EQ(size, floor_quotient(kN + 31, 32));
}

TEST(Dim, QuotientsAreFactors) {
  Dim half = floor_quotient(kN, 2);
  EXPECT_EQ((6 * half * kN).divided_by(3 * half), 2 * kN);
  EXPECT_EQ((6 * half + kN).divided_by(half), std::nullopt);
  EXPECT_EQ(half.as_symbol(), std::nullopt);
  EXPECT_EQ(half.as_quotient()->dividend, kN);
  EXPECT_EQ((half + 1).as_quotient(), nullptr);
  EXPECT_EQ(floor_quotient(kN + kM, 2).substituted([](const std::string& name) {
    return name == "N" ? 4 * kM : Dim::symbol(name);
  }),
            2 * kM + floor_quotient(kM, 2));
  EXPECT_EQ(degree_in(kN * kN * kM + 1, "N"), 2);
  EXPECT_EQ(degree_in(kN * floor_quotient(kM, 2), "N"), 1);
  EXPECT_EQ(degree_in(kN * floor_quotient(kM, 2), "M"), std::nullopt);
  std::vector<std::string> names;
  (kN * floor_quotient(kM + kN, 2)).collect_symbols(names);
  EXPECT_THAT(names, testing::ElementsAre("N", "M"));
}

TEST(Dim, QuotientsAreBounded) {
  EXPECT_THAT(error_of([] {
                Dim nested = kN;
                for (int i = 0; i < 100; ++i) nested = floor_quotient(3 * nested + kN, 2);
              }),
              HasSubstr("more than 64 symbols"));
  EXPECT_THAT(error_of([] {
                Dim joined = kN;
                for (int i = 0; i < 3; ++i) joined = floor_quotient(joined, std::int64_t{1} << 31);
              }),
              HasSubstr("does not fit in 64 bits"));
}

TEST(Dim, SignsThatAreSeen) {
  Dim half = floor_quotient(kN, 2), up = floor_quotient(kN + 1, 2);
  for (const Dim& dim :
       {half, kN - 2 * half, 2 * up - kN, kN + 1 - 2 * up, kN * kM + 3,
        4 * floor_quotient(kN + 3, 4) - kN, up + 1 - 2 * floor_quotient(kN + 3, 4)})
    EXPECT_TRUE(never_negative(dim)) << dim.to_string();
  for (const Dim& dim : {half - 1, kN - 2 * up, 2 * half - kN, kN - kM, Dim(-1)})
    EXPECT_FALSE(never_negative(dim)) << dim.to_string();
}

// A dimension at random and, beside it, its value computed in plain integers.
struct Made {
  Dim dim;
  std::int64_t value;
};

Made made(std::mt19937& random, int depth, std::int64_t n, std::int64_t m) {
  auto below = [&](int count) { return static_cast<std::int64_t>(random() % count); };
  if (depth == 0) {
    switch (below(3)) {
      case 0:
        return {kN, n};
      case 1:
        return {kM, m};
      default:
        break;
    }
    std::int64_t number = below(9) - 4;
    return {number, number};
  }
  Made a = made(random, depth - 1, n, m);
  if (below(3) == 0) {
    std::int64_t divisor = below(6) + 1;
    std::int64_t quotient = a.value / divisor - (a.value % divisor < 0 ? 1 : 0);
    return {floor_quotient(a.dim, divisor), quotient};
  }
  Made b = made(random, depth - 1, n, m);
  switch (below(3)) {
    case 0:
      return {a.dim + b.dim, a.value + b.value};
    case 1:
      return {a.dim - b.dim, a.value - b.value};
    default:
      return {a.dim * b.dim, a.value * b.value};
  }
}

TEST(Dim, RandomDimensionsHaveTheirValues) {
  unsigned quotients = 0, signs = 0;
  constexpr unsigned kDims = test::kSanitized ? 300 : 3000;
  for (unsigned seed = 0; seed < kDims; ++seed) {
    Dim dim;
    bool is_seen = false;
    for (std::int64_t n = 0; n < 7; ++n) {
      for (std::int64_t m = 0; m < 7; ++m) {
        std::mt19937 random(seed);
        Made each;
        try {
          each = made(random, 4, n, m);
        } catch (const Error&) {
          continue;  // of too many symbols
        }
        if (n == 0 && m == 0) {
          dim = each.dim;
          is_seen = never_negative(dim);
        }
        ASSERT_EQ(each.dim, dim) << "seed " << seed;
        ASSERT_EQ(dim.evaluate({{"N", n}, {"M", m}}), each.value) << "seed " << seed;
        ASSERT_TRUE(!is_seen || each.value >= 0) << "seed " << seed << ": " << dim.to_string();
        Dim there =
            dim.substituted([&](const std::string& name) { return Dim(name == "N" ? n : m); });
        ASSERT_EQ(there, Dim(each.value)) << "seed " << seed;
      }
    }
    quotients += dim.to_string().find("floordiv") != std::string::npos ? 1 : 0;
    signs += is_seen && !dim.is_constant() ? 1 : 0;
    if (dim.is_constant()) continue;
    Graph graph("g");
    graph.add_input("n", {DType::i8, {kN, kM}});
    graph.add_output(graph.add_input("x", {DType::i8, {dim}}), "y");
    std::string text = print(graph);
    ASSERT_EQ(print(parse_graph(text, "m.weir")), text);
  }
  EXPECT_GT(quotients, kDims / 6);
  EXPECT_GT(signs, kDims / 30);
}

}  // namespace
}  // namespace weir
