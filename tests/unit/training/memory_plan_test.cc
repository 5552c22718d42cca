// Where the values of a training step lie: no two that are alive together share memory, whatever
// the batch, and the workspace is not much larger than what is alive at once.
#include "compiler/lowering/memory_plan.h"

#include <algorithm>
#include <map>
#include <vector>

#include <gtest/gtest.h>

#include "compiler/autodiff/gradient.h"
#include "compiler/pipeline.h"
#include "ir/builder_ops.h"
#include "tests/unit/training/networks.h"
#include "tests/unit/training/workspace_places.h"

namespace weir {
namespace {

using test::placed;
using test::Placed;

// Convolutions with LeakyReLU behind each, and a loss that has the slope of their sum in it: second
// derivatives, of which much is kept, in sizes that do and do not depend on the batch.
Graph critic_step() {
  GraphBuilder inner("critic");
  Var value = inner.input("x", DType::f32, {Dim::symbol("N"), 3, 32, 32});
  std::int64_t channels = 3;
  for (std::int64_t more : {16, 32, 64}) {
    Var w = inner.param("w" + std::to_string(more), DType::f32, {more, channels, 4, 4});
    Var b = inner.param("b" + std::to_string(more), DType::f32, {more});
    value = leaky_relu(conv(value, w, b, {2, 2}, {}, {1, 1}, {1, 1}), 0.2);
    channels = more;
  }
  inner.output("score", reduce_sum(value * value));
  std::vector<std::string> wrt{"x"};
  GraphBuilder outer(gradient(inner.graph(), wrt, {{"score"}}));
  auto output = [&](std::size_t i) { return Var(outer, outer.graph().outputs()[i].value); };
  outer.output("loss", output(0) + reduce_sum(output(1) * output(1)));
  return test::sgd_step(outer.graph());
}

TEST(MemoryPlan, ValuesThatAreAliveTogetherLieApartForEveryBatch) {
  Graph graph = critic_step();
  for (bool reuse : {true, false}) {
    CompileOptions options;
    options.reuse_memory = reuse;
    Program program = lower_graph(graph, options);
    for (std::int64_t batch : {1, 5, 16, 32, 1000}) {
      SCOPED_TRACE(testing::Message() << "batch " << batch << ", reuse " << reuse);
      Dim::Bindings sizes{{"N", batch}};
      std::uint64_t workspace = workspace_bytes(program, sizes).value();
      std::map<std::uint32_t, Placed> places = placed(program, sizes);
      ASSERT_GT(places.size(), 20U);
      std::vector<std::uint64_t> alive(program.calls.size());
      for (const auto& [number, place] : places) {
        EXPECT_LE(place.end, workspace);
        EXPECT_EQ(place.begin % WEIR_ALIGNMENT, 0U);
        for (std::size_t call = place.first; call <= place.last; ++call)
          alive[call] += place.end - place.begin;
        for (const auto& [other_number, other] : places) {
          if (other_number >= number || other.end <= place.begin || place.end <= other.begin)
            continue;
          if (!reuse) FAIL() << number << " shares memory with " << other_number;
          // One may take over the place of the other in the call that reads it last.
          bool in_place = other.begin == place.begin && other.end == place.end;
          bool apart = other.last < place.first || place.last < other.first ||
                       (in_place && (other.last == place.first || place.last == other.first));
          EXPECT_TRUE(apart) << number << " lies over " << other_number;
        }
      }
      std::uint64_t most = *std::max_element(alive.begin(), alive.end());
      if (reuse) {
        EXPECT_LE(workspace, most + most / 2);
      }
    }
  }
}

// PyTorch's step takes 71.5 MB beside inputs and params on a processor with AVX-512 and 81.2 on one
// without (docs/performance.md). How many bytes a program needs is known without its machine.
TEST(MemoryPlan, StepOfWganGpNeedsLessThanPyTorchsOnEveryTarget) {
  for (bool real_first : {true, false}) {
    const Graph graph = test::wgan_step(real_first);
    for (const char* cpu : {"x86-64", "x86-64-v3", "x86-64-v4", "znver5"}) {
      SCOPED_TRACE(cpu);
      CompileOptions options;
      options.orders_state = true;  // as Trainer has it
      options.target = {"x86_64-linux-gnu", cpu, {}};
      const Program program = lower_graph(graph, options);
      EXPECT_LT(workspace_bytes(program, {{"N", 16}}).value(), 48'200'000U);
      for (std::int64_t batch : {8, 16, 64, 512}) {
        const Dim::Bindings sizes{{"N", batch}};
        std::vector<std::uint64_t> alive(program.calls.size());
        for (const auto& [number, place] : placed(program, sizes))
          for (std::size_t call = place.first; call <= place.last; ++call)
            alive[call] += place.end - place.begin;
        EXPECT_LE(workspace_bytes(program, sizes).value(),
                  1.07 * static_cast<double>(*std::ranges::max_element(alive)));
      }
    }
  }
}

// PyTorch's takes 28.8 MB and more, and once took 24.2.
TEST(MemoryPlan, StepOfADiscriminatorNeedsLessThanPyTorchsOnEveryTarget) {
  const Graph graph = test::discriminator_step(64, {64, 128, 256, 512});
  for (const char* cpu : {"x86-64", "x86-64-v3", "x86-64-v4", "znver5"}) {
    SCOPED_TRACE(cpu);
    CompileOptions options;
    options.orders_state = true;  // as Trainer has it
    options.target = {"x86_64-linux-gnu", cpu, {}};
    EXPECT_LT(workspace_bytes(lower_graph(graph, options), {{"N", 16}}).value(), 23'300'000U);
  }
}

}  // namespace
}  // namespace weir
