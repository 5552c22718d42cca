// Calls in an order in which less is alive at once: no call reads anything else than in the order of the graph, and the steps of
// networks need as little as is known of them.
#include "compiler/lowering/shorten_lives.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "compiler/pipeline.h"
#include "ir/text.h"
#include "tests/unit/training/networks.h"
#include "tests/unit/training/workspace_places.h"

namespace weir {
namespace {

using Place = std::tuple<Buffer::Place, std::uint64_t, std::uint64_t>;

Program lowered(const Graph& graph, const char* cpu, bool reuse) {
  CompileOptions options;
  options.orders_state = true;
  options.reuse_memory = reuse;
  options.target = {"x86_64-linux-gnu", cpu, {}};
  return lower_graph(graph, options);
}

// By place: in turn, who writes it, and between two of them, whoever reads it.
using Accesses = std::map<Place, std::vector<std::vector<std::vector<std::uint32_t>>>>;

Accesses accesses(const Program& program) {
  Accesses result;
  for (const KernelCall& call : program.calls) {
    std::vector<std::uint32_t> who = call.buffers;
    who.push_back(call.kernel);
    for (const bool writes : {false, true}) {
      for (std::size_t p = 0; p < call.buffers.size(); ++p) {
        if (program.kernels[call.kernel].parameters[p].written != writes) continue;
        const Buffer& buffer = program.buffers[call.buffers[p]];
        const bool is_own = buffer.place == Buffer::Place::workspace;
        auto& turns = result[{buffer.place, is_own ? call.buffers[p] : buffer.index,
                              is_own ? 0 : buffer.offset}];
        if (turns.empty()) turns.emplace_back();
        if (writes) {
          turns.push_back({who});
          turns.emplace_back();
        } else {
          turns.back().push_back(who);
        }
      }
    }
  }
  for (auto& [place, turns] : result)
    for (auto& readers : turns) std::ranges::sort(readers);
  return result;
}

std::vector<std::vector<std::uint32_t>> buffers_in_order(const Program& program) {
  std::vector<std::vector<std::uint32_t>> result;
  for (const KernelCall& call : program.calls) result.push_back(call.buffers);
  return result;
}

TEST(ShortenLives, EveryCallReadsWhatItReadInTheOrderOfTheGraph) {
  int changed = 0;
  std::vector<test::Step> steps = test::small_steps();
  steps.push_back({"critic", test::wgan_step()});
  steps.push_back({"discriminator", test::discriminator_step(64, {64, 128, 256, 512})});
  for (const test::Step& step : steps) {
    for (const char* cpu : {"x86-64-v3", "x86-64-v4"}) {
      SCOPED_TRACE(step.name + " for " + cpu);
      // Without memory that is shared, calls stay in the order of the graph.
      const Program ordered = lowered(step.graph, cpu, false),
                    shortened = lowered(step.graph, cpu, true);
      EXPECT_EQ(accesses(ordered), accesses(shortened));
      if (buffers_in_order(ordered) != buffers_in_order(shortened)) ++changed;
    }
  }
  EXPECT_GE(changed, 2);
}

// Bytes of what is alive at once, in the order of the calls.
std::uint64_t most_alive(const Program& program, const Dim::Bindings& sizes = {}) {
  std::vector<std::uint64_t> alive(program.calls.size());
  for (const auto& [number, place] : test::placed(program, sizes))
    for (std::size_t call = place.first; call <= place.last; ++call)
      alive[call] += place.end - place.begin;
  return *std::ranges::max_element(alive);
}

// %big is needed by the last product alone.
TEST(ShortenLives, WhatIsLargerThanWhatItIsMadeOfWaits) {
  const Graph graph = parse_graph(R"(
    graph @late(%u: f32[512, 4], %v: f32[4, 512], %m: f32[512, 512]) -> (f32[512, 512]) {
      %big = matmul(%u, %v)
      %a = matmul(%m, %m)
      %b = matmul(%a, %m)
      %c = matmul(%b, %m)
      %y = matmul(%big, %c)
      return %y
    })",
                                  "late.weir");
  constexpr std::uint64_t kMatrix = 512 * 512 * 4;
  // Without it, two are alive at a time, and copies of operands.
  const std::uint64_t ordered = most_alive(lowered(graph, "x86-64-v3", false));
  const std::uint64_t shortened = most_alive(lowered(graph, "x86-64-v3", true));
  EXPECT_EQ(ordered - shortened, kMatrix);
}

// %few is all that is asked of %big behind the first product, and would keep it beside the others.
TEST(ShortenLives, WhatFreesMoreThanItWritesRunsEarly) {
  const Graph graph = parse_graph(R"(
    graph @early(%u: f32[512, 4], %v: f32[4, 512], %m: f32[512, 512]) -> (f32[512, 512], f32[512]) {
      %big = matmul(%u, %v)
      %one = matmul(%big, %m)
      %a = matmul(%one, %m)
      %y = matmul(%a, %m)
      %few = reduce_max(%big) {axes = [1]}
      return %y, %few
    })",
                                  "early.weir");
  constexpr std::uint64_t kMatrix = 512 * 512 * 4;
  const std::uint64_t ordered = most_alive(lowered(graph, "x86-64-v3", false));
  const std::uint64_t shortened = most_alive(lowered(graph, "x86-64-v3", true));
  EXPECT_EQ(ordered - shortened, kMatrix);
}

// The gradients of a critic's scores of real and made-up images need none of each other, nor of the penalty: the penalty's part
// runs first, and each part of the others right before its gradient, so that their activations are never alive together.
TEST(ShortenLives, PartsOfACriticsLossRunOneAfterTheOther) {
  const Dim::Bindings sizes{{"N", 16}};
  for (const char* cpu : {"x86-64-v3", "x86-64-v4"}) {
    SCOPED_TRACE(cpu);
    const Graph graph = test::wgan_step();
    const std::uint64_t ordered = most_alive(lowered(graph, cpu, false), sizes),
                        shortened = most_alive(lowered(graph, cpu, true), sizes);
    EXPECT_LT(static_cast<double>(shortened), 0.83 * static_cast<double>(ordered));
  }
}

}  // namespace
}  // namespace weir
