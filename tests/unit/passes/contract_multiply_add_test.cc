#include "compiler/passes/contract_multiply_add.h"

#include <cmath>

#include <fmt/format.h>

#include "tests/support/graphs.h"

namespace weir {
namespace {

using test::parse;

std::string contracted(std::string_view text) { return print(contract_multiply_add(parse(text))); }

// The graph of one output y from a, b, c and d, given its nodes.
std::string with_nodes(std::string_view nodes, std::string_view type = "f32[N]") {
  return fmt::format(
      "graph @m(%a: {0}, %b: {0}, %c: {0}, %d: {0}) -> ({0}) {{\n{1}  return %y\n}}\n", type,
      nodes);
}

TEST(ContractMultiplyAdd, MakesOneRoundingOfTwo) {
  EXPECT_EQ(contracted(with_nodes("  %p = mul(%a, %b)\n  %y = add(%p, %c)\n")),
            with_nodes("  %y = fma(%a, %b, %c)\n"));
  EXPECT_EQ(contracted(with_nodes("  %p = mul(%a, %b)\n  %y = add(%c, %p)\n")),
            with_nodes("  %y = fma(%a, %b, %c)\n"));
  EXPECT_EQ(contracted(with_nodes("  %p = mul(%a, %b)\n  %y = sub(%p, %c)\n")),
            with_nodes("  %0 = neg(%c)\n  %y = fma(%a, %b, %0)\n"));
  EXPECT_EQ(contracted(with_nodes("  %p = mul(%a, %b)\n  %y = sub(%c, %p)\n")),
            with_nodes("  %0 = neg(%a)\n  %y = fma(%0, %b, %c)\n"));
}

TEST(ContractMultiplyAdd, TakesTheFirstOfTwoProducts) {
  EXPECT_EQ(contracted(with_nodes("  %p = mul(%a, %b)\n  %q = mul(%c, %d)\n  %y = add(%p, %q)\n")),
            with_nodes("  %q = mul(%c, %d)\n  %y = fma(%a, %b, %q)\n"));
  EXPECT_EQ(contracted(with_nodes("  %p = mul(%a, %b)\n  %q = mul(%c, %d)\n  %y = sub(%q, %p)\n")),
            with_nodes("  %p = mul(%a, %b)\n  %0 = neg(%p)\n  %y = fma(%c, %d, %0)\n"));
}

TEST(ContractMultiplyAdd, GoesAlongASumOfProducts) {
  EXPECT_EQ(contracted(with_nodes("  %p = mul(%a, %b)\n  %q = mul(%c, %d)\n  %s = add(%p, %q)\n"
                                  "  %r = mul(%a, %d)\n  %y = add(%s, %r)\n")),
            with_nodes("  %q = mul(%c, %d)\n  %s = fma(%a, %b, %q)\n  %y = fma(%a, %d, %s)\n"));
  EXPECT_EQ(contracted(with_nodes("  %p = mul(%a, %b)\n  %q = mul(%p, %c)\n  %y = add(%q, %d)\n")),
            with_nodes("  %p = mul(%a, %b)\n  %y = fma(%p, %c, %d)\n"));
}

TEST(ContractMultiplyAdd, LeavesAProductThatIsReadElsewhere) {
  for (const char* nodes : {"  %p = mul(%a, %b)\n  %y = add(%p, %p)\n",
                            "  %p = mul(%a, %b)\n  %s = add(%p, %c)\n  %y = mul(%s, %p)\n",
                            "  %p = mul(%a, %b)\n  %s = add(%p, %c)\n  %y = add(%p, %s)\n",
                            "  %p = mul(%a, %b)\n  %l = leaky_relu(%p)\n  %y = add(%l, %c)\n"})
    EXPECT_EQ(contracted(with_nodes(nodes)), print(parse(with_nodes(nodes))));
  std::string_view output = R"(graph @m(%a: f32[4], %b: f32[4]) -> (f32[4], f32[4]) {
  %p = mul(%a, %b)
  %y = add(%p, %a)
  return %p, %y
}
)";
  EXPECT_EQ(contracted(output), output);
}

TEST(ContractMultiplyAdd, IsForFloats) {
  std::string nodes = "  %p = mul(%a, %b)\n  %y = add(%p, %c)\n";
  for (const char* type : {"f32[N]", "f64[N]", "f16[N]", "bf16[N]"})
    EXPECT_EQ(contracted(with_nodes(nodes, type)), with_nodes("  %y = fma(%a, %b, %c)\n", type));
  for (const char* type : {"i8[N]", "u8[N]", "i32[N]", "i64[N]"})
    EXPECT_EQ(contracted(with_nodes(nodes, type)), with_nodes(nodes, type));
}

TEST(ContractMultiplyAdd, BroadcastsAsTheTwoDid) {
  EXPECT_EQ(contracted(R"(graph @m(%x: f32[N, 4], %a: f32[4], %s: f32[]) -> (f32[N, 4], f32[N, 4]) {
  %p = mul(%a, %s)
  %y = add(%x, %p)
  %q = mul(%x, %a)
  %z = sub(%q, %s)
  return %y, %z
})"),
            R"(graph @m(%x: f32[N, 4], %a: f32[4], %s: f32[]) -> (f32[N, 4], f32[N, 4]) {
  %y = fma(%a, %s, %x)
  %0 = neg(%s)
  %z = fma(%x, %a, %0)
  return %y, %z
}
)");
}

// The gradient of a product is one as well, whose op has an operand that it does not read.
TEST(ContractMultiplyAdd, KnowsAProductByItsExpression) {
  EXPECT_EQ(contracted(with_nodes("  %p = mul.grad0(%a, %b, %c)\n  %y = add(%p, %d)\n")),
            with_nodes("  %y = fma(%b, %c, %d)\n"));
}

TEST(ContractMultiplyAdd, GivesBackWhatHasNothingToContract) {
  std::string text = with_nodes("  %p = add(%a, %b)\n  %q = mul(%p, %c)\n  %y = leaky_relu(%q)\n");
  EXPECT_EQ(contracted(text), text);
}

// What C's fma gives, on a graph that without contraction gives other bits.
TEST(ContractMultiplyAdd, RoundsOnceAsTheFmaOfC) {
  Graph before =
      parse(with_nodes("  %p = mul(%a, %b)\n  %s = sub(%p, %c)\n  %y = add(%s, %d)\n", "f32[64]"));
  Graph after = contract_multiply_add(before);
  int changed = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    test::Generator generator(seed);
    Inputs inputs = test::random_values(before, before.inputs(), generator);
    Tensor once = interpret(after, {}, inputs, test::expanded())[0];
    Tensor twice = interpret(before, {}, inputs, test::expanded())[0];
    auto number = [&](const char* name, std::int64_t i) {
      return scalar::to_double(DType::f32, inputs.find(name)->second.bits(i));
    };
    for (std::int64_t i = 0; i < 64; ++i) {
      float difference =
          std::fma(static_cast<float>(number("a", i)), static_cast<float>(number("b", i)),
                   static_cast<float>(-number("c", i)));
      EXPECT_EQ(once.elements<float>()[static_cast<std::size_t>(i)],
                difference + static_cast<float>(number("d", i)));
      if (once.bits(i).value != twice.bits(i).value) ++changed;
    }
  }
  EXPECT_GT(changed, 100);
}

}  // namespace
}  // namespace weir
