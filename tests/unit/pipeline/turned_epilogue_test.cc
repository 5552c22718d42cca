// Transposed results of contractions, which are stored by the kernel that computes them, with all
// that follows: against the interpreter, bit for bit.
#include <array>
#include <cstddef>
#include <span>
#include <string>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "tests/support/graphs.h"
#include "tests/unit/pipeline/compiled.h"
#include "tests/unit/pipeline/random_program.h"

namespace weir::test {
namespace {

void expect_epilogue(const std::string& text, const Dim::Bindings& bindings) {
  const Graph graph = parse(text);
  Generator generator(11);
  const Inputs inputs = random_values(graph, graph.inputs(), generator, false, bindings);
  const Weights weights = random_values(graph, graph.params(), generator, false, bindings);
  EXPECT_EQ(difference_on_levels(graph, weights, std::span(&inputs, 1)), std::nullopt)
      << print(graph);
}

// What a convolution stores turned, with all that follows it: in one kernel where its vectors may
// run along what is innermost there, in two elsewhere, and where another reads what is not turned.
TEST(TurnedEpilogue, IsStoredTurned) {
  for (int filters : {3, 10, 16, 24, 33})
    for (const char* order : {"[0, 2, 3, 1]", "[0, 3, 1, 2]", "[0, 2, 1, 3]", "[2, 3, 1, 0]"})
      for (int kernel : {1, 3}) {
        std::array<int, 4> sizes{2, filters, 9, 11}, turned;
        for (std::size_t i = 0; i < 4; ++i)
          turned[i] = sizes[static_cast<std::size_t>(order[1 + 3 * i] - '0')];
        const std::string of_result = fmt::format("f32[{}]", fmt::join(sizes, ", ")),
                          of_turned = fmt::format("f32[{}]", fmt::join(turned, ", "));
        for (const char* other : {"", ", %l"})
          expect_epilogue(
              fmt::format(
                  "graph @c(%x: f32[2, 9, 11, 12], %w: f32[{0}, 12, {1}, {1}], %b: f32[{0}]) -> "
                  "({2}{3}{4}) {{ %t = transpose(%x) {{permutation = [0, 3, 1, 2]}} "
                  "%c = conv(%t, %w, %b) {{low = [{5}, {5}], high = [{5}, {5}]}} "
                  "%l = leaky_relu(%c) %y = transpose(%l) {{permutation = {6}}} return %y{7} }}",
                  filters, kernel, of_turned, *other ? ", " : "", *other ? of_result : "",
                  kernel / 2, order, other),
              {});
      }
}

// Of equal sizes, what reads a turned result reads it turned, whatever it reads besides.
TEST(TurnedEpilogue, IsReadTurned) {
  for (const char* rest :
       {"%v = tanh(%t) %z = add(%v, %v) return %z, %v",
        "%v = tanh(%t) %z = mul(%v, %c) return %z, %v", "%v = tanh(%t) %z = exp(%v) return %z, %v",
        "%v = tanh(%t) %o = transpose(%v) %z = exp(%o) return %z, %v",
        "%v = tanh(%c) %z = mul(%t, %r) return %z, %v"}) {
    expect_epilogue(
        fmt::format("graph @m(%x: f32[40, 12], %r: f32[40, 40]) -> (f32[40, 40], f32[40, "
                    "40]) {{ param %w: f32[40, 12] %c = linear(%x, %w) %t = transpose(%c) "
                    "{} }}",
                    rest),
        {});
    expect_epilogue(
        fmt::format("graph @m(%x: f32[N, 12], %w: f32[N, 12], %r: f32[N, N]) -> (f32[N, N], f32[N, "
                    "N]) {{ %c = linear(%x, %w) %t = transpose(%c) {} }}",
                    rest),
        {{"N", 33}});
  }
}

}  // namespace
}  // namespace weir::test
