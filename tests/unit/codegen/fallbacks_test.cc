// What is written out for targets that lack an instruction, run on this machine: the same program
// compiled as for a target without 64-bit division, 64-bit conversions, rounding and so on gives
// the same bits.

#include <cstdint>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "compiler/codegen/object.h"
#include "compiler/make_executable.h"
#include "compiler/pipeline.h"
#include "op_graphs.h"
#include "tests/support/graphs.h"

namespace weir {
namespace {

Target poor_target() {
  Target target = resolve_target({});
  target.rounds = target.divides_32 = target.divides_64 = target.converts_64 = false;
  target.masks_words = target.masks_bytes = false;
  target.converts_f16 = target.converts_f16_f64 = target.converts_bf16 = false;
  return target;
}

std::vector<Tensor> run_on(const Target& target, const Program& program,
                           std::span<const Tensor> inputs) {
  return make_executable(program, LoadedCode(compile_for_loading(program, target)), {}).run(inputs);
}

void expect_same_bits(const Graph& graph, std::int64_t n) {
  test::Generator generator(7);
  auto values = test::random_values(graph, graph.inputs(), generator, true, {{"N", n}});
  std::vector<Tensor> inputs;
  for (ValueId id : graph.inputs()) inputs.push_back(values.at(graph.value(id).name));
  Program program = lower_graph(graph);
  std::vector<Tensor> expected = run_on(resolve_target({}), program, inputs);
  std::vector<Tensor> actual = run_on(poor_target(), program, inputs);
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_TRUE(compare(actual[i], expected[i]).identical) << graph.outputs()[i].name;
}

// Division and remainder of integers and floats, rounding, conversions; reshape and pad for index
// division.
TEST(Fallbacks, OpsGiveTheSameBits) {
  std::vector<test::OpCase> cases;
  for (const char* name : {"div", "remainder", "fmod", "floor", "ceil", "round", "trunc", "cast",
                           "reshape", "pad", "reduce_sum"})
    for (test::OpCase& one : test::cases_of(get_op(name))) cases.push_back(std::move(one));
  for (std::int64_t n : {1, 7, 40}) expect_same_bits(test::graph_of(cases), n);
}

TEST(Fallbacks, ConversionsAtTheEdges) {
  Graph graph = test::parse(
      "graph @m(%l: f32[N], %f: f64[N], %i: i64[N]) -> (i64[N], i64[N], f32[N], f64[N]) {\n"
      "  %a = cast(%l) {dtype = i64}\n  %b = cast(%f) {dtype = i64}\n"
      "  %c = cast(%i) {dtype = f32}\n  %d = cast(%i) {dtype = f64}\n"
      "  return %a, %b, %c, %d\n}\n");
  std::vector<float> singles;
  std::vector<double> doubles;
  std::vector<std::int64_t> integers;
  for (int bit = 0; bit < 63; ++bit) {
    for (std::int64_t near : {-1, 0, 1}) {
      for (int sign : {-1, 1}) {
        // Ties of f32 at 24 bits and of f64 at 53 bits are what rounding twice would get wrong.
        std::int64_t power = std::int64_t{1} << bit;
        std::int64_t tie = bit >= 24 ? std::int64_t{1} << (bit - 24) : 0;
        std::int64_t finer = bit >= 53 ? std::int64_t{1} << (bit - 53) : 0;
        integers.push_back(sign * (power + near));
        integers.push_back(sign * (power + tie + near));
        integers.push_back(sign * (power + finer + near));
      }
    }
  }
  integers.push_back(INT64_MIN);
  integers.push_back(INT64_MAX);
  for (std::int64_t integer : integers) {
    singles.push_back(static_cast<float>(integer) + 0.5F);
    doubles.push_back(static_cast<double>(integer) + 0.5);
  }
  singles.back() = -1e30F;
  doubles.back() = std::numeric_limits<double>::quiet_NaN();
  std::int64_t count = static_cast<std::int64_t>(integers.size());
  std::vector<Tensor> inputs{Tensor::from<float>(singles, {count}),
                             Tensor::from<double>(doubles, {count}),
                             Tensor::from<std::int64_t>(integers, {count})};
  Program program = lower_graph(graph);
  std::vector<Tensor> expected = run_on(resolve_target({}), program, inputs);
  std::vector<Tensor> actual = run_on(poor_target(), program, inputs);
  for (std::size_t o = 0; o < expected.size(); ++o) {
    for (std::int64_t i = 0; i < count; ++i) {
      EXPECT_EQ(actual[o].bits(i).value, expected[o].bits(i).value)
          << "output " << o << " of " << integers[static_cast<std::size_t>(i)];
    }
  }
  for (std::int64_t i = 0; i < count; ++i)
    EXPECT_EQ(expected[2].elements<float>()[static_cast<std::size_t>(i)],
              static_cast<float>(integers[static_cast<std::size_t>(i)]));
}

}  // namespace
}  // namespace weir
