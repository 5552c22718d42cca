// Windows whose taps lie further apart than memory reaches, over images of a few elements: compiled
// code has the interpreter's bits, and memory for the images, not for what the window passes over.
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "compiler/autodiff/gradient.h"
#include "compiler/lowering/memory_plan.h"
#include "compiler/pipeline.h"
#include "tests/support/graphs.h"
#include "tests/unit/pipeline/compiled.h"
#include "tests/unit/pipeline/faults.h"

namespace weir::test {
namespace {

constexpr std::int64_t kHuge = 100'000'000, kHugest = 2'000'000'000;
constexpr std::uint64_t kMostWorkspace = std::uint64_t{16} << 20;

using Integers = std::vector<std::int64_t>;

// Which of an image's sizes are known ahead; the others are symbols.
enum class KnownSizes { known, symbolic, symbolic_height };

std::string size_text(KnownSizes sizes, std::size_t axis, std::int64_t size) {
  const bool is_symbol =
      sizes == KnownSizes::symbolic || (sizes == KnownSizes::symbolic_height && axis == 0);
  return is_symbol ? fmt::format("D{}", axis) : std::to_string(size);
}

// A window of those sizes and dilations, with half of its reach in front of the image and half of
// it behind: there are as many positions as elements.
std::string window_text(const Integers& kernel, const Integers& dilations) {
  Integers low, high;
  for (std::size_t i = 0; i < kernel.size(); ++i) {
    const std::int64_t reach = (kernel[i] - 1) * dilations[i];
    low.push_back(reach / 2);
    high.push_back(reach - reach / 2);
  }
  return fmt::format("dilations = [{}], low = [{}], high = [{}]", fmt::join(dilations, ", "),
                     fmt::join(low, ", "), fmt::join(high, ", "));
}

// Values at random; the gradients for some inputs, where there are any, are further outputs. Run at
// one of the levels in turn.
void expect_small_and_the_interpreters(const std::string& text, const Dim::Bindings& sizes,
                                       const std::vector<std::string>& wrt, std::size_t turn) {
  SCOPED_TRACE(text);
  Generator generator(23);
  Program program{parse(text), {}, {}};
  if (!wrt.empty()) program.graph = gradient(program.graph, wrt);
  for (const VectorLevel& level : vector_levels()) {
    CompileOptions options;
    options.target.cpu = level.cpu;
    ASSERT_LE(workspace_bytes(lower_graph(program.graph, options), sizes).value(), kMostWorkspace)
        << level.name();
  }
  program.inputs = random_values(program.graph, program.graph.inputs(), generator, false, sizes);
  const VectorLevel& level = vector_levels()[turn % vector_levels().size()];
  EXPECT_EQ(difference_compiled(program, {level}, interpret_expanded(program, level.has_fma),
                                test_executors()),
            std::nullopt);
}

struct HugeWindow {
  Integers kernel, dilations, image;
};

const std::vector<HugeWindow>& huge_windows() {
  static const std::vector<HugeWindow> all{
      {{2}, {kHuge}, {9}},           {{3}, {kHuge}, {40}},
      {{2, 2}, {kHuge, 1}, {5, 40}}, {{3, 3}, {kHugest, kHugest}, {6, 17}},
      {{1, 3}, {1, kHuge}, {3, 33}},
  };
  return all;
}

// The image's sizes as text, and what they are.
std::string image_text(const HugeWindow& one, KnownSizes sizes, Dim::Bindings& bindings) {
  std::string text;
  for (std::size_t i = 0; i < one.image.size(); ++i) {
    const std::string size = size_text(sizes, i, one.image[i]);
    text += ", " + size;
    if (size.starts_with("D")) bindings[size] = one.image[i];
  }
  return text;
}

TEST(HugeDilations, OfConvolutionsAndTheirGradients) {
  std::size_t turn = 0;
  for (const HugeWindow& one : huge_windows())
    for (const KnownSizes sizes :
         {KnownSizes::known, KnownSizes::symbolic, KnownSizes::symbolic_height})
      for (const auto& [channels, filters, groups] :
           {std::array{2, 3, 1}, std::array{16, 32, 1}, std::array{16, 16, 16}}) {
        Dim::Bindings bindings;
        const std::string image = image_text(one, sizes, bindings);
        for (const char* op : {"conv", "conv_transpose"}) {
          const bool is_conv = op == std::string("conv");
          const int rows = is_conv ? filters : channels,
                    columns = (is_conv ? channels : filters) / groups;
          expect_small_and_the_interpreters(
              fmt::format("graph @m(%x: f32[2, {}{}], %w: f32[{}, {}, {}]) {{\n"
                          "  %y = {}(%x, %w) {{groups = {}, {}}}\n"
                          "  %z = mul(%y, %y)\n"
                          "  return %z\n}}",
                          channels, image, rows, columns, fmt::join(one.kernel, ", "), op, groups,
                          window_text(one.kernel, one.dilations)),
              bindings, {"x", "w"}, turn++);
        }
      }
}

TEST(HugeDilations, OfPools) {
  std::size_t turn = 0;
  for (const HugeWindow& one : huge_windows())
    for (const KnownSizes sizes :
         {KnownSizes::known, KnownSizes::symbolic, KnownSizes::symbolic_height})
      for (const char* op : {"max_pool", "arg_max_pool", "average_pool"}) {
        Dim::Bindings bindings;
        const std::string image = image_text(one, sizes, bindings);
        expect_small_and_the_interpreters(
            fmt::format("graph @m(%x: f32[2, 16{}]) {{\n"
                        "  %y{} = {}(%x) {{kernel = [{}], {}}}\n"
                        "  %z = mul(%y, %y)\n"
                        "  return %z\n}}",
                        image, op == std::string("arg_max_pool") ? ", %at" : "", op,
                        fmt::join(one.kernel, ", "), window_text(one.kernel, one.dilations)),
            bindings, {"x"}, turn++);
      }
}

// Elements that the frame takes away leave one position, whose taps lie at both ends of nothing.
TEST(HugeDilations, OfWindowsThatAreAllFrame) {
  const std::string window = "{dilations = [2000000000], low = [1000000000], high = [1000000002]}";
  for (const char* size : {"4", "N"})
    expect_small_and_the_interpreters(
        fmt::format("graph @m(%x: f32[1, 3, {}], %w: f32[4, 3, 2]) {{\n  %y = conv(%x, %w) {}\n"
                    "  return %y\n}}",
                    size, window),
        *size == 'N' ? Dim::Bindings{{"N", 4}} : Dim::Bindings{}, {"x", "w"}, 0);
}

// How far a window reaches is counted in 64 bits, and so is everything that follows from it.
TEST(HugeDilations, BeyondSixtyFourBitsAreErrors) {
  auto message = [](const std::string& text) {
    return message_of([&] { compile(Program{parse_graph(text, "model.weir"), {}, {}}, {}); });
  };
  auto convolution = [](const char* op, const char* image, const char* window) {
    return fmt::format(
        "graph @m(%x: f32[1, 1, {}], %w: f32[1, 1, 3, 3]) {{\n  %y = {}(%x, %w) {{{}}}\n"
        "  return %y\n}}",
        image, op, window);
  };
  const std::string at = "model.weir:2:8: error: ";
  const std::string overflow =
      "a product or sum of dimensions does not fit in 64 bits; use smaller dimensions";
  const char* most = "dilations = [2147483648, 2147483648]";
  EXPECT_EQ(
      message(convolution("conv", "5, 5", "dilations = [4611686018427387904, 1]")),
      at + "conv: dilations has the entry 4611686018427387904; it must be from 1 to 2147483648");
  EXPECT_EQ(message(convolution("conv", "5, 5", most)),
            at + "conv: a window of 4294967297 elements does not fit into an axis of 5 framed by 0 "
                 "and 0");
  EXPECT_EQ(message(convolution("conv", "H, W", most)), at + "conv: " + overflow);
  for (const char* image : {"5, 5", "H, W"})
    EXPECT_EQ(message(convolution("conv_transpose", image, most)),
              at + "conv_transpose: " + overflow);
  EXPECT_EQ(message("graph @m(%x: f32[1, 1, 2, W]) {\n  %y = max_pool(%x) {kernel = [1, "
                    "2147483648], dilations = [1, 2147483648]}\n  return %y\n}"),
            at + "max_pool: " + overflow);
}

}  // namespace
}  // namespace weir::test
