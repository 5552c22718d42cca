// Panels that kernels copy while they run: on both sides of every size from which they pay, and
// with what does not fill a group, a tile or a block. What they give is compared, bit for bit, with
// that of runs of so few rows that there is no panel; those are compared with the interpreter
// elsewhere, for which these sizes would take minutes.
#include <algorithm>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/graphs.h"
#include "tests/unit/pipeline/compiled.h"

namespace weir::test {
namespace {

// Fewer than any panel is made for.
constexpr std::int64_t kFewRows = 20;
// As many as any panel asks for.
constexpr std::int64_t kManyRows = 12 * 8;

// Every level, and AVX-512 with the core that all have, whose second cache the sizes of a test are
// about: this machine's may be larger.
std::vector<VectorLevel> levels_with_common_core() {
  std::vector<VectorLevel> levels(vector_levels().begin(), vector_levels().end());
#if defined(__x86_64__)
  if (resolve_target({"", "x86-64-v4", ""}).missing.empty()) levels.push_back({"x86-64-v4", true});
#endif
  return levels;
}

// y[rows, columns] of x[rows, depth], computed from a few rows of x at a time.
Tensor in_parts(const Executable& executable, const Tensor& x, std::span<const Tensor> others) {
  const std::int64_t rows = x.sizes()[0], depth = x.sizes()[1];
  std::vector<float> all;
  std::int64_t columns = 0;
  for (std::int64_t row = 0; row < rows; row += kFewRows) {
    const std::int64_t count = std::min(kFewRows, rows - row);
    std::vector<Tensor> operands{
        Tensor::from(x.elements<float>().subspan(static_cast<std::size_t>(row * depth),
                                                 static_cast<std::size_t>(count * depth)),
                     {count, depth})};
    operands.insert(operands.end(), others.begin(), others.end());
    Tensor part = executable.run(operands)[0];
    columns = part.sizes()[1];
    all.insert(all.end(), part.elements<float>().begin(), part.elements<float>().end());
  }
  return Tensor::from(std::span<const float>(all), {rows, columns});
}

struct Sizes {
  std::int64_t rows, depth, columns;
};

TEST(Panels, SizesKnownAtTheCall) {
  Graph graph = parse(
      "graph @m(%x: f32[M, K], %w: f32[K, N], %b: f32[N]) -> (f32[M, N]) { "
      "%p = matmul(%x, %w) %s = add(%p, %b) %y = leaky_relu(%s) return %y }");
  for (const VectorLevel& level : levels_with_common_core()) {
    Executable executable = compile(Program{graph, {}, {}}, {level});
    // Rows about 8 groups and about a group; bytes about half a MB and about one; columns about a
    // tile and a block; steps of several chunks, and too many.
    for (const Sizes& sizes : std::initializer_list<Sizes>{{47, 128, 1024},
                                                           {48, 128, 1024},
                                                           {48, 127, 1024},
                                                           {53, 128, 1025},
                                                           {kManyRows, 131, 1031},
                                                           {kManyRows, 1100, 129},
                                                           {kManyRows + 1, 2100, 79},
                                                           {54, 4100, 65},
                                                           {48, 16400, 17},
                                                           {97, 130, 1064},
                                                           {48, 255, 1024},
                                                           {48, 256, 1024},
                                                           {47, 256, 1024},
                                                           {kManyRows + 1, 263, 1031},
                                                           {54, 4100, 79}}) {
      Generator generator(static_cast<std::uint64_t>(sizes.rows * sizes.depth + sizes.columns));
      Inputs inputs = random_values(graph, graph.inputs(), generator, false,
                                    {{"M", sizes.rows}, {"K", sizes.depth}, {"N", sizes.columns}});
      std::vector<Tensor> others{inputs.at("w"), inputs.at("b")};
      std::vector<Tensor> expected{in_parts(executable, inputs.at("x"), others)};
      EXPECT_EQ(difference_run(graph, executable, inputs, expected, test_executors()), std::nullopt)
          << level.name() << ": " << sizes.rows << " x " << sizes.depth << " x " << sizes.columns;
    }
  }
}

// Few rows, of an operand whose steps lie a page apart: more of them than the second cache keeps.
TEST(Panels, OfFewRowsWhoseStepsShareSets) {
  Graph graph = parse(
      "graph @m(%x: f32[M, 600], %w: f32[600, 1024]) -> (f32[M, 1024]) { %y = matmul(%x, %w) "
      "return %y }");
  for (const VectorLevel& level : levels_with_common_core()) {
    Executable executable = compile(Program{graph, {}, {}}, {level});
    for (std::int64_t rows : {kFewRows + 3, kFewRows + 4, kFewRows + 11}) {
      Generator generator(static_cast<std::uint64_t>(rows));
      Inputs inputs = random_values(graph, graph.inputs(), generator, false, {{"M", rows}});
      std::vector<Tensor> others{inputs.at("w")};
      std::vector<Tensor> expected{in_parts(executable, inputs.at("x"), others)};
      EXPECT_EQ(difference_run(graph, executable, inputs, expected, test_executors()), std::nullopt)
          << level.name() << ": " << rows << " rows";
    }
  }
}

// In each member of a batch the right side is another; and the left side may lie along the steps.
TEST(Panels, SizesKnownAhead) {
  for (bool transposed : {false, true}) {
    auto product = [&](std::int64_t rows) {
      return parse(fmt::format(
          "graph @m(%x: f32[{0}], %w: f32[2, 140, 1000]) -> (f32[2, {1}, 1000]) {{ "
          "%y = matmul(%x, %w) {{transpose_a = {2}}} return %y }}",
          transposed ? fmt::format("2, 140, {}", rows) : fmt::format("2, {}, 140", rows), rows,
          transposed));
    };
    constexpr std::int64_t kRows = 100;
    Graph whole = product(kRows), part = product(kFewRows);
    Generator generator(7);
    Inputs inputs = random_values(whole, whole.inputs(), generator, false, {});
    std::span<const float> x = inputs.at("x").elements<float>();
    for (const VectorLevel& level : levels_with_common_core()) {
      Executable few = compile(Program{part, {}, {}}, {level});
      Tensor expected(DType::f32, {2, kRows, 1000});
      for (std::int64_t first = 0; first < kRows; first += kFewRows) {
        std::vector<float> some;
        for (std::int64_t outer = 0; outer < (transposed ? 2 * 140 : 2); ++outer) {
          const std::int64_t inner = transposed ? 1 : 140;
          auto begin = x.begin() + (outer * kRows + first) * inner;
          some.insert(some.end(), begin, begin + kFewRows * inner);
        }
        Tensor::Sizes sizes =
            transposed ? Tensor::Sizes{2, 140, kFewRows} : Tensor::Sizes{2, kFewRows, 140};
        std::vector<Tensor> operands{Tensor::from(std::span<const float>(some), sizes),
                                     inputs.at("w")};
        Tensor result = few.run(operands)[0];
        for (std::int64_t outer = 0; outer < 2; ++outer)
          std::copy_n(result.elements<float>().begin() + outer * kFewRows * 1000, kFewRows * 1000,
                      expected.mutable_elements<float>().begin() + (outer * kRows + first) * 1000);
      }
      EXPECT_EQ(difference_compiled(Program{whole, {}, inputs}, {level}, std::span(&expected, 1),
                                    test_executors()),
                std::nullopt)
          << level.name();
    }
  }
}

// What lies along the steps: for a row alone, which has no panel, for what fills a tile or a group
// and what does not, and with steps that do not fill a vector. In a batch each member has its own.
TEST(Panels, TurnWhatLiesAlongTheSteps) {
  for (const char* text :
       {"graph @m(%x: f32[M, 131], %w: f32[256, 131], %b: f32[256]) -> (f32[M, 256]) { "
        "%p = matmul(%x, %w) {transpose_b = true} %s = add(%p, %b) %y = leaky_relu(%s) return %y }",
        "graph @m(%x: f32[M, 64], %w: f32[64, 64]) -> (f32[M, 64]) { "
        "%y = matmul(%x, %w) {transpose_b = true} return %y }",
        "graph @m(%x: f32[M, 17], %w: f32[128, 17]) -> (f32[M, 128]) { "
        "%y = matmul(%x, %w) {transpose_b = true} return %y }",
        "graph @m(%x: f32[2, M, 144], %w: f32[2, 256, 144]) -> (f32[2, M, 256]) { "
        "%y = matmul(%x, %w) {transpose_b = true} return %y }"}) {
    Graph graph = parse(text);
    for (std::int64_t rows : {1, 2, 6, 7, 23}) {
      Generator generator(static_cast<std::uint64_t>(rows));
      Inputs inputs = random_values(graph, graph.inputs(), generator, false, {{"M", rows}});
      std::optional<std::vector<Tensor>> expected[2];
      for (const VectorLevel& level : vector_levels()) {
        std::optional<std::vector<Tensor>>& known = expected[level.has_fma];
        if (!known) known = interpret_expanded(Program{graph, {}, inputs}, level.has_fma);
        EXPECT_EQ(
            difference_compiled(Program{graph, {}, inputs}, {level}, *known, test_executors()),
            std::nullopt)
            << level.name() << ": " << rows;
      }
    }
  }
}

// A block of columns at a time is turned, not all of the operand.
TEST(Panels, TurnABlockAtATime) {
  Graph graph = parse(
      "graph @m(%x: f32[M, 512], %w: f32[1024, 512]) -> (f32[M, 1024]) { "
      "%y = matmul(%x, %w) {transpose_b = true} return %y }");
  const std::ptrdiff_t one[] = {1}, some[] = {kManyRows};
  for (const VectorLevel& level : vector_levels()) {
    Executable executable = compile(Program{graph, {}, {}}, {level});
    EXPECT_EQ(executable.workspace_bytes(one), 0U) << level.name();
    EXPECT_GT(executable.workspace_bytes(some), 0U) << level.name();
    EXPECT_LE(executable.workspace_bytes(some), 512U * 64 * sizeof(float)) << level.name();
  }
}

// Each worker has a panel, and nobody has one that does not pay.
TEST(Panels, AreInTheWorkspace) {
  Graph graph = parse(
      "graph @m(%x: f32[M, K], %w: f32[K, N]) -> (f32[M, N]) { %y = matmul(%x, %w) return %y }");
  // More than the second cache of any core, and less.
  const std::ptrdiff_t few[] = {kFewRows, 200, 4000}, many[] = {kManyRows, 200, 4000},
                       near[] = {kManyRows, 200, 64};
  for (const VectorLevel& level : vector_levels()) {
    Executable executable = compile(Program{graph, {}, {}}, {level});
    ASSERT_EQ(executable.symbols().size(), 3U);
    EXPECT_EQ(executable.workspace_bytes(few, 4), 0U) << level.name();
    EXPECT_EQ(executable.workspace_bytes(near, 4), 0U) << level.name();
    const std::size_t one = executable.workspace_bytes(many);
    EXPECT_GE(one, 200U * 4 * sizeof(float)) << level.name();
    EXPECT_EQ(executable.workspace_bytes(many, 4), 4 * one) << level.name();
  }
}

}  // namespace
}  // namespace weir::test
