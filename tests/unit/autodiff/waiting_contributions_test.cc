// Contributions to a gradient that are one product or one sum (waiting_contributions.h), and those
// that are added one by one: few of them, and large ones.
#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "ir/op.h"
#include "tests/unit/autodiff/gradients.h"

namespace weir {
namespace {

using test::parse;

// A weight in so many products of `rows` rows each, or a bias in as many sums.
std::string uses(int count, int rows, bool products) {
  std::string inputs, nodes, outputs, types;
  for (int i = 0; i < count; ++i) {
    inputs += fmt::format("%x{}: f32[{}, 256], ", i, rows);
    nodes += products ? fmt::format("%y{0} = matmul(%x{0}, %w) ", i)
                      : fmt::format("%y{0} = add(%x{0}, %b) ", i);
    types += fmt::format("{}f32[{}, {}]", i == 0 ? "" : ", ", rows, products ? 64 : 256);
    outputs += fmt::format("{}%y{}", i == 0 ? "" : ", ", i);
  }
  return fmt::format("graph @g({}%w: f32[256, 64], %b: f32[256]) -> ({}) {{ {}return {} }}", inputs,
                     types, nodes, outputs);
}

std::ptrdiff_t concats(int count, int rows, bool products) {
  const std::vector<std::string> wrt{products ? "w" : "b"};
  const Graph backward = gradient(parse(uses(count, rows, products)), wrt);
  return std::ranges::count_if(backward.nodes(),
                               [](const Node& node) { return node.op->name == "concat"; });
}

TEST(WaitingContributions, AreOneProductWhereTheyAreSome) {
  EXPECT_EQ(concats(9, 16, true), 2);  // of one operand each
  EXPECT_EQ(concats(8, 16, true), 0);
  EXPECT_EQ(concats(9, 1024, true), 0);  // which would all have to be kept
}

TEST(WaitingContributions, AreOneSumWhereTheyAreSome) {
  EXPECT_EQ(concats(9, 16, false), 1);
  EXPECT_EQ(concats(8, 16, false), 0);
  EXPECT_EQ(concats(9, 1024, false), 0);
}

}  // namespace
}  // namespace weir
