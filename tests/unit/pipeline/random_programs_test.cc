// Random programs, compiled, against the interpreter bit for bit.
//
// Every program runs at each level of vectors, on one thread and on executors of several workers:
// fused, but that every second is unfused at one of the levels in turn. Every eighth runs
// contracted, too. A program that fails is shrunk and printed.
//   WEIR_RANDOM_PROGRAMS  how many, 2000 by default
//   WEIR_RANDOM_SEED      the seed of the first; then that many follow
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ir/text.h"
#include "ir/verifier.h"
#include "tests/unit/pipeline/random_program.h"
#include "tests/unit/pipeline/seed_on_signal.h"

namespace weir::test {
namespace {

constexpr std::uint64_t kShards = 8;
constexpr int kMaximumFailures = 3;  // of a shard: shrinking takes time

std::vector<Way> ways_of(std::uint64_t seed) {
  std::span<const VectorLevel> levels = vector_levels();
  std::vector<Way> ways;
  for (const VectorLevel& level : levels_of_turn(seed / 8))
    ways.push_back({level, true, (seed + ways.size()) % 5 != 0});
  if (seed % 2 == 0) ways[seed / 2 % ways.size()].fuse = false;
  if (seed % 8 == 1)
    ways.push_back(
        {.level = levels[seed / 8 % levels.size()], .fuse = seed % 3 != 0, .contract = true});
  return ways;
}

std::optional<std::string> failure(const Program& program, std::span<const Way> ways) {
  std::optional<std::vector<Tensor>> expected[2][2];
  for (const Way& way : ways) {
    auto& results = expected[way.level.has_fma ? 1 : 0][way.contract ? 1 : 0];
    try {
      if (!results) results = interpret_expanded(program, way.level.has_fma, way.contract);
    } catch (const std::exception& error) {
      return std::string("the interpreter: ") + error.what();
    }
    if (auto found = difference_compiled(program, way, *results, test_executors())) return found;
  }
  return std::nullopt;
}

// The first line of a message, without numbers: what a shrunk program must have in common.
std::string kind_of(const std::string& message) {
  std::string kind;
  for (char c : message.substr(0, message.find('\n')))
    if (c < '0' || c > '9') kind += c;
  return kind.find("instead of") != std::string::npos ? "difference" : kind;
}

class RandomPrograms : public testing::TestWithParam<std::uint64_t> {};

TEST_P(RandomPrograms, EqualTheInterpreter) {
  std::uint64_t first = from_environment("WEIR_RANDOM_SEED", 1, 0);
  std::uint64_t count = from_environment("WEIR_RANDOM_PROGRAMS", 2000, 1);
  if (GetParam() >= count) GTEST_SKIP() << "there are fewer programs than shards";
  int failures = 0;
  std::uint64_t programs = 0, nodes = 0;
  for (std::uint64_t i = GetParam(); i < count && failures < kMaximumFailures; i += kShards) {
    std::uint64_t seed = first + i;
    name_on_signal(seed);
    Program program = random_program(seed);
    verify(program.graph);
    std::string text = print(program.graph);
    EXPECT_EQ(print(parse_graph(text, "random.weir")), text) << "seed " << seed;
    std::vector<Way> ways = ways_of(seed);
    ++programs;
    nodes += program.graph.nodes().size();
    std::optional<std::string> found = failure(program, ways);
    if (!found) continue;
    ++failures;
    std::string kind = kind_of(*found);
    Program smallest = shrink(std::move(program), [&](const Program& smaller) {
      auto again = failure(smaller, ways);
      return again && kind_of(*again) == kind;
    });
    ADD_FAILURE() << "seed " << seed << ": " << *found << "\nshrunk to\n"
                  << describe(smallest) << failure(smallest, ways).value_or("(no failure)");
  }
  fmt::print("{} programs of {} nodes, seeds from {}\n", programs, nodes, first);
}

INSTANTIATE_TEST_SUITE_P(Shard, RandomPrograms, testing::Range<std::uint64_t>(0, kShards));

}  // namespace
}  // namespace weir::test
