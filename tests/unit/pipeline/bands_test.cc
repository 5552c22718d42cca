// Calls that take turns, band by band (band_calls.h): which do, what that saves, and that the bits
// are the interpreter's, at every level of vectors, on one thread and on executors of several
// workers.
#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compiler/autodiff/gradient.h"
#include "compiler/lowering/band_calls.h"
#include "compiler/lowering/memory_plan.h"
#include "tests/support/graphs.h"
#include "tests/unit/pipeline/compiled.h"
#include "tests/unit/pipeline/random_program.h"
#include "tests/unit/pipeline/seed_on_signal.h"

namespace weir::test {
namespace {

// A convolution, LeakyReLU and a pool.
struct Pooled {
  std::string batch = "1";
  int channels = 3, filters = 16, height = 96, width = 40;
  std::string type = "f32";
  std::string filter = "3, 3", windows = "low = [1, 1], high = [1, 1]";
  std::string pool = "max_pool", pools = "kernel = [2, 2], strides = [2, 2]";
  std::string results = "%y";

  Graph graph() const {
    return parse(fmt::format(
        "graph @bands(%x: {0}[{1}, {2}, {3}, {4}]) {{ param %w: {0}[{5}, {2}, {6}] "
        "param %b: {0}[{5}] %h = conv(%x, %w, %b) {{{7}}} %a = leaky_relu(%h) "
        "%y = {8}(%a) {{{9}}} return {10} }}",
        type, batch, channels, height, width, filters, filter, windows, pool, pools, results));
  }
};

weir::Program lowered(const Graph& graph, const std::string& cpu, bool reuse = true) {
  CompileOptions options;
  options.target = {"x86_64-linux-gnu", cpu, {}};
  options.reuse_memory = reuse;
  return lower_graph(graph, options);
}

void expect_interpreted(const Graph& graph, const std::vector<Dim::Bindings>& sizes) {
  Generator generator(5);
  const Weights weights = random_values(graph, graph.params(), generator, false, {});
  std::vector<Inputs> runs;
  for (const Dim::Bindings& bindings : sizes)
    runs.push_back(random_values(graph, graph.inputs(), generator, false, bindings));
  EXPECT_EQ(difference_on_levels(graph, weights, runs), std::nullopt) << print(graph);
}

// With AVX2 and with AVX-512.
void expect_bands(const Graph& graph, std::size_t count) {
  for (const char* cpu : {"x86-64-v3", "x86-64-v4"})
    EXPECT_EQ(lowered(graph, cpu).bands.size(), count) << cpu << "\n" << print(graph);
}

TEST(Bands, GoBehindConvolutions) {
  const std::vector<Pooled> cases{
      {},
      {.channels = 9, .filters = 24},
      // Channels of several blocks, and of one that is not whole.
      {.channels = 4, .filters = 136, .height = 66, .width = 12},
      {.batch = "3", .channels = 4, .filters = 24, .height = 70},
      {.batch = "20", .channels = 4, .filters = 24, .height = 8, .width = 8},
      // What an image has more than the windows need is not computed.
      {.batch = "2", .channels = 4, .filters = 24, .height = 71, .width = 37},
      {.batch = "2",
       .channels = 4,
       .height = 101,
       .width = 36,
       .pools = "kernel = [3, 3], strides = [3, 3]"},
      // Or less: the last window reaches beyond it.
      {.channels = 4, .height = 77, .pools = "kernel = [2, 2], strides = [2, 2], ceil_mode = true"},
      {.channels = 4, .height = 80, .pools = "kernel = [2, 1], strides = [2, 1]"},
      {.channels = 4, .height = 80, .width = 41, .pools = "kernel = [1, 2], strides = [1, 2]"},
      // Windows that leave rows out, or overlap along a row, where it may have a frame.
      {.channels = 4, .height = 120, .pools = "kernel = [2, 2], strides = [3, 3]"},
      {.channels = 4,
       .height = 80,
       .pools = "kernel = [2, 3], strides = [2, 1], low = [0, 1], high = [0, 1]"},
      {.channels = 4, .height = 80, .pool = "average_pool"},
      {.channels = 4, .height = 160, .windows = "strides = [2, 2], low = [1, 1], high = [1, 1]"},
      {.channels = 4, .type = "f64"},
      {.channels = 4, .type = "f16"},
      {.channels = 4, .type = "bf16"},
  };
  for (const Pooled& one : cases) {
    expect_bands(one.graph(), 1);
    expect_interpreted(one.graph(), {{}});
  }
}

// Images are one after the other in a band's units, whatever their number; and where windows overlap
// along the rows of the image, a row is an image.
TEST(Bands, GoThroughImages) {
  const Pooled any{.batch = "N", .channels = 8, .filters = 24, .height = 70, .width = 36};
  expect_bands(any.graph(), 1);
  expect_interpreted(any.graph(), {{{"N", 3}}, {{"N", 0}}, {{"N", 1}}});
  const Pooled overlapping{.batch = "40",
                           .channels = 8,
                           .height = 9,
                           .width = 9,
                           .pools = "kernel = [3, 3], strides = [2, 2]"};
  expect_bands(overlapping.graph(), 1);
  expect_interpreted(overlapping.graph(), {{}});
}

// How many rows a band has is then for the call to say.
TEST(Bands, OfImagesWhoseWidthTheCallTells) {
  const Graph graph = parse(
      "graph @bands(%x: f32[N, 4, 70, W]) { param %w: f32[24, 4, 3, 3] "
      "%h = conv(%x, %w) {low = [1, 1], high = [1, 1]} %a = leaky_relu(%h) "
      "%y = max_pool(%a) {kernel = [2, 2], strides = [2, 2]} return %y }");
  expect_bands(graph, 1);
  expect_interpreted(graph, {{{"N", 3}, {"W", 19}}, {{"N", 1}, {"W", 64}}, {{"N", 2}, {"W", 3}}});
}

TEST(Bands, TakeWhatOneCallAloneReadsOfTheOther) {
  const std::vector<Pooled> cases{
      // Windows that overlap along the rows, or reach beyond the first one.
      {.channels = 8, .pools = "kernel = [3, 3], strides = [2, 2]"},
      {.channels = 8, .pools = "kernel = [2, 2], strides = [2, 2], low = [1, 0], high = [1, 0]"},
      // Another reader, and a caller who reads it.
      {.channels = 8, .results = "%y, %a"},
      {.channels = 8, .results = "%y, %h"},
      // Fewer rows than threads share, and less than is worth it.
      {.channels = 8, .height = 62},
      {.batch = "N", .channels = 8, .height = 62},
      {.channels = 2, .filters = 2, .height = 64, .width = 8},
      // Filters that the second cache does not keep.
      {.batch = "8", .channels = 512, .filters = 512, .height = 64, .width = 64},
  };
  for (const Pooled& one : cases) expect_bands(one.graph(), 0);
  const std::vector<std::string> wrt{"w"};
  expect_bands(gradient(parse(fmt::format("graph @g(%x: f32[1, 8, 96, 40]) {{ "
                                          "param %w: f32[16, 8, 3, 3] %h = conv(%x, %w) "
                                          "%a = leaky_relu(%h) "
                                          "%p = max_pool(%a) {{kernel = [2, 2], strides = [2, 2]}} "
                                          "%m = mul(%p, %p) %s = reduce_sum(%m) return %s }}")),
                        wrt),
               0);
  EXPECT_TRUE(lowered(Pooled{}.graph(), "x86-64-v3", false).bands.empty());
}

// What is computed beside it has all of its rows, also those that no window reads.
TEST(Bands, LeaveOtherResultsWhole) {
  for (const auto& [height, count] :
       {std::pair(96, std::size_t{1}), std::pair(97, std::size_t{0})}) {
    const Graph graph = parse(
        fmt::format("graph @m(%x: f32[2, 3, {0}, 40]) -> (f32[2, 16, {0}, 40], f32[2, 16, 48, 20]) "
                    "{{ param %w: f32[16, 3, 3, 3] "
                    "%h = conv(%x, %w) {{low = [1, 1], high = [1, 1]}} %o = tanh(%h) "
                    "%y = max_pool(%h) {{kernel = [2, 2], strides = [2, 2]}} return %o, %y }}",
                    height));
    expect_bands(graph, count);
    expect_interpreted(graph, {{}});
  }
}

// What the convolution computes has no place in the workspace; each worker has a band of it.
TEST(Bands, TakeLittleMemory) {
  const Graph graph = Pooled{.filters = 16, .height = 416, .width = 416}.graph();
  const std::uint64_t sums = 16ULL * 416 * 416 * 4;
  for (const char* cpu : {"x86-64-v3", "x86-64-v4"}) {
    const weir::Program program = lowered(graph, cpu);
    ASSERT_EQ(program.bands.size(), 1U);
    const Bands& bands = program.bands.front();
    EXPECT_EQ(program.buffers[bands.buffer].place, Buffer::Place::band);
    const std::uint64_t band = bytes_of_band(bands, {});
    EXPECT_EQ(band, static_cast<std::uint64_t>(rows_of_band(bands, {})) * 2 * 16 * 416 * 4);
    EXPECT_LT(band, std::uint64_t{128} << 10);
    EXPECT_GE(workspace_bytes(lowered(graph, cpu, false), {}).value(), sums);
    EXPECT_LT(workspace_bytes(program, {}).value() + 8 * band, sums / 2);
  }
}

// A program that needs memory for nothing but its bands.
TEST(Bands, MayBeAllThatNeedsMemory) {
  const Graph graph = parse(
      "graph @m(%x: f32[1, 4, 40, 24]) { %e = extend(%x) {low = [0, 0, 2, 0], high = [0, 0, 1, 2]} "
      "%y = slice(%e) {starts = [0, 0, 0, 0], limits = [1, 4, 43, 26], strides = [1, 1, 2, 2]} "
      "return %y }");
  expect_bands(graph, 1);
  EXPECT_TRUE(lowered(graph, "x86-64-v4").slots.empty());
  expect_interpreted(graph, {{}});
}

// Several machines' code of one program: each goes through units in its own way.
TEST(Bands, HoldForAllVariants) {
  const Graph graph = Pooled{.channels = 8, .filters = 24, .height = 80}.graph();
  CompileOptions options;
  options.target = {"x86_64-linux-gnu", "x86-64-v4", {}};
  std::vector<Target> variants;
  for (const char* cpu : {"x86-64", "x86-64-v3", "x86-64-v4"})
    variants.push_back(resolve_target({"x86_64-linux-gnu", cpu, {}}));
  const weir::Program program = lower_graph(graph, options, variants);
  ASSERT_EQ(program.bands.size(), 1U);
  std::int64_t least = INT64_MAX;
  for (const Target& variant : variants) least = std::min(least, variant.core.second.bytes);
  EXPECT_LE(program.bands.front().bytes, least / 8);
}

// A program of a seed, whose sizes are about where bands begin to pay.
Graph random_bands(std::uint64_t seed) {
  std::mt19937_64 random(seed * 0x9e3779b97f4a7c15);
  auto one_of = [&](auto... values) {
    const std::common_type_t<decltype(values)...> all[] = {values...};
    return all[random() % sizeof...(values)];
  };
  Pooled pooled;
  pooled.type = one_of("f32", "f32", "f32", "f64", "f16", "bf16");
  pooled.batch = one_of("1", "2", "N", "17");
  pooled.channels = one_of(1, 2, 3, 4, 7, 8, 9, 16);
  pooled.filters = one_of(5, 8, 12, 16, 17, 24, 33, 64);
  const int taps = one_of(1, 3, 3, 5), stride = one_of(1, 1, 1, 2);
  const int high = one_of(1, 2, 2, 2, 3), wide = one_of(1, 2, 2, 3),
            down = high + one_of(0, 0, 0, 1), along = one_of(1, 2, 2, 3),
            beyond = random() % 4 == 0 ? 1 : 0;
  pooled.height = (one_of(30, 32, 33, 40, 45) * down + one_of(0, 1, 0)) * stride;
  pooled.width = one_of(6, 8, 13, 16, 21, 32) * stride;
  if (pooled.batch == "17") pooled.height = one_of(7, 8, 12) * stride;
  pooled.filter = fmt::format("{0}, {0}", taps);
  pooled.windows =
      fmt::format("strides = [{0}, {0}], low = [{1}, {1}], high = [{1}, {1}]", stride, taps / 2);
  pooled.pool = one_of("max_pool", "max_pool", "average_pool");
  const int frame = wide > 1 && random() % 3 == 0 ? 1 : 0;
  pooled.pools =
      fmt::format("kernel = [{}, {}], strides = [{}, {}], low = [0, {}], high = [{}, {}]", high,
                  wide, down, along, frame, high > 1 ? beyond : 0, frame);
  return pooled.graph();
}

TEST(RandomBands, EqualTheInterpreter) {
  const std::uint64_t first = from_environment("WEIR_RANDOM_SEED", 1, 0);
  const std::uint64_t count = from_environment("WEIR_RANDOM_BANDS", 24, 1);
  std::size_t banded[2] = {};
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE(seed);
    name_on_signal(seed);
    const Graph graph = random_bands(seed);
    const char* cpus[] = {"x86-64-v3", "x86-64-v4"};
    for (std::size_t i = 0; i < std::size(cpus); ++i)
      banded[i] += lowered(graph, cpus[i]).bands.empty() ? 0 : 1;
    expect_interpreted(graph, {{{"N", 2}}});
  }
  fmt::print("{} programs, in bands with AVX2 {}, with AVX-512 {}\n", count, banded[0], banded[1]);
  for (std::size_t each : banded) EXPECT_GE(2 * each, count);
}

}  // namespace
}  // namespace weir::test
