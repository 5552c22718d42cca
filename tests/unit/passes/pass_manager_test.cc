#include "compiler/passes/pass_manager.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include <gmock/gmock.h>

#include "ir/op.h"
#include "tests/support/graphs.h"

namespace weir {
namespace {

using test::parse;
using ::testing::HasSubstr;
using Names = std::vector<std::string>;

constexpr std::string_view kModel = R"(graph @m(%x: f32[N, 4]) -> (f32[N, 4]) {
  %one = constant() {value = f32[] 1.0}
  %two = add(%one, %one)
  %half = div(%one, %two)
  %p = softmax(%x)
  %q = softmax(%x)
  %s = add(%p, %q)
  %y = mul(%s, %half)
  %z = mul(%y, %one)
  return %z
})";

TEST(PassManager, RunsTheDefaultPasses) {
  Graph graph = parse(kModel);
  Graph after = run_passes(graph, default_passes());
  EXPECT_EQ(print(after), R"(graph @m(%x: f32[N, 4]) -> (f32[N, 4]) {
  %half = constant() {value = f32[] 0.5}
  %0 = reduce_max(%x) {axes = [-1], keep_dims = true}
  %1 = sub(%x, %0)
  %2 = exp(%1)
  %3 = reduce_sum(%2) {axes = [-1], keep_dims = true}
  %p = div(%2, %3)
  %s = add(%p, %p)
  %y = mul(%s, %half)
  return %y as "z"
}
)");
  for (std::uint64_t seed = 0; seed < 10; ++seed)
    test::expect_same_results(graph, after, seed, seed % 2 == 1);
}

TEST(PassManager, ReportsEachPass) {
  Names printed, timed;
  PassOptions options;
  options.after_each = [&](const Pass& pass, const Graph& graph) {
    printed.emplace_back(pass.name);
    EXPECT_EQ(graph.name(), "m");
  };
  options.time = [&](const Pass& pass, std::chrono::nanoseconds elapsed) {
    timed.emplace_back(pass.name);
    EXPECT_GE(elapsed.count(), 0);
  };
  options.verify_each = true;
  Names names{"dce", "cse", "dce"};
  run_passes(parse(kModel), names, options);
  EXPECT_EQ(printed, names);
  EXPECT_EQ(timed, names);
}

TEST(PassManager, NamesTheUnknownPassBeforeRunningAny) {
  bool ran = false;
  PassOptions options;
  options.after_each = [&](const Pass&, const Graph&) { ran = true; };
  Names names{"dce", "simplfy"};
  std::string message = test::error_of([&] { run_passes(parse(kModel), names, options); });
  EXPECT_THAT(message, HasSubstr("there is no pass simplfy"));
  for (const Pass& pass : all_passes()) EXPECT_THAT(message, HasSubstr(std::string(pass.name)));
  EXPECT_FALSE(ran);
}

TEST(PassManager, EveryPassIsDocumented) {
  for (const Pass& pass : all_passes()) {
    EXPECT_FALSE(pass.name.empty());
    EXPECT_TRUE(pass.summary.ends_with(".")) << pass.name;
  }
}

// Each pass alone keeps the bits of a graph that has something for all of them, and so does any
// order.
TEST(PassManager, AnyOrderKeepsEveryBit) {
  Graph graph = parse(R"(graph @m(%x: f32[N, 4], %m: bool[4]) -> (f32[4], f32[N, 4]) {
  param %w: f32[4, 4]
  param %b: f32[4]
  %l = linear(%x, %w, %b)
  %a = leaky_relu(%l) {negative_slope = -0.5}
  %n = neg(%a)
  %o = neg(%n)
  %two = constant() {value = f32[] 2.0}
  %four = mul(%two, %two)
  %h = div(%o, %four)
  %t = transpose(%h)
  %u = transpose(%t)
  %never = constant() {value = bool[] false}
  %mask = logical_or(%m, %never)
  %s = select(%mask, %u, %h)
  %y = layer_norm(%s)
  %r = reduce_sum(%y) {axes = [0]}
  return %r, %s
})");
  Names names;
  for (const Pass& pass : all_passes()) names.emplace_back(pass.name);
  std::mt19937_64 generator(7);
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    std::shuffle(names.begin(), names.end(), generator);
    PassOptions options;
    options.verify_each = true;
    test::expect_same_results(graph, run_passes(graph, names, options), seed, seed % 2 == 0);
  }
}

// A pass without either is not finished: docs/adding-a-pass.md.
TEST(PassManager, EveryPassHasATextTestAndAUnitTest) {
  for (const Pass& pass : all_passes()) {
    const std::string name(pass.name), tests = WEIR_SOURCE_DIR "/tests/";
    std::ifstream text(tests + "lit/passes/" + name + ".weir");
    const std::string content{std::istreambuf_iterator<char>(text), {}};
    EXPECT_THAT(content, HasSubstr("--passes=" + name)) << "no lit/passes/" << name << ".weir";
    EXPECT_TRUE(std::filesystem::exists(tests + "unit/passes/" + name + "_test.cc")) << name;
  }
}

}  // namespace
}  // namespace weir
