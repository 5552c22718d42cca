// Calls in an order in which less is alive at once, and values that are made again: what comes out
// is what comes out in the order of the graph, and the steps of networks need as little as is known
// of them.
#include "compiler/lowering/shorten_lives.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <tuple>
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

// Numbers for what lies in memory outside the workspace when a program has run: the same for the
// same kernels on the same operands, in whatever order they run and however often.
std::map<Place, std::uint64_t> results(const Program& program) {
  auto number_of = [](const std::vector<std::uint64_t>& of) {
    std::uint64_t hash = 1469598103934665603U;
    for (std::uint64_t one : of) {
      hash = (hash ^ one) * 1099511628211U;
      hash ^= hash >> 29;
    }
    return hash;
  };
  std::map<Place, std::uint64_t> memory;
  auto place_of = [&](std::uint32_t number) {
    const Buffer& buffer = program.buffers[number];
    const bool is_own = buffer.place == Buffer::Place::workspace;
    return Place{buffer.place, is_own ? number : buffer.index, is_own ? 0 : buffer.offset};
  };
  auto content = [&](std::uint32_t number) {
    const Place place = place_of(number);
    const bool is_own = std::get<0>(place) == Buffer::Place::workspace;
    const std::uint64_t before = is_own ? 0
                                        : number_of({static_cast<std::uint64_t>(std::get<0>(place)),
                                                     std::get<1>(place), std::get<2>(place)});
    return memory.try_emplace(place, before).first->second;
  };
  for (const KernelCall& call : program.calls) {
    const std::vector<KernelParameter>& parameters = program.kernels[call.kernel].parameters;
    std::vector<std::uint64_t> run{call.kernel, 0, 0, 0};
    for (std::size_t p = 0; p < call.buffers.size(); ++p) {
      // A kernel may write a part of what it writes, as a frame, but none reads scratch that it has
      // not written.
      const bool is_scratch = program.buffers[call.buffers[p]].scratch.has_value();
      run.push_back(is_scratch ? 0 : content(call.buffers[p]));
    }
    for (std::size_t p = 0; p < call.buffers.size(); ++p) {
      if (!parameters[p].written) continue;
      std::vector<std::uint64_t> written = run;
      written.push_back(p);
      memory[place_of(call.buffers[p])] = number_of(written);
    }
  }
  std::erase_if(memory, [](const auto& entry) {
    return std::get<0>(entry.first) == Buffer::Place::workspace;
  });
  return memory;
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
      EXPECT_EQ(results(ordered), results(shortened));
      if (buffers_in_order(ordered) != buffers_in_order(shortened)) ++changed;
    }
  }
  EXPECT_GE(changed, 4);
}

// Bytes of what is alive at once, in the order of the calls.
std::uint64_t most_alive(const Program& program, const Dim::Bindings& sizes = {}) {
  std::vector<std::uint64_t> alive(program.calls.size());
  for (const auto& [number, place] : test::placed(program, sizes))
    for (std::size_t call = place.first; call <= place.last; ++call)
      alive[call] += place.end - place.begin;
  return *std::ranges::max_element(alive);
}

// How much less is alive than in the order of the graph.
std::uint64_t saved(const Graph& graph) {
  return most_alive(lowered(graph, "x86-64-v3", false)) -
         most_alive(lowered(graph, "x86-64-v3", true));
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
  EXPECT_EQ(saved(graph), kMatrix);
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
  EXPECT_EQ(saved(graph), kMatrix);
}

// What comes of a norm and LeakyReLU is made again for the gradient of the next layer's filters,
// behind whatever is largest.
TEST(MakeAgain, ADiscriminatorsActivationsDoNotLieIdle) {
  const Dim::Bindings sizes{{"N", 16}};
  const Graph graph = test::discriminator_step(64, {64, 128, 256, 512});
  const Program ordered = lowered(graph, "x86-64-v4", false),
                shortened = lowered(graph, "x86-64-v4", true);
  EXPECT_GT(shortened.calls.size(), ordered.calls.size());
  EXPECT_LT(static_cast<double>(most_alive(shortened, sizes)),
            0.9 * static_cast<double>(most_alive(ordered, sizes)));
}

// The gradients of a critic's scores of real and made-up images need none of each other, nor of the
// penalty: the penalty's part runs first, and each part of the others right before its gradient, so
// that their activations are never alive together.
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
