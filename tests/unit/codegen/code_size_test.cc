// How much LLVM IR some kernels become, which is what compiling them costs: a tile has few
// variants, and what is run once in many steps is there once. The bounds are a tenth above what is
// emitted.

#include <cctype>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "compiler/pipeline.h"
#include "ir/text.h"

namespace weir {
namespace {

std::size_t instructions_of(const char* text, const char* cpu) {
  CompileOptions options;
  options.target = {.triple = "x86_64", .cpu = cpu, .features = ""};
  std::istringstream lines(
      inspect(parse_graph(text, "code_size.weir"), InspectStage::llvm, options));
  std::size_t count = 0;
  bool in_function = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("define")) in_function = true;
    if (line.starts_with("}")) in_function = false;
    count += in_function && line.starts_with("  ") &&
             line.find_first_not_of(' ') != std::string::npos &&
             line[line.find_first_not_of(' ')] != ';';
  }
  return count;
}

struct Case {
  const char* name;
  const char* text;
  std::size_t avx2, avx512;
};

class CodeSize : public testing::TestWithParam<Case> {};

TEST_P(CodeSize, StaysWithinItsBound) {
  EXPECT_LE(instructions_of(GetParam().text, "x86-64-v3"), GetParam().avx2);
  EXPECT_LE(instructions_of(GetParam().text, "x86-64-v4"), GetParam().avx512);
}

INSTANTIATE_TEST_SUITE_P(
    Graphs, CodeSize,
    testing::Values(
        Case{"pointwise",
             R"(graph @m(%x: f32[N, 256]) -> (f32[N, 256]) {
  %y = leaky_relu(%x)
  return %y
})",
             365, 340},
        // What stands in front of a pool is worked out for each tap of each field.
        Case{"pooled",
             R"(graph @m(%x: f32[N, 64, 26, 26], %b: f32[64, 1, 1]) -> (f32[N, 64, 13, 13]) {
  %s = add(%x, %b)
  %r = leaky_relu(%s) {negative_slope = 0.1}
  %y = max_pool(%r) {kernel = [2, 2], strides = [2, 2]}
  return %y
})",
             355, 300},
        // Five chunks of 1024 steps, tiles of two heights, and a frame.
        Case{"convolution",
             R"(graph @m(%x: f32[N, 512, 13, 13]) -> (f32[N, 1024, 13, 13]) {
  param %w: f32[1024, 512, 3, 3]
  param %b: f32[1024, 1, 1]
  %c = conv(%x, %w) {low = [1, 1], high = [1, 1]}
  %s = add(%c, %b)
  %y = leaky_relu(%s) {negative_slope = 0.1}
  return %y
})",
             2300, 2560},
        // Its end is a part of a square.
        Case{"transposed",
             R"(graph @m(%x: f32[N, 169, 128]) -> (f32[N, 128, 169]) {
  %y = transpose(%x) {permutation = [0, 2, 1]}
  return %y
})",
             470, 700},
        Case{"product",
             R"(graph @m(%x: f32[N, 784], %w: f32[784, 125], %b: f32[125]) -> (f32[N, 125]) {
  %p = matmul(%x, %w)
  %s = add(%p, %b)
  %y = leaky_relu(%s)
  return %y
})",
             1200, 1400}),
    [](const testing::TestParamInfo<Case>& test) { return test.param.name; });

}  // namespace
}  // namespace weir
