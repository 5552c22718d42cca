// The order in which a Trainer keeps weights: that of whoever reads them, so that a step copies
// fewer of them; what it computes, and what it gives by name, are the same as of a block laid out
// as declared.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/lowering/memory_plan.h"
#include "compiler/trainer.h"
#include "runtime/workspace.h"
#include "tests/support/graphs.h"

namespace weir {
namespace {

constexpr std::int64_t kBatch = 37;

// Only the first weight has a single reader: the gradient of x needs the second along its rows.
Model make_model() {
  Model model{test::parse(R"(graph @net(%x: f32[N, 100], %t: i64[N]) -> (f32[N, 5], f32[]) {
  param %w1: f32[64, 100]
  param %b1: f32[64]
  param %w2: f32[5, 64]
  %h = linear(%x, %w1, %b1)
  %a = leaky_relu(%h)
  %logits = linear(%a, %w2)
  %loss = cross_entropy(%logits, %t)
  return %logits, %loss
})"),
              {}};
  test::Generator generator(3);
  model.weights = test::random_values(model.graph, model.graph.params(), generator);
  return model;
}

std::vector<Tensor> make_batch(std::uint64_t seed) {
  test::Generator generator(seed);
  Tensor labels(DType::i64, {kBatch});
  for (std::int64_t i = 0; i < kBatch; ++i)
    labels.mutable_elements<std::int64_t>()[static_cast<std::size_t>(i)] = i * 7 % 5;
  return {test::random_tensor(DType::f32, {kBatch, 100}, generator), labels};
}

struct OrderCase {
  Optimizer optimizer;
  bool turns;  // the first weight
};
void PrintTo(const OrderCase& one, std::ostream* out) { *out << one.optimizer.name; }

class StateOrder : public testing::TestWithParam<OrderCase> {};

TEST_P(StateOrder, IsSeenByNobody) {
  const Optimizer& optimizer = GetParam().optimizer;
  Trainer trainer(make_model(), optimizer);
  // What is remembered of a weight lies as the weight does.
  for (const StateVariable& variable : trainer.state())
    EXPECT_EQ(!variable.order.empty(), GetParam().turns && variable.name.starts_with("w1"))
        << variable.name;

  TrainingStep step = training_step(make_model().graph, optimizer);
  Weights first = make_model().weights;
  first.insert(step.initial.begin(), step.initial.end());
  Executable declared = compile({step.graph, first});
  Workspace block;
  void* state = block.reserve(declared.state_bytes());
  declared.write_initial_state(state);
  for (std::uint64_t i = 0; i < 3; ++i) {
    std::vector<Tensor> inputs = make_batch(i);
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
  Trainer other(trainer.model(), optimizer);
  other.write_state(trainer.read_state());
  EXPECT_EQ(trainer.step(make_batch(7), 0.01F), other.step(make_batch(7), 0.01F));
  std::vector<Tensor> results = trainer.evaluate(make_batch(8));
  std::vector<Tensor> expected = compile(trainer.model()).run(make_batch(8));
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_TRUE(compare(results[i], expected[i]).identical);
}

// Behind a global norm the update is a pass of its own, which would read gradients and write weights
// along different dimensions.
INSTANTIATE_TEST_SUITE_P(
    Optimizers, StateOrder,
    testing::Values(OrderCase{{.name = "sgd"}, true}, OrderCase{{.name = "adam"}, true},
                    OrderCase{{.name = "momentum", .clip_norm = 0.5}, false}));

// The copy of a weight is what a step needs most memory for.
TEST(StateOrderMemory, HasNoCopy) {
  TrainingStep step = training_step(make_model().graph, {"sgd"});
  auto bytes = [&](bool orders) {
    CompileOptions options;
    options.orders_state = orders;
    Program program = lower_graph(step.graph, options);
    return workspace_bytes(program, {{"N", 1}}).value();
  };
  EXPECT_LT(bytes(true), 64 * 100 * 4);
  EXPECT_GE(bytes(false), 64 * 100 * 4);
}

}  // namespace
}  // namespace weir
