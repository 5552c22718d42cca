// The order in which a Trainer keeps weights: that of whoever reads them, so that a step copies
// fewer of them; what it computes, and what it gives by name, are the same as of a block laid out
// as declared.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/lowering/memory_plan.h"
#include "compiler/trainer.h"
#include "runtime/workspace.h"
#include "tests/support/graphs.h"

namespace weir {
namespace {

constexpr std::int64_t kBatch = 37;

struct Sizes {
  std::int64_t inputs = 100, hidden = 64;
};

// Only the first weight has a single reader: the gradient of x needs the second along its rows.
Model make_model(const Sizes& sizes = {}) {
  Model model{
      test::parse(fmt::format(R"(graph @net(%x: f32[N, {0}], %t: i64[N]) -> (f32[N, 5], f32[]) {{
  param %w1: f32[{1}, {0}]
  param %b1: f32[{1}]
  param %w2: f32[5, {1}]
  %h = linear(%x, %w1, %b1)
  %a = leaky_relu(%h)
  %logits = linear(%a, %w2)
  %loss = cross_entropy(%logits, %t)
  return %logits, %loss
}})",
                              sizes.inputs, sizes.hidden)),
      {}};
  test::Generator generator(3);
  model.weights = test::random_values(model.graph, model.graph.params(), generator);
  return model;
}

std::vector<Tensor> make_batch(std::uint64_t seed, const Sizes& sizes) {
  test::Generator generator(seed);
  Tensor labels(DType::i64, {kBatch});
  for (std::int64_t i = 0; i < kBatch; ++i)
    labels.mutable_elements<std::int64_t>()[static_cast<std::size_t>(i)] = i * 7 % 5;
  return {test::random_tensor(DType::f32, {kBatch, sizes.inputs}, generator), labels};
}

// Tiles of two vectors, for which weights lie in panels.
CompileOptions with_few_registers() {
  CompileOptions options;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") != 0) options.target.cpu = "x86-64-v3";
#endif
  return options;
}

struct OrderCase {
  Optimizer optimizer;
  bool turns;  // the first weight
  Sizes sizes = {};
  bool has_panels = false;
};
void PrintTo(const OrderCase& one, std::ostream* out) {
  *out << one.optimizer.name << (one.has_panels ? " in panels" : "");
}

class StateOrder : public testing::TestWithParam<OrderCase> {};

TEST_P(StateOrder, IsSeenByNobody) {
  const Optimizer& optimizer = GetParam().optimizer;
  const Model model = make_model(GetParam().sizes);
  const CompileOptions options = with_few_registers();
  auto batch = [](std::uint64_t seed) { return make_batch(seed, GetParam().sizes); };
  Trainer trainer(model, optimizer, {}, options);
  // What is remembered of a weight lies as the weight does.
  for (const StateVariable& variable : trainer.state()) {
    const bool is_first = variable.name.starts_with("w1");
    EXPECT_EQ(!variable.order.empty(), GetParam().turns && is_first) << variable.name;
#if defined(__x86_64__)
    EXPECT_EQ(variable.panel != 0, GetParam().has_panels && is_first) << variable.name;
#endif
  }

  TrainingStep step = training_step(model.graph, optimizer);
  Weights first = model.weights;
  first.insert(step.initial.begin(), step.initial.end());
  Executable declared = compile({step.graph, first}, options);
  Workspace block;
  void* state = block.reserve(declared.state_bytes());
  declared.write_initial_state(state);
  for (std::uint64_t i = 0; i < 3; ++i) {
    std::vector<Tensor> inputs = batch(i);
    double loss = trainer.step(inputs, 0.01F);
    Tensor rate(DType::f32, {});
    rate.mutable_elements<float>()[0] = 0.01F;
    inputs.push_back(rate);
    std::vector<Tensor> outputs = declared.outputs_in_place(inputs);
    declared.run_in_place(inputs, outputs, state);
    EXPECT_EQ(loss, static_cast<double>(outputs[0].elements<float>()[0]));
  }
  for (const StateVariable& variable : declared.state()) {
    EXPECT_TRUE(variable.order.empty());
    EXPECT_TRUE(compare(trainer.read(variable.name), read_state(variable, state)).identical)
        << variable.name;
  }

  // Evaluation reads the block as it lies, and so does a Trainer that goes on from what was read.
  Trainer other(trainer.model(), optimizer, {}, options);
  other.write_state(trainer.read_state());
  EXPECT_EQ(trainer.step(batch(7), 0.01F), other.step(batch(7), 0.01F));
  std::vector<Tensor> results = trainer.evaluate(batch(8));
  std::vector<Tensor> expected = compile(trainer.model(), options).run(batch(8));
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_TRUE(compare(results[i], expected[i]).identical);
}

// Behind a global norm the update is a pass of its own, which would read gradients and write
// weights along different dimensions.
INSTANTIATE_TEST_SUITE_P(Optimizers, StateOrder,
                         testing::Values(OrderCase{{.name = "sgd"}, true},
                                         OrderCase{{.name = "adam"}, true},
                                         OrderCase{{.name = "momentum", .clip_norm = 0.5}, false},
                                         OrderCase{{.name = "sgd"}, true, {260, 512}, true},
                                         OrderCase{{.name = "adam"}, true, {260, 512}, true}));

// The copy of a weight is what a step needs most memory for, where workers do not turn it
// themselves, block by block of its columns: these steps are more than the first cache has.
TEST(StateOrderMemory, HasNoCopy) {
  TrainingStep step = training_step(make_model({1000, 64}).graph, {"sgd"});
  auto bytes = [&](bool orders) {
    CompileOptions options;
    options.orders_state = orders;
    Program program = lower_graph(step.graph, options);
    return workspace_bytes(program, {{"N", 1}}).value();
  };
  EXPECT_LT(bytes(true), 64 * 1000 * 4);
  EXPECT_GE(bytes(false), 64 * 1000 * 4);
}

}  // namespace
}  // namespace weir
