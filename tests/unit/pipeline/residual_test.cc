// Networks of convolutions whose results are added to what went into them: one value is read by
// windows, through a copy with a frame, and by the kernel's epilogue. Against the interpreter, bit
// for bit, at every level of vectors.
#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compiler/lowering/lower.h"
#include "tests/support/graphs.h"
#include "tests/unit/pipeline/compiled.h"
#include "tests/unit/pipeline/random_program.h"
#include "tests/unit/pipeline/seed_on_signal.h"

namespace weir::test {
namespace {

void expect_as_interpreted(const Graph& graph, const Dim::Bindings& sizes = {}) {
  Generator generator(7);
  const Weights weights = random_values(graph, graph.params(), generator, false, {});
  const std::vector<Inputs> runs{random_values(graph, graph.inputs(), generator, false, sizes)};
  EXPECT_EQ(difference_on_levels(graph, weights, runs), std::nullopt) << print(graph);
}

// What is added is read where it lies in the copy, behind the frame.
TEST(Residuals, ReadTheMiddleOfAFramedCopy) {
  for (int channels : {8, 12, 16, 17})
    for (const char* reader :
         {"leaky_relu(%a)", "average_pool(%a) {kernel = [2, 2]}", "max_pool(%a) {kernel = [2, 2]}",
          "conv(%a, %w) {low = [0, 1], high = [2, 1]}"})
      for (const char* type : {"f32", "f64"})
        expect_as_interpreted(parse(fmt::format(
            "graph @r(%x: {2}[1, {0}, 8, 8], %w: {2}[{0}, {0}, 3, 3]) {{ "
            "%c = conv(%x, %w) {{low = [1, 1], high = [1, 1]}} %a = add(%c, %x) %y = {1} "
            "return %y }}",
            channels, reader, type)));
}

// A chain of layers, each of which may add what went into it or into an earlier one.
std::string random_chain(std::uint64_t seed) {
  std::mt19937_64 random(seed * 0x9e3779b97f4a7c15);
  auto one_of = [&](auto... values) {
    const std::common_type_t<decltype(values)...> all[] = {values...};
    return all[random() % sizeof...(values)];
  };
  const char* type = one_of("f32", "f32", "f32", "f64", "f16");
  const int channels = one_of(4, 8, 12, 16, 16, 24, 32, 33);
  std::string inputs = fmt::format("%v0: {}[{}, {}, {}, {}]", type, one_of("1", "2", "N"), channels,
                                   one_of(5, 8, 9, 12), one_of("5", "8", "13", "16"));
  std::string params, nodes;
  std::vector<std::string> same{"%v0"};  // values of one shape
  std::string last = "%v0";
  const int layers = one_of(2, 3, 4, 5);
  for (int i = 1; i <= layers; ++i) {
    const std::string name = fmt::format("%v{}", i);
    switch (one_of(0, 0, 0, 1, 2, 3)) {
      case 0: {
        const int taps = one_of(1, 3, 3, 5), groups = one_of(1, 1, 1, 1, channels);
        params += fmt::format("param %w{}: {}[{}, {}, {}, {}] ", i, type, channels,
                              channels / groups, taps, taps);
        nodes += fmt::format(
            "%c{0} = conv({1}, %w{0}) {{low = [{2}, {2}], high = [{2}, {2}], groups = {3}}} "
            "{4} = add(%c{0}, {5}) ",
            i, last, taps / 2, groups, name, same[random() % same.size()]);
        break;
      }
      case 1:
        nodes += fmt::format("{} = leaky_relu({}) ", name, last);
        break;
      case 2:
        nodes += fmt::format("{} = {}({}) {{kernel = [3, 3], low = [1, 1], high = [1, 1]}} ", name,
                             one_of("max_pool", "average_pool"), last);
        break;
      default:
        nodes += fmt::format("{} = sub({}, {}) ", name, last, same[random() % same.size()]);
    }
    same.push_back(name);
    last = name;
  }
  const std::string other = one_of(0, 1) == 0 ? "" : ", " + same[random() % (same.size() - 1) + 1];
  return fmt::format("graph @chain({}) {{ {} {} %y = tanh({}) return %y{} }}", inputs, params,
                     nodes, last, other);
}

TEST(RandomResiduals, EqualTheInterpreter) {
  const std::uint64_t first = from_environment("WEIR_RANDOM_SEED", 1, 0);
  const std::uint64_t count = from_environment("WEIR_RANDOM_RESIDUALS", 30, 1);
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE(seed);
    name_on_signal(seed);
    expect_as_interpreted(parse(random_chain(seed)), {{"N", 2}});
  }
}

}  // namespace
}  // namespace weir::test
