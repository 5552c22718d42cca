// Concats along what vectors run along, as a stage for each part (split_parts.h): which are, and
// that the bits are the interpreter's.
#include <cstddef>
#include <numeric>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "compiler/codegen/object.h"
#include "compiler/lowering/schedule.h"
#include "tests/support/graphs.h"
#include "tests/unit/pipeline/compiled.h"

namespace weir::test {
namespace {

// Parts beside each other in each row, and what is made of all of them.
std::string concat(const std::vector<std::int64_t>& parts, const char* type = "f32",
                   const char* rows = "N", const char* behind = "%z = leaky_relu(%y)") {
  std::vector<std::string> inputs, names;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    inputs.push_back(fmt::format("%x{}: {}[{}, {}]", i, type, rows, parts[i]));
    names.push_back(fmt::format("%x{}", i));
  }
  return fmt::format(
      "graph @c({}, %a: {}[{}, {}]) -> ({}[{}, {}]) {{ %y = concat({}) {{axis = 1}} {} return %z "
      "}}",
      fmt::join(inputs, ", "), type, rows, std::accumulate(parts.begin(), parts.end(), 0L), type,
      rows, std::accumulate(parts.begin(), parts.end(), 0L), fmt::join(names, ", "), behind);
}

// How many stages the only kernel has.
std::size_t stages(const std::string& text, const char* cpu = "x86-64-v3") {
  CompileOptions options;
  options.target.cpu = cpu;
  const weir::Program program = lower_graph(parse(text), options);
  EXPECT_EQ(program.kernels.size(), 1u) << text;
  return program.kernels.front().stages.size();
}

#ifdef __x86_64__
TEST(SplitParts, WhereThereAreSomeOfVectors) {
  EXPECT_EQ(stages(concat({16, 16, 16, 16})), 4u);
  EXPECT_EQ(stages(concat({16, 32, 8})), 3u);
  EXPECT_EQ(stages(concat({17, 19, 33, 18})), 4u);
  // Two are chosen between sooner than two loops begin, and so are three that end in masks.
  EXPECT_EQ(stages(concat({32, 32})), 1u);
  EXPECT_EQ(stages(concat({9, 9, 9})), 1u);
  // Less than a vector, or a row so long that it should not be one thread's.
  EXPECT_EQ(stages(concat({16, 16, 4, 16})), 1u);
  EXPECT_EQ(stages(concat({16, 16, 8, 16}, "f32", "N"), "x86-64-v4"), 1u);
  EXPECT_EQ(stages(concat({2048, 2048, 2048, 2048})), 1u);
  EXPECT_EQ(stages(concat({0, 0, 0, 0})), 1u);
  // The rows of another kernel: what is folded has them, too.
  EXPECT_EQ(stages("graph @s(%x: f32[N, 64]) -> (f32[N, 64]) { %y = softmax(%x) return %y }"), 4u);
}
#endif

TEST(SplitParts, BitsAreTheInterpreters) {
  for (const char* type : {"f32", "f64", "f16", "i32", "u8"}) {
    const bool is_float = type[0] == 'f';
    for (const std::vector<std::int64_t>& parts :
         {std::vector<std::int64_t>{64, 64, 64, 64}, {65, 71, 130, 66, 64}, {16, 17, 16, 40, 33}}) {
      for (const char* behind : {"%z = leaky_relu(%y)", "%s = add(%y, %a) %z = leaky_relu(%s)"}) {
        const Graph graph =
            parse(concat(parts, type, "N", is_float ? behind : "%z = maximum(%y, %a)"));
        Generator generator(29);
        std::vector<Inputs> runs;
        for (std::int64_t rows : {0, 1, 7, 150})
          runs.push_back(random_values(graph, graph.inputs(), generator, false, {{"N", rows}}));
        EXPECT_EQ(difference_on_levels(graph, {}, runs), std::nullopt)
            << type << " " << fmt::format("{}", fmt::join(parts, ", "));
      }
    }
  }
}

// A map behind the parts may have its operand's memory: each stage reads what it writes.
TEST(SplitParts, OfChannelsBehindConvolutions) {
  const Graph graph = parse(R"(graph @d(%x: f32[2, 16, 11, 13]) -> (f32[2, 32, 11, 13]) {
  param %a: f32[64, 16, 3, 3]
  param %b: f32[64, 16, 3, 3]
  param %c: f32[64, 16, 3, 3]
  param %e: f32[32, 64, 3, 3]
  %u = conv(%x, %a) {low = [1, 1], high = [1, 1]}
  %v = conv(%x, %b) {low = [1, 1], high = [1, 1]}
  %w = conv(%x, %c) {low = [1, 1], high = [1, 1]}
  %p = slice(%u) {starts = [0, 0, 0, 0], limits = [2, 16, 11, 13]}
  %q = slice(%v) {starts = [0, 16, 0, 0], limits = [2, 32, 11, 13]}
  %r = slice(%w) {starts = [0, 32, 0, 0], limits = [2, 48, 11, 13]}
  %s = concat(%p, %q, %r, %x) {axis = 1}
  %t = leaky_relu(%s)
  %y = conv(%t, %e) {low = [1, 1], high = [1, 1]}
  return %y
})");
  Generator generator(31);
  const Weights weights = random_values(graph, graph.params(), generator, false, {});
  const std::vector<Inputs> runs{random_values(graph, graph.inputs(), generator, false, {})};
  EXPECT_EQ(difference_on_levels(graph, weights, runs), std::nullopt);
}

}  // namespace
}  // namespace weir::test
