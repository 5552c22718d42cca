// Training steps as ONNX: state is an input, its next value an output. Steps that feed one back
// into the other have to follow the Trainer: of the interpreter on what is read back, and of ONNX
// Runtime where it is.
#include <functional>
#include <utility>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/frontend/onnx/export.h"
#include "compiler/frontend/onnx/onnx_file.h"
#include "compiler/trainer.h"
#include "tests/support/exported_graphs.h"
#include "tests/support/onnxruntime.h"

namespace weir::test {
namespace {

using testing::ElementsAre;

std::vector<std::string> names_of(const Graph& graph, std::span<const ValueId> values) {
  std::vector<std::string> names;
  for (ValueId id : values) names.push_back(graph.value(id).name);
  return names;
}

std::vector<std::string> output_names(const Graph& graph) {
  std::vector<std::string> names;
  for (const Graph::Output& output : graph.outputs()) names.push_back(output.name);
  return names;
}

Model read_back(const std::string& onnx) { return read_onnx(memory_file(onnx, "step.onnx"), "."); }

Inputs make_batch(std::uint64_t seed) {
  Generator generator(seed);
  Tensor labels(DType::i64, {20});
  for (std::int64_t& label : labels.mutable_elements<std::int64_t>())
    label = static_cast<std::int64_t>(generator() % 2);
  return {{"x", random_tensor(DType::f32, {20, 3}, generator)}, {"t", labels}};
}

// The outputs of a step on a batch and a state, in order.
using RunStep = std::function<std::vector<Tensor>(const Inputs& batch, const Weights& state)>;

void expect_trainer_steps(const std::string& optimizer, const Model& step, const RunStep& run) {
  Trainer trainer(classifier(), {optimizer});
  Weights state = step.weights;
  constexpr double kRate = 0.25;
  for (std::uint64_t i = 0; i < 6; ++i) {
    Inputs batch = make_batch(i);
    double loss = trainer.step({batch.begin(), batch.end()}, kRate);
    Tensor rate(DType::f32, {});
    rate.mutable_elements<float>()[0] = kRate;
    batch.emplace("learning_rate", rate);
    std::vector<Tensor> outputs = run(batch, state);
    EXPECT_NEAR(outputs[0].elements<float>()[0], loss, 1e-5 * (1 + loss)) << "step " << i;
    for (std::size_t k = 1; k < outputs.size(); ++k)
      state.at(step.graph.value(step.graph.outputs()[k].updates).name) = outputs[k];
    for (const auto& [name, value] : trainer.read_state())
      EXPECT_LE(compare(state.at(name), value).relative(), 1e-5) << name << ", step " << i;
  }
}

class OnnxTrainingStep : public testing::TestWithParam<const char*> {};

TEST_P(OnnxTrainingStep, FollowsTheTrainer) {
  Model step = training_step_of(classifier(), GetParam());
  std::string onnx = export_onnx(step);

  Model read = read_back(onnx);
  EXPECT_EQ(names_of(read.graph, read.graph.inputs()), names_of(step.graph, step.graph.inputs()));
  std::vector<std::string> expected;
  for (const Graph::Output& output : step.graph.outputs())
    expected.push_back(output.updates.valid() ? output.name + "_next" : output.name);
  EXPECT_EQ(output_names(read.graph), expected);
  expect_trainer_steps(GetParam(), step, [&](const Inputs& batch, const Weights& state) {
    return interpret(read.graph, state, batch);
  });

  if (onnxruntime_path() == nullptr) return;
  OnnxRuntime runtime(onnxruntime_path());
  OnnxSession session(runtime, onnx);
  bool is_first = true;  // the step that runs on the initializers
  expect_trainer_steps(GetParam(), step, [&](const Inputs& batch, const Weights& state) {
    Inputs given = batch;
    if (!std::exchange(is_first, false)) given.insert(state.begin(), state.end());
    return run_onnx(runtime, session, given, expected);
  });
}

INSTANTIATE_TEST_SUITE_P(Optimizers, OnnxTrainingStep, testing::Values("sgd", "adam"),
                         [](const auto& instance) { return std::string(instance.param); });

TEST(OnnxState, IsAnInputAndItsNextValueAnOutput) {
  Graph graph = parse(R"(graph @g(%g: f32[4], %w_next: f32[4]) -> (f32[4], f32[4], f32[4], f32[4]) {
  param %w: f32[4]
  param %fixed: f32[4]
  param %last: f32[4]
  %next = sub(%w, %g)
  %y = add(%next, %fixed)
  %sum = add(%y, %last)
  return %next updates %w, %sum, %w_next updates %last as "moved", %fixed updates %fixed
})");
  Tensor four(DType::f32, {4});
  // `w` has no value, so it is an input and no more.
  Model read = read_back(export_onnx({graph, {{"fixed", four}, {"last", four}}}));
  EXPECT_THAT(names_of(read.graph, read.graph.inputs()), ElementsAre("g", "w_next", "w"));
  EXPECT_THAT(names_of(read.graph, read.graph.params()), ElementsAre("fixed", "last"));
  EXPECT_THAT(output_names(read.graph), ElementsAre("w_next_1", "sum", "moved", "fixed_next"));
}

}  // namespace
}  // namespace weir::test
