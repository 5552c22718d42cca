// Layers whose steps are written out: a program has the kernels of a few steps however many there
// are, its memory grows with their number, and bits and gradients are as those of any graph.
#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compiler/autodiff/gradient.h"
#include "compiler/lowering/memory_plan.h"
#include "tests/support/graphs.h"
#include "tests/unit/autodiff/gradients.h"
#include "tests/unit/pipeline/compiled.h"

namespace weir::test {
namespace {

struct Layer {
  const char* op;
  int gates;
};
constexpr Layer kLayers[] = {{"rnn", 1}, {"gru", 3}, {"lstm", 4}};

std::string layer(const Layer& of, int steps, const char* batch, const char* type = "f64",
                  const char* direction = "forward", int hidden = 4) {
  const bool both = std::string_view(direction) == "bidirectional";
  return fmt::format(
      "graph @{0}(%x: {3}[{1}, {2}, 3], %w: {3}[{5}, {6}, 3], %r: {3}[{5}, {6}, {7}], "
      "%b: {3}[{5}, {8}]) -> ({3}[{1}, {5}, {2}, {7}], {3}[{5}, {2}, {7}]) {{ "
      "%y, %h{9} = {0}(%x, %w, %r, %b) {{direction = \"{4}\"}} return %y, %h }}",
      of.op, steps, batch, type, direction, both ? 2 : 1, of.gates * hidden, hidden,
      2 * of.gates * hidden, of.gates == 4 ? ", %c" : "");
}

Graph with_gradients(const std::string& text) {
  const std::vector<std::string> wrt{"x", "w", "r", "b"};
  return gradient(parse(text), wrt);
}

void expect_equal_bits(const Graph& graph, const std::vector<std::int64_t>& sizes) {
  std::vector<Inputs> runs;
  Generator generator(7);
  for (std::int64_t size : sizes)
    runs.push_back(random_values(graph, graph.inputs(), generator, false, {{"N", size}}));
  EXPECT_EQ(difference_on_levels(graph, {}, runs), std::nullopt);
}

TEST(Recurrence, BitsAreTheInterpreters) {
  for (const Layer& of : kLayers) {
    expect_equal_bits(with_gradients(layer(of, 11, "1", "f32")), {1});
    expect_equal_bits(with_gradients(layer(of, 10, "N", "f32", "bidirectional")), {1, 3});
  }
}

TEST(Recurrence, GradientsAreThoseOfDifferences) {
  for (const Layer& of : kLayers) {
    expect_gradient_matches_differences(parse(layer(of, 10, "2")), 3);
    expect_gradient_matches_differences(parse(layer(of, 9, "1", "f64", "bidirectional", 2)), 4);
  }
}

// Kernels that differ in the place of a step alone are one.
TEST(Recurrence, HasTheKernelsOfAFewSteps) {
  for (const Layer& of : kLayers) {
    auto program = [&](int steps) {
      return lower_graph(with_gradients(layer(of, steps, "2", "f32")));
    };
    const weir::Program few = program(16), many = program(64);
    EXPECT_EQ(few.kernels.size(), many.kernels.size()) << of.op;
    EXPECT_GT(many.calls.size(), 3 * few.calls.size()) << of.op;
    EXPECT_LT(*workspace_bytes(many, {}), 5 * *workspace_bytes(few, {})) << of.op;
  }
}

// What is stored for others lies in the concat from the beginning, and nothing is copied.
TEST(Parts, AreComputedInTheirPlace) {
  std::string steps, names;
  for (int i = 0; i < 12; ++i) {
    steps += fmt::format("%a{0} = slice(%x) {{starts = [{0}, 0], limits = [{1}, 5]}} ", i, i + 1);
    steps += i == 0 ? "%q0 = tanh(%a0) "
                    : fmt::format(
                          "%m{0} = matmul(%q{1}, %w) %s{0} = add(%m{0}, %a{0}) "
                          "%q{0} = tanh(%s{0}) ",
                          i, i - 1);
    names += fmt::format("{}%q{}", i == 0 ? "" : ", ", i);
  }
  const Graph graph = parse("graph @p(%x: f32[12, 5], %w: f32[5, 5]) -> (f32[12, 5]) { " + steps +
                            "%y = concat(" + names + ") {axis = 0} return %y }");
  const weir::Program program = lower_graph(graph);
  EXPECT_TRUE(std::ranges::none_of(
      program.kernels, [](const Kernel& kernel) { return kernel.name.starts_with("concat"); }));
  EXPECT_LT(program.kernels.size(), 5U);
  expect_equal_bits(graph, {1});
}

// Along any axis, of values of every kind, of the same one twice, and with readers of their own.
TEST(Parts, AreOfAnyKind) {
  const char* operands = "%a, %x, %b, %z, %a, %c, %d, %x, %e, %f, %f";
  for (const char* axis : {"0", "1"}) {
    for (const char* rows : {"1", "3", "N"}) {
      const Graph graph = parse(fmt::format(
          "graph @p(%x: f32[{0}, 4], %i: f32[{0}, 4]) -> (f32[{2}], f32[{0}, 4], f32[]) {{ "
          "%a = exp(%x) %b = mul(%a, %i) %k = constant() {{value = f32[] 0.0}} "
          "%z = broadcast(%k) {{shape = [{0}, 4]}} %c = reverse(%b) {{axes = [1]}} "
          "%d = slice(%i) {{starts = [0, 0], limits = [{0}, 4]}} %e = softmax(%b) {{axis = 1}} "
          "%f = add(%e, %x) %y = concat({1}) {{axis = {3}}} %s = reduce_sum(%y) "
          "return %y, %e, %s }}",
          rows, operands,
          std::string_view(axis) == "1"   ? fmt::format("{}, 44", rows)
          : std::string_view(rows) == "N" ? "11 * N, 4"
          : std::string_view(rows) == "1" ? "11, 4"
                                          : "33, 4",
          axis));
      expect_equal_bits(graph, {1, 2, 5});
      const std::vector<std::string> wrt{"x", "i"};
      expect_equal_bits(gradient(graph, wrt), {2});
    }
  }
}

}  // namespace
}  // namespace weir::test
