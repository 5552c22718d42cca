// Gradients of depthwise filters, column by column, at random: of every width about a vector's, with
// frames wider than rows, strides and dilations. Tensors lie between pages that may not be touched,
// and results hold other bits before, so that nothing is stored beyond them and nothing is left out.
//   WEIR_RANDOM_COLUMNS  how many programs, 80 by default
//   WEIR_RANDOM_SEED     the seed of the first; then that many follow
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/graphs.h"
#include "tests/support/guarded_memory.h"
#include "tests/unit/pipeline/compiled.h"
#include "tests/unit/pipeline/random_program.h"
#include "tests/unit/pipeline/seed_on_signal.h"

namespace weir::test {
namespace {

constexpr std::uint64_t kColumnPrograms = 80;

std::int64_t between(Generator& random, std::int64_t least, std::int64_t most) {
  return least + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(most - least + 1));
}

struct Line {
  std::int64_t extent, kernel, stride, dilation, low, high;
  std::int64_t positions() const {
    return (extent + low + high - dilation * (kernel - 1) - 1) / stride + 1;
  }
};

// An axis of images, of at least one position.
Line random_line(Generator& random, std::int64_t most_taps, std::int64_t most) {
  for (;;) {
    const std::int64_t taps = random() % 2 == 0 ? 3 : between(random, 1, most_taps);
    // Borders of more than one step of a loop come of wide frames.
    const std::int64_t frame = random() % 4 == 0 ? 20 : 3;
    Line line{between(random, 1, most),
              taps,
              random() % 2 == 0 ? 1 : between(random, 1, 3),
              random() % 5 < 3 ? 1 : between(random, 1, 3),
              between(random, -1, frame),
              between(random, 0, frame)};
    if (line.extent + line.low + line.high > line.dilation * (line.kernel - 1)) return line;
  }
}

// Two axes, or one, with the rows and the batch known only at the call in some.
Graph random_columns(Generator& random, Dim::Bindings& sizes) {
  const Line rows = random_line(random, 5, 24), row = random_line(random, 7, 70);
  const bool is_image = random() % 10 > 0, batch = random() % 3 == 0;
  const std::int64_t channels = random() % 8 == 0 ? 40 : between(random, 1, 4),
                     images = between(random, 0, 3);
  sizes = {{"N", images}};
  auto list = [&](std::int64_t Line::* of) {
    return is_image ? fmt::format("[{}, {}]", rows.*of, row.*of) : fmt::format("[{}]", row.*of);
  };
  auto shape = [&](std::int64_t height, std::int64_t width) {
    return is_image ? fmt::format("{}, {}", height, width) : fmt::format("{}", width);
  };
  const std::string n = batch ? "N" : fmt::format("{}", std::max<std::int64_t>(images, 1));
  const char* type = std::array{"f32", "f32", "f32", "f64", "bf16"}[random() % 5];
  return parse(fmt::format(
      "graph @columns(%x: {0}[{1}, {2}, {3}], %g: {0}[{1}, {2}, {4}]) -> ({0}[{2}, {5}, "
      "{6}]) {{ %w = conv_filter_gradient_columns(%x, %g) {{kernel = {7}, strides = "
      "{8}, dilations = {9}, low = {10}, high = {11}}} return %w }}",
      type, n, channels, shape(rows.extent, row.extent), shape(rows.positions(), row.positions()),
      shape(rows.kernel, row.kernel), row.positions(), list(&Line::kernel), list(&Line::stride),
      list(&Line::dilation), list(&Line::low), list(&Line::high)));
}

// Views of guarded memory, with what tensors hold, or other bits than a result has.
class Guarded {
 public:
  Guarded(std::span<const Tensor> tensors, Against against, bool copies) {
    for (const Tensor& tensor : tensors) {
      memory_.push_back(std::make_unique<GuardedMemory>(tensor.byte_count(), against));
      char* data = memory_.back()->data();
      if (copies)
        std::memcpy(data, tensor.data(), tensor.byte_count());
      else
        std::memset(data, 0x7b, tensor.byte_count());
      views_.push_back(Tensor::view(tensor.dtype(), tensor.sizes(), data));
    }
  }
  std::vector<Tensor>& views() { return views_; }

 private:
  std::vector<std::unique_ptr<GuardedMemory>> memory_;
  std::vector<Tensor> views_;
};

std::optional<std::string> guarded_difference(const Program& program, const VectorLevel& level) {
  try {
    Executable executable = compile(program, Way{level});
    const std::vector<Tensor> expected = interpret_expanded(program, level.has_fma);
    std::vector<Tensor> inputs;
    for (const Signature& input : executable.inputs())
      inputs.push_back(program.inputs.at(input.name));
    for (Against against : {Against::page_behind, Against::page_before}) {
      Guarded given(inputs, against, true);
      std::vector<const weir_executor*> executors{nullptr};
      executors.insert(executors.end(), test_executors().begin(), test_executors().end());
      for (const weir_executor* executor : executors) {
        Guarded results(expected, against, false);
        executable.run_into(given.views(), results.views(), executor);
        if (auto found = difference(program.graph, results.views(), expected)) return found;
      }
    }
  } catch (const std::exception& error) {
    return error.what();
  }
  return std::nullopt;
}

void expect_within_rows(const Graph& graph, const Dim::Bindings& sizes, std::uint64_t seed,
                        std::span<const VectorLevel> levels) {
  Generator random(seed);
  Program program{graph, {}, {}};
  program.inputs = random_values(graph, graph.inputs(), random, false, sizes);
  for (const VectorLevel& level : levels)
    if (auto found = guarded_difference(program, level))
      ADD_FAILURE() << "seed " << seed << ", " << level.name() << ": " << *found << "\n"
                    << describe(program);
}

TEST(DepthwiseColumns, StayWithinTheirRows) {
  const std::uint64_t first = from_environment("WEIR_RANDOM_SEED", 1, 0);
  const std::uint64_t count = from_environment("WEIR_RANDOM_COLUMNS", kColumnPrograms, 1);
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    name_on_signal(seed);
    Generator random(seed);
    Dim::Bindings sizes;
    const Graph graph = random_columns(random, sizes);
    expect_within_rows(graph, sizes, seed, levels_of_turn(seed));
  }
}

// A border before the columns that read no frame is wider than a step of their loop, and what is
// left behind them is less than one.
TEST(DepthwiseColumns, StayWithinTheirRowsInWideFrames) {
  for (const char* text : {
           "graph @behind(%x: f32[5, 40, 15, 10], %g: f32[5, 40, 16, 28]) -> (f32[40, 3, 3, 28]) "
           "{ %w = conv_filter_gradient_columns(%x, %g) {kernel = [3, 3], dilations = [1, 2], "
           "low = [0, 20], high = [3, 2]} return %w }",
           "graph @before(%x: f32[2, 2, 13, 44], %g: f32[2, 2, 13, 53]) -> (f32[2, 3, 3, 53]) "
           "{ %w = conv_filter_gradient_columns(%x, %g) {kernel = [3, 3], low = [1, 3], "
           "high = [1, 8]} return %w }",
           "graph @narrow(%x: f64[2, 2, 13, 15], %g: f64[2, 2, 13, 17]) -> (f64[2, 3, 3, 17]) "
           "{ %w = conv_filter_gradient_columns(%x, %g) {kernel = [3, 3], low = [1, 3], "
           "high = [1, 1]} return %w }",
       })
    expect_within_rows(parse(text), {}, 1, vector_levels());
}

}  // namespace
}  // namespace weir::test
