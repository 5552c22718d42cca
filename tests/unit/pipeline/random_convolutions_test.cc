// Random convolutions, compiled, against the interpreter bit for bit, on one thread and on
// executors of several workers; and that what is generated covers windows, types and forms of
// schedules.
//
// Every program is compiled for one level of vectors in turn, and run at all of its sizes. One that
// fails is shrunk and printed.
//   WEIR_RANDOM_CONVOLUTIONS  how many programs, 400 by default
//   WEIR_RANDOM_SEED          the seed of the first; then that many follow
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "compiler/codegen/object.h"
#include "compiler/lowering/schedule.h"
#include "ir/op.h"
#include "tests/support/graphs.h"
#include "tests/unit/pipeline/random_convolution.h"
#include "tests/unit/pipeline/random_program.h"
#include "tests/unit/pipeline/seed_on_signal.h"

namespace weir::test {
namespace {

constexpr std::uint64_t kConvolutionPrograms = 400, kConvolutionShards = 4;
constexpr int kMostConvolutionFailures = 3;  // of a shard: shrinking takes time

// This machine's own level in half of the programs.
const VectorLevel& level_of_convolutions(std::uint64_t seed) {
  std::span<const VectorLevel> levels = vector_levels();
  return levels[seed % 2 == 0 ? 0 : seed / 2 % levels.size()];
}

// What goes wrong in any of the runs, an exception too, and the run as a program of its own.
std::optional<std::pair<std::string, Program>> failing_run(const Convolutions& convolutions,
                                                           const VectorLevel& level,
                                                           std::uint64_t seed) {
  Generator values(seed);
  auto random = [&](std::span<const ValueId> of, const Dim::Bindings& sizes) {
    return random_values(convolutions.graph, of, values, convolutions.special, sizes);
  };
  Program program{convolutions.graph, {}, {}};
  program.weights = random(program.graph.params(), {});
  program.inputs = random(program.graph.inputs(), convolutions.sizes.front());
  try {
    Executable executable = compile(program, {level});
    for (const Dim::Bindings& sizes : convolutions.sizes) {
      program.inputs = random(program.graph.inputs(), sizes);
      auto found = difference_run(program.graph, executable, program.inputs,
                                  interpret_expanded(program, level.has_fma), test_executors());
      if (found) return std::pair(*found, std::move(program));
    }
  } catch (const std::exception& error) {
    return std::pair(error.what(), std::move(program));
  }
  return std::nullopt;
}

class RandomConvolutions : public testing::TestWithParam<std::uint64_t> {};

TEST_P(RandomConvolutions, EqualTheInterpreter) {
  std::uint64_t first = from_environment("WEIR_RANDOM_SEED", 1, 0);
  std::uint64_t count = from_environment("WEIR_RANDOM_CONVOLUTIONS", kConvolutionPrograms, 1);
  if (GetParam() >= count) GTEST_SKIP() << "there are fewer programs than shards";
  int failures = 0;
  for (std::uint64_t i = GetParam(); i < count && failures < kMostConvolutionFailures;
       i += kConvolutionShards) {
    const std::uint64_t seed = first + i;
    SCOPED_TRACE(seed);
    name_on_signal(seed);
    const VectorLevel level = level_of_convolutions(seed);
    auto found = failing_run(random_convolutions(seed), level, seed);
    if (!found) continue;
    ++failures;
    auto differs = [&](const Program& program) -> std::optional<std::string> {
      try {
        return difference_compiled(program, {level}, interpret_expanded(program, level.has_fma),
                                   test_executors());
      } catch (const Error&) {
        return std::nullopt;  // a smaller one that has no result
      }
    };
    Program smallest = shrink(std::move(found->second),
                              [&](const Program& smaller) { return differs(smaller).has_value(); });
    ADD_FAILURE() << level.name() << ": " << found->first << "\nshrunk to\n"
                  << describe(smallest) << differs(smallest).value_or("(no failure)");
  }
}

INSTANTIATE_TEST_SUITE_P(Shard, RandomConvolutions,
                         testing::Range<std::uint64_t>(0, kConvolutionShards));

// How the schedules of a program's contractions go about them, on a machine that is the same
// wherever this runs.
void count_schedules(const Graph& graph, std::map<std::string, int>& counts) {
  CompileOptions options;
  options.target = {"x86_64-linux-gnu", "x86-64-v3", ""};
  static const Target target = resolve_target(options.target);
  weir::Program program = lower_graph(graph, options);
  std::set<std::string> forms;
  for (const WeightEntry& weight : program.weights)
    if (weight.panel > 0) forms.insert("panels of weights");
  for (const Kernel& kernel : program.kernels) {
    if (kernel.name == "frame") forms.insert("frame");
    if (kernel.name == "pack") {
      const auto& parameters = kernel.parameters;
      const bool cut = parameters[1].type.rank() > parameters[0].type.rank();
      forms.insert(cut ? "copy in panels for a run" : "copy for a run");
    }
    Schedule schedule = make_schedule(kernel, target.processor());
    if (schedule.panel) forms.insert("panel that a kernel copies");
    if (schedule.overlap) forms.insert("rows that overlap");
    if (schedule.tile_axes > 1) forms.insert("tile of several axes");
    if (schedule.rows_fewer > 0) forms.insert("two heights of tiles");
    if (schedule.rows_at_once > 1) forms.insert("register tile");
    if (schedule.rows_together) forms.insert("results of all rows at once");
    if (!schedule.bounds.empty()) forms.insert("masks in a guard");
    if (!schedule.step_bounds.empty()) forms.insert("steps free of a guard");
    for (const Stage& stage : kernel.stages) {
      if (!stage.fold) continue;
      if (!stage.fold->partials.empty()) forms.insert("chunks in memory");
      if (stage.digits.size() == 1) forms.insert("window of one axis");
      if (step_condition(kernel, *stage.fold)) forms.insert("steps that take no part");
    }
    for (const auto& stores : schedule.stores)
      for (const Access& store : stores)
        if (store.interleaves) forms.insert("rows stored between one another");
  }
  for (const std::string& form : forms) ++counts[form];
}

TEST(RandomConvolution, CoversWindowsTypesAndSchedules) {
  std::map<std::string, int> counts, schedules;
  std::set<std::string> different;
  for (std::uint64_t seed = 1; seed <= kConvolutionPrograms; ++seed) {
    Convolutions convolutions = random_convolutions(seed);
    for (const Dim::Bindings& sizes : convolutions.sizes)
      for (std::string& convolution : describe_convolutions(convolutions.graph, sizes))
        different.insert(std::move(convolution));
    for (const Node& node : convolutions.graph.nodes()) {
      if (!node.op->name.starts_with("conv")) continue;
      const TensorType& x = convolutions.graph.type(node.operands[0]);
      ++counts[node.op->name];
      ++counts[fmt::format("{}", name(x.dtype))];
      ++counts[fmt::format("{} axes", x.rank() - 2)];
      const std::int64_t groups = node.attributes.integer("groups");
      if (groups > 1) ++counts["groups"];
      if (groups > 1 && x.shape[1] == Dim(groups)) ++counts["depthwise"];
      auto any = [&](const char* attribute, auto holds) {
        const auto& entries = node.attributes.integers(attribute);
        return std::any_of(entries.begin(), entries.end(), holds);
      };
      if (any("strides", [](std::int64_t n) { return n > 1; })) ++counts["strides"];
      if (any("dilations", [](std::int64_t n) { return n > 1; })) ++counts["dilations"];
      if (any("low", [](std::int64_t n) { return n > 0; })) ++counts["frame before"];
      if (any("low", [](std::int64_t n) { return n < 0; })) ++counts["negative frame before"];
      if (any("high", [](std::int64_t n) { return n < 0; })) ++counts["negative frame behind"];
      if (node.attributes.integers("low") != node.attributes.integers("high"))
        ++counts["unequal frame"];
      ++counts[convolutions.graph.symbols().empty() ? "known sizes" : "symbolic sizes"];
    }
    count_schedules(convolutions.graph, schedules);
  }
  fmt::print("{} different convolutions\n{}\nprograms by schedule: {}\n", different.size(), counts,
             schedules);
  EXPECT_GE(different.size(), 4000U);
  for (const char* kind : {"conv",
                           "conv_transpose",
                           "conv_filter_gradient",
                           "f32",
                           "f64",
                           "f16",
                           "bf16",
                           "1 axes",
                           "2 axes",
                           "3 axes",
                           "groups",
                           "depthwise",
                           "strides",
                           "dilations",
                           "frame before",
                           "negative frame before",
                           "negative frame behind",
                           "unequal frame",
                           "known sizes",
                           "symbolic sizes"})
    EXPECT_GE(counts[kind], 40) << kind;
  // Panels that a kernel itself copies take sizes for which the interpreter is too slow:
  // panel_test.cc has those.
  for (const char* form :
       {"register tile", "two heights of tiles", "tile of several axes", "rows that overlap",
        "results of all rows at once", "rows stored between one another", "masks in a guard",
        "steps free of a guard", "steps that take no part", "chunks in memory", "frame",
        "copy for a run", "copy in panels for a run", "panels of weights", "window of one axis"})
    EXPECT_GE(schedules[form], 3) << form;
}

}  // namespace
}  // namespace weir::test
