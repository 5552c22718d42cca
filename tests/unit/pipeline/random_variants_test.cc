// Random programs of pools, resizes, indexed ops and ops along axes, compiled, against the interpreter bit for bit,
// on one thread and on executors of several workers; and that what is generated has each of the
// forms that these ops have.
//
// Every program is compiled for one level of vectors in turn. One that fails is shrunk and printed.
//   WEIR_RANDOM_VARIANTS  how many programs, 2000 by default
//   WEIR_RANDOM_SEED      the seed of the first; then that many follow
#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "ir/op.h"
#include "tests/unit/pipeline/random_program.h"
#include "tests/unit/pipeline/random_variant.h"
#include "tests/unit/pipeline/seed_on_signal.h"

namespace weir::test {
namespace {

constexpr std::uint64_t kVariantPrograms = 2000, kVariantShards = 4;
constexpr int kMostVariantFailures = 3;  // of a shard: shrinking takes time

Way way_of_variant(std::uint64_t seed) {
  std::span<const VectorLevel> levels = vector_levels();
  return {.level = levels[seed % 2 == 0 ? 0 : seed / 2 % levels.size()], .fuse = seed % 7 != 0};
}

std::optional<std::string> failure_of_variant(const Program& program, const Way& way) {
  try {
    return difference_compiled(program, way, interpret_expanded(program, way.level.has_fma),
                               test_executors());
  } catch (const std::exception& error) {
    return fmt::format("the interpreter: {}", error.what());
  }
}

class RandomVariants : public testing::TestWithParam<std::uint64_t> {};

TEST_P(RandomVariants, EqualTheInterpreter) {
  const std::uint64_t first = from_environment("WEIR_RANDOM_SEED", 1, 0);
  const std::uint64_t count = from_environment("WEIR_RANDOM_VARIANTS", kVariantPrograms, 1);
  if (GetParam() >= count) GTEST_SKIP() << "there are fewer programs than shards";
  int failures = 0;
  for (std::uint64_t i = GetParam(); i < count && failures < kMostVariantFailures;
       i += kVariantShards) {
    const std::uint64_t seed = first + i;
    name_on_signal(seed);
    Program program = random_variant(seed);
    const Way way = way_of_variant(seed);
    std::optional<std::string> found = failure_of_variant(program, way);
    if (!found) continue;
    ++failures;
    const bool of_interpreter = found->starts_with("the interpreter");
    Program smallest = shrink(std::move(program), [&](const Program& smaller) {
      auto again = failure_of_variant(smaller, way);
      return again && again->starts_with("the interpreter") == of_interpreter;
    });
    ADD_FAILURE() << "seed " << seed << ": " << *found << "\nshrunk to\n"
                  << describe(smallest)
                  << failure_of_variant(smallest, way).value_or("(no failure)");
  }
}

INSTANTIATE_TEST_SUITE_P(Shard, RandomVariants, testing::Range<std::uint64_t>(0, kVariantShards));

using Counts = std::map<std::string, int>;

bool has(const Node& node, std::string_view attribute) {
  return std::any_of(node.op->attributes.begin(), node.op->attributes.end(),
                     [&](const AttributeSpec& spec) { return spec.name == attribute; });
}

void count_window(const Graph& graph, const Node& node, Counts& counts) {
  const std::string op = node.op->name;
  auto any = [&](const char* attribute, std::int64_t above) {
    const auto& entries = node.attributes.integers(attribute);
    return std::any_of(entries.begin(), entries.end(),
                       [&](std::int64_t entry) { return entry > above; });
  };
  ++counts[fmt::format("{} of {} axes", op, graph.type(node.operands[0]).rank() - 2)];
  for (const char* attribute : {"strides", "dilations"})
    if (any(attribute, 1)) ++counts[fmt::format("{} with {}", op, attribute)];
  for (const char* end : {"low", "high"})
    if (any(end, 0)) ++counts[fmt::format("{} framed {}", op, end)];
  for (const char* flag : {"ceil_mode", "count_include_pad"})
    if (has(node, flag) && node.attributes.boolean(flag))
      ++counts[fmt::format("{} with {}", op, flag)];
}

void count_resize(const Node& node, Counts& counts) {
  const std::string op = node.op->name, mode = node.attributes.text("mode");
  ++counts[fmt::format("{} {}", op, mode)];
  ++counts[fmt::format("{} by {}", op, node.attributes.text("coordinates"))];
  if (mode == "nearest")
    ++counts[fmt::format("{} nearest, {}", op, node.attributes.text("rounding"))];
  if (mode == "cubic" && node.attributes.boolean("exclude_outside"))
    ++counts[op + " with exclude_outside"];
}

void count_indexed(const Node& node, Counts& counts) {
  const std::string op = node.op->name;
  if (has(node, "reduction")) ++counts[fmt::format("{} {}", op, node.attributes.text("reduction"))];
  if (has(node, "largest") && op == "top_k")
    ++counts[op + (node.attributes.boolean("largest") ? " largest" : " smallest")];
  if (has(node, "batch_dims") && node.attributes.integer("batch_dims") > 0)
    ++counts[op + " with batch_dims"];
}

void count_along_axes(const Node& node, Counts& counts) {
  const std::string op = node.op->name;
  for (const char* flag : {"exclusive", "reverse", "keep_dims", "select_last", "upper"})
    if (has(node, flag))
      ++counts[fmt::format("{} with{} {}", op, node.attributes.boolean(flag) ? "" : "out", flag)];
  if (op == "extend" || op == "depth_to_space")
    ++counts[fmt::format("{} {}", op, node.attributes.text("mode"))];
  if (op == "pad" && !node.attributes.integers("interior").empty()) ++counts["pad with interior"];
  if (op == "slice" && !node.attributes.integers("strides").empty()) ++counts["slice with strides"];
  if (op != "einsum") return;
  const std::string& equation = node.attributes.text("equation");
  ++counts[fmt::format("einsum of {}", node.operands.size())];
  for (const char* part : {"->", "..."})
    if (equation.find(part) != std::string::npos) ++counts[fmt::format("einsum with {}", part)];
}

// Whether some input has no elements.
bool has_empty(const Program& program) {
  return std::ranges::any_of(program.inputs,
                             [](const auto& input) { return input.second.element_count() == 0; });
}

TEST(RandomVariant, CoversEveryForm) {
  Counts counts;
  for (std::uint64_t seed = 1; seed <= kVariantPrograms; ++seed) {
    const Program program = random_variant(seed);
    const Graph& graph = program.graph;
    for (const Node& node : graph.nodes()) {
      const std::string& op = node.op->name;
      ++counts[op];
      if (op.ends_with("_pool")) count_window(graph, node, counts);
      if (op.starts_with("resize")) count_resize(node, counts);
      if (node.op->family == "indexed") count_indexed(node, counts);
      count_along_axes(node, counts);
    }
    if (has_empty(program)) ++counts["no elements"];
    ++counts[graph.symbols().empty() ? "known sizes" : "symbolic sizes"];
    if (graph.outputs().back().name.starts_with("grad_")) ++counts["gradients"];
    for (DType type : {DType::f32, DType::f64, DType::f16, DType::bf16})
      if (graph.type(graph.outputs()[0].value).dtype == type) ++counts[std::string(name(type))];
  }
  fmt::print("nodes by form: {}\n", counts);
  for (const char* op : {"max_pool", "arg_max_pool", "average_pool"})
    for (const char* form : {"of 1 axes", "of 2 axes", "of 3 axes", "with strides",
                             "with dilations", "framed low", "framed high", "with ceil_mode"}) {
      const std::string kind = fmt::format("{} {}", op, form);
      EXPECT_GE(counts[kind], 4) << kind;
    }
  EXPECT_GE(counts["average_pool with count_include_pad"], 10);
  for (const char* form :
       {"nearest", "nearest, ceil", "nearest, floor", "nearest, round_prefer_ceil",
        "nearest, round_prefer_floor", "linear", "cubic", "with exclude_outside", "by half_pixel",
        "by half_pixel_symmetric", "by pytorch_half_pixel", "by align_corners", "by asymmetric",
        "by tf_half_pixel_for_nn", "by tf_crop_and_resize"}) {
    const std::string kind = fmt::format("resize {}", form);
    EXPECT_GE(counts[kind], 4) << kind;
  }
  for (const char* mode : {"nearest", "linear", "cubic"}) {
    const std::string kind = fmt::format("resize_gradient {}", mode);
    EXPECT_GE(counts[kind], 4) << kind;
  }
  for (const char* op : {"scatter_elements", "scatter_nd"})
    for (const char* reduction : {"none", "add", "mul", "max", "min"}) {
      const std::string kind = fmt::format("{} {}", op, reduction);
      EXPECT_GE(counts[kind], 4) << kind;
    }
  for (const char* kind :
       {"gather", "gather_elements", "gather_nd", "gather_nd with batch_dims",
        "scatter_nd with batch_dims", "one_hot", "top_k largest", "top_k smallest"})
    EXPECT_GE(counts[kind], 4) << kind;
  for (const char* op : {"reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_mean",
                         "reduce_l1", "reduce_l2", "reduce_sum_square", "reduce_log_sum",
                         "reduce_log_sum_exp", "arg_max", "arg_min"})
    for (const char* form : {"with keep_dims", "without keep_dims"}) {
      const std::string kind = fmt::format("{} {}", op, form);
      EXPECT_GE(counts[kind], 4) << kind;
    }
  for (const char* kind : {"arg_max with select_last",
                           "arg_max without select_last",
                           "arg_min with select_last",
                           "arg_min without select_last",
                           "cumsum with exclusive",
                           "cumsum without exclusive",
                           "cumsum with reverse",
                           "cumsum without reverse",
                           "einsum of 1",
                           "einsum of 2",
                           "einsum of 3",
                           "einsum with ->",
                           "einsum with ...",
                           "trilu with upper",
                           "trilu without upper",
                           "split",
                           "pad with interior",
                           "extend reflect",
                           "extend edge",
                           "extend wrap",
                           "slice with strides",
                           "reverse",
                           "tile",
                           "depth_to_space DCR",
                           "depth_to_space CRD",
                           "space_to_depth"})
    EXPECT_GE(counts[kind], 4) << kind;
  for (const char* kind :
       {"f32", "f64", "f16", "bf16", "known sizes", "symbolic sizes", "gradients", "no elements"})
    EXPECT_GE(counts[kind], 40) << kind;
}

}  // namespace
}  // namespace weir::test
