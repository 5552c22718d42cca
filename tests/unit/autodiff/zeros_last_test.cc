// Gradients of branches that are not taken: zero, even where their derivatives are infinite or NaN.
// Expected values are formulas of the branch that is taken.

#include <cmath>
#include <limits>

#include <gmock/gmock.h>

#include "ir/op.h"
#include "tests/unit/autodiff/gradients.h"

namespace weir {
namespace {

using test::parse;
using testing::ElementsAre;
using Names = std::vector<std::string>;

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::vector<double> gradient_at(const std::string& text, const std::vector<double>& x,
                                Tensor::Sizes sizes = {}) {
  if (sizes.empty()) sizes = {static_cast<std::int64_t>(x.size())};
  Tensor result = test::gradient_of(parse(text), "x", {{"x", Tensor::from<double>(x, sizes)}});
  return {result.elements<double>().begin(), result.elements<double>().end()};
}

// A graph of f64[N] whose lines may use %x, %zero and %positive, which is x > 0.
std::string body(const std::string& lines) {
  return "graph @m(%x: f64[N]) -> (f64[N]) {\n  %zero = constant() {value = f64[] 0.0}\n"
         "  %positive = greater(%x, %zero)\n" +
         lines + "  return %y\n}\n";
}

TEST(ZerosLast, TheBranchNotTakenGivesZero) {
  EXPECT_THAT(
      gradient_at(body("  %s = sqrt(%x)\n  %y = select(%positive, %s, %zero)\n"), {-1, 0, 4, kInf}),
      ElementsAre(0, 0, 0.25, 0));
  // Several ops behind the select, of which the last has an infinite derivative at 0.
  EXPECT_THAT(gradient_at(body("  %l = log(%x)\n  %m = mul(%l, %l)\n  %e = neg(%m)\n"
                               "  %y = select(%positive, %e, %zero)\n"),
                          {-1, 0, 1, 0.5}),
              ElementsAre(0, 0, 0, -4 * std::log(0.5)));
}

TEST(ZerosLast, BranchesOfOneSelectAreChosenBetween) {
  std::string text = body("  %s = sqrt(%x)\n  %n = neg(%x)\n  %y = select(%positive, %s, %n)\n");
  EXPECT_THAT(gradient_at(text, {-3, 0, 4}), ElementsAre(-1, -1, 0.25));
  Names wrt{"x"};
  EXPECT_EQ(print(gradient(parse(text), wrt)),
            R"(graph @m(%x: f64[N]) -> (f64[N], f64[N]) {
  %zero = constant() {value = f64[] 0.0}
  %positive = greater(%x, %zero)
  %s = sqrt(%x)
  %n = neg(%x)
  %y = select(%positive, %s, %n)
gradient:
  %0 = constant() {value = f64[] 1.0}
  %1 = broadcast(%0) {shape = [N]}
  %2 = constant() {value = f64[] 0.0}
  %3 = constant() {value = f64[] 0.0}
  %4 = neg(%1)
  %5 = sqrt.grad(%x, %1)
  %6 = select(%positive, %5, %4)
  return %y, %6 as "grad_x"
}
)");
}

TEST(ZerosLast, SelectsWithinSelects) {
  EXPECT_THAT(gradient_at(body("  %one = constant() {value = f64[] 1.0}\n"
                               "  %large = greater(%x, %one)\n  %l = log(%x)\n  %s = sqrt(%x)\n"
                               "  %inner = select(%large, %l, %s)\n"
                               "  %y = select(%positive, %inner, %x)\n"),
                          {-1, 0, 0.25, 4}),
              ElementsAre(1, 1, 1, 0.25));
}

// What is used under several conditions has no gradient where none of them holds.
TEST(ZerosLast, OneValueBehindSeveralSelects) {
  EXPECT_THAT(gradient_at(body("  %one = constant() {value = f64[] 1.0}\n"
                               "  %large = greater(%x, %one)\n  %s = sqrt(%x)\n"
                               "  %a = select(%positive, %s, %zero)\n"
                               "  %b = select(%large, %s, %zero)\n  %y = add(%a, %b)\n"),
                          {-1, 0, 0.25, 4}),
              ElementsAre(0, 0, 1, 0.5));
  // Twice under the same one.
  EXPECT_THAT(gradient_at(body("  %s = sqrt(%x)\n  %t = mul(%s, %s)\n  %u = mul(%t, %s)\n"
                               "  %y = select(%positive, %u, %zero)\n"),
                          {-1, 0, 4}),
              ElementsAre(0, 0, 3));
}

TEST(ZerosLast, OpsThatAreZeroForAPart) {
  EXPECT_THAT(gradient_at(body("  %l = log(%x)\n  %y = relu(%l)\n"), {0, 0.5, 2}),
              ElementsAre(0, 0, 0.5));
  EXPECT_THAT(gradient_at(body("  %l = log(%x)\n  %y = clip(%l) {min = -100.0}\n"), {0, 0.5, 2}),
              ElementsAre(0, 2, 0.5));
  EXPECT_THAT(gradient_at(body("  %s = sqrt(%x)\n  %one = constant() {value = f64[] 1.0}\n"
                               "  %y = maximum(%s, %one)\n"),
                          {0, 0.25, 4}),
              ElementsAre(0, 0, 0.25));
}

// The norm of a row that is all zeros has no derivative, and the guarded quotient needs none.
TEST(ZerosLast, RowsThatAreGuardedAsAWhole) {
  std::string text = R"(graph @normalized(%x: f64[N, 2]) -> (f64[N, 2]) {
  %q = mul(%x, %x)
  %s = reduce_sum(%q) {axes = [1], keep_dims = true}
  %n = sqrt(%s)
  %zero = constant() {value = f64[] 0.0}
  %positive = greater(%n, %zero)
  %d = div(%x, %n)
  %y = select(%positive, %d, %zero)
  return %y
})";
  std::vector<double> result = gradient_at(text, {3, 4, 0, 0}, {2, 2});
  // (sum y)' = (1 - x (x1 + x2) / n^2) / n
  EXPECT_NEAR(result[0], (1 - 3 * 7.0 / 25) / 5, 1e-15);
  EXPECT_NEAR(result[1], (1 - 4 * 7.0 / 25) / 5, 1e-15);
  EXPECT_EQ(result[2], 0);
  EXPECT_EQ(result[3], 0);
}

// The guard differs from element to element of a row, and is false in all of the second one.
TEST(ZerosLast, RowsWhoseElementsAreAllGuarded) {
  std::string text = R"(graph @padded(%x: f64[N, 2], %valid: bool[N, 2]) -> (f64[N, 2]) {
  %q = mul(%x, %x)
  %s = reduce_sum(%q) {axes = [1], keep_dims = true}
  %n = sqrt(%s)
  %d = div(%x, %n)
  %zero = constant() {value = f64[] 0.0}
  %y = select(%valid, %d, %zero)
  return %y
})";
  Tensor valid(DType::boolean, {2, 2});
  valid.set_bits(0, {1});
  Tensor result = test::gradient_of(
      parse(text), "x", {{"x", Tensor::from<double>({3, 4, 0, 0}, {2, 2})}, {"valid", valid}});
  // (x1 / n)' = (x2^2, -x1 x2) / n^3
  EXPECT_NEAR(result.elements<double>()[0], 16.0 / 125, 1e-15);
  EXPECT_NEAR(result.elements<double>()[1], -12.0 / 125, 1e-15);
  EXPECT_EQ(result.elements<double>()[2], 0);
  EXPECT_EQ(result.elements<double>()[3], 0);
}

TEST(ZerosLast, ThroughMovementAndSums) {
  std::string text = R"(graph @moved(%x: f64[2, 3], %c: bool[6]) -> (f64[6]) {
  %s = sqrt(%x)
  %t = transpose(%s)
  %r = reshape(%t) {shape = [6]}
  %p = pad(%r) {low = [1], high = [0]}
  %q = slice(%p) {starts = [1], limits = [7]}
  %zero = constant() {value = f64[] 0.0}
  %y = select(%c, %q, %zero)
  return %y
})";
  Tensor chosen(DType::boolean, {6});
  chosen.set_bits(1, {1});  // row 1, column 0 of x
  Tensor x = Tensor::from<double>({0, -1, 0, 4, -2, 0}, {2, 3});
  EXPECT_THAT(test::gradient_of(parse(text), "x", {{"x", x}, {"c", chosen}}).elements<double>(),
              ElementsAre(0, 0, 0, 0.25, 0, 0));

  std::string rows = R"(graph @rows(%x: f64[N, 2], %c: bool[N]) -> (f64[N]) {
  %l = log(%x)
  %s = reduce_sum(%l) {axes = [1]}
  %zero = constant() {value = f64[] 0.0}
  %y = select(%c, %s, %zero)
  return %y
})";
  Tensor valid(DType::boolean, {2});
  valid.set_bits(0, {1});
  Tensor positive = Tensor::from<double>({2, 4, 0, 1}, {2, 2});
  EXPECT_THAT(
      test::gradient_of(parse(rows), "x", {{"x", positive}, {"c", valid}}).elements<double>(),
      ElementsAre(0.5, 0.25, 0, 0));
}

TEST(ZerosLast, ThroughConversions) {
  std::string text = R"(graph @m(%x: f64[N], %c: bool[N]) -> (f32[N]) {
  %s = sqrt(%x)
  %f = cast(%s) {dtype = f32}
  %zero = constant() {value = f32[] 0.0}
  %y = select(%c, %f, %zero)
  return %y
})";
  Tensor chosen(DType::boolean, {2});
  chosen.set_bits(0, {1});
  Tensor x = Tensor::from<double>({4, 9}, {2});
  EXPECT_THAT(test::gradient_of(parse(text), "x", {{"x", x}, {"c", chosen}}).elements<double>(),
              ElementsAre(0.25, 0));
}

TEST(ZerosLast, SecondDerivatives) {
  std::string text = body(
      "  %s = sqrt(%x)\n  %c = mul(%s, %x)\n"
      "  %y = select(%positive, %c, %zero)\n");
  Names wrt{"x"};
  Graph first = gradient(parse(text), wrt);
  Tensor x = Tensor::from<double>({-1, 0, 4, 9}, {4});
  Tensor second = test::gradient_of(first, "x", {{"x", x}}, {}, {{"grad_x"}});
  // x^1.5 has the second derivative 0.75 / sqrt(x).
  EXPECT_THAT(second.elements<double>(), ElementsAre(0, 0, 0.375, 0.25));
}

// Only elements that take no part are made zero: a branch that is taken keeps its NaN.
TEST(ZerosLast, NoNaNIsHidden) {
  std::string text = R"(graph @m(%x: f64[N], %c: bool[N]) -> (f64[N]) {
  %s = sqrt(%x)
  %zero = constant() {value = f64[] 0.0}
  %y = select(%c, %s, %zero)
  return %y
})";
  Tensor all(DType::boolean, {3});
  for (std::int64_t i = 0; i < 3; ++i) all.set_bits(i, {1});
  Tensor x = Tensor::from<double>({-1, kNan, 0}, {3});
  Tensor result = test::gradient_of(parse(text), "x", {{"x", x}, {"c", all}});
  EXPECT_TRUE(std::isnan(result.elements<double>()[0]));
  EXPECT_TRUE(std::isnan(result.elements<double>()[1]));
  EXPECT_EQ(result.elements<double>()[2], kInf);
}

// A mask that several nodes need is one node.
TEST(ZerosLast, MasksAreAppliedOnce) {
  Graph graph = parse(R"(graph @m(%x: f32[N, 4], %r: f32[N, 4]) -> (f32[N, 4]) {
  param %w: f32[4, 4]
  param %b: f32[4]
  %h = linear(%x, %w, %b)
  %s = add(%h, %r)
  %y = relu(%s)
  return %y
})");
  Names wrt{"x", "w", "b", "r"};
  int masks = 0;
  Graph after = gradient(graph, wrt);
  for (const Node& node : after.nodes()) masks += node.op->name == "relu.grad" ? 1 : 0;
  EXPECT_EQ(masks, 1) << print(after);
}

}  // namespace
}  // namespace weir
