// The Trainer: steps, evaluation on the same state, reading and writing by name, and that what is
// written back continues as if nothing had happened.
#include "compiler/trainer.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/initialize.h"
#include "ir/builder_ops.h"
#include "ir/interpreter.h"
#include "runtime/thread_pool.h"
#include "tests/support/graphs.h"
#include "tests/unit/training/c_trainer.h"

namespace weir {
namespace {

using test::error_of;
using testing::HasSubstr;

// A net that shall tell which of two numbers is larger.
Model make_classifier() {
  Model model{test::parse(R"(graph @larger(%x: f32[N, 2], %t: i64[N]) -> (f32[N, 2], f32[]) {
  param %w1: f32[8, 2]
  param %b1: f32[8]
  param %w2: f32[2, 8]
  %h = linear(%x, %w1, %b1)
  %a = leaky_relu(%h)
  %logits = linear(%a, %w2)
  %loss = cross_entropy(%logits, %t)
  return %logits, %loss
})"),
              {}};
  test::Generator generator(1);
  model.weights = test::random_values(model.graph, model.graph.params(), generator);
  return model;
}

NamedTensors labelled_batch(std::uint64_t seed, std::int64_t rows = 40) {
  test::Generator generator(seed);
  Tensor x = test::random_tensor(DType::f32, {rows, 2}, generator);
  Tensor t(DType::i64, {rows});
  for (std::int64_t i = 0; i < rows; ++i) {
    auto row = x.elements<float>().subspan(static_cast<std::size_t>(2 * i), 2);
    t.mutable_elements<std::int64_t>()[static_cast<std::size_t>(i)] = row[0] > row[1] ? 0 : 1;
  }
  return {{"x", x}, {"t", t}};
}

void expect_same_state(const Trainer& a, const Trainer& b) {
  Weights other = b.read_state();
  for (const auto& [name, value] : a.read_state())
    EXPECT_TRUE(compare(value, other.at(name)).identical) << name;
}

TEST(Trainer, LearnsAndEvaluates) {
  Trainer trainer(make_classifier(), {"adam"}, {.outputs = {"logits"}});
  ASSERT_EQ(trainer.inputs().size(), 2U);
  EXPECT_EQ(trainer.inputs()[1].name, "t");
  double first = 0, last = 0;
  for (std::uint64_t i = 0; i < 150; ++i) {
    last = trainer.step(labelled_batch(i), 0.02);
    if (i == 0) first = last;
    ASSERT_EQ(trainer.results().size(), 1U);
    EXPECT_EQ(trainer.results()[0].sizes(), (Tensor::Sizes{40, 2}));
  }
  EXPECT_LT(last, first / 4);
  EXPECT_LT(last, 0.2);
  // The outputs of the model, with its loss, which is that of the next step.
  NamedTensors batch = labelled_batch(1000, 7);
  std::vector<Tensor> outputs = trainer.evaluate(batch);
  ASSERT_EQ(outputs.size(), 2U);
  EXPECT_EQ(outputs[0].sizes(), (Tensor::Sizes{7, 2}));
  EXPECT_EQ(static_cast<double>(outputs[1].elements<float>()[0]), trainer.step(batch, 0.02));
  EXPECT_NE(outputs[1].elements<float>()[0], trainer.evaluate(batch)[1].elements<float>()[0]);
}

TEST(Trainer, HasBothProgramsCompiled) {
  Trainer trainer(make_classifier(), {"adam"}, {.outputs = {"logits"}});
  const Executable& evaluation = trainer.evaluation_executable();
  ASSERT_EQ(evaluation.inputs().size(), 2U);
  EXPECT_EQ(evaluation.inputs()[0].name, "x");
  EXPECT_EQ(evaluation.inputs()[1].name, "t");
  // Its state is the params alone, which it gives as they are behind the model's outputs.
  ASSERT_EQ(evaluation.state().size(), 3U);
  ASSERT_EQ(evaluation.outputs().size(), 5U);
  EXPECT_EQ(evaluation.outputs()[0].name, "logits");
  EXPECT_EQ(evaluation.outputs()[1].name, "loss");
  ASSERT_EQ(evaluation.symbols().size(), 1U);
  EXPECT_EQ(evaluation.symbols()[0], "N");
  EXPECT_LT(evaluation.state_bytes(), trainer.step_executable().state_bytes());
}

TEST(Trainer, GivesTheTrainedModel) {
  Trainer trainer(make_classifier(), {"sgd"});
  trainer.step(labelled_batch(1), 0.5);
  Model trained = trainer.model();
  EXPECT_EQ(print(trained.graph), print(make_classifier().graph));
  NamedTensors batch = labelled_batch(2);
  EXPECT_TRUE(compare(compile(trained).run(batch)[0], trainer.evaluate(batch)[0]).identical);
  EXPECT_FALSE(compare(trained.weights.at("w1"), make_classifier().weights.at("w1")).identical);
}

TEST(Trainer, ContinuesFromItsState) {
  for (const char* optimizer : {"adam", "nesterov", "rmsprop:momentum=0.5,centered=1", "adagrad"}) {
    Trainer whole(make_classifier(), parse_optimizer(optimizer));
    Trainer first(make_classifier(), parse_optimizer(optimizer));
    for (std::uint64_t i = 0; i < 4; ++i) {
      whole.step(labelled_batch(i), 0.01);
      if (i < 2) first.step(labelled_batch(i), 0.01);
    }
    Trainer second(make_classifier(), parse_optimizer(optimizer));
    second.write_state(first.read_state());
    for (std::uint64_t i = 2; i < 4; ++i) second.step(labelled_batch(i), 0.01);
    expect_same_state(whole, second);
  }
}

TEST(Trainer, GivesTheSameBitsOnEveryNumberOfThreads) {
  Trainer one(make_classifier(), {"adam"}), several(make_classifier(), {"adam"});
  ThreadPool pool(3);
  for (std::uint64_t i = 0; i < 3; ++i) {
    NamedTensors batch = labelled_batch(i, 3000);
    EXPECT_EQ(one.step(batch, 0.01), several.step(batch, 0.01, &pool.executor()));
  }
  expect_same_state(one, several);
}

TEST(Trainer, KeepsItsStateWhereAStepIsNotFinite) {
  Trainer trainer(make_classifier(), {"adam"}, {.check_finite = true});
  trainer.step(labelled_batch(1), 0.01);
  EXPECT_TRUE(trainer.finite());
  Weights before = trainer.read_state();
  NamedTensors batch = labelled_batch(2);
  batch.at("x").mutable_elements<float>()[3] = INFINITY;
  EXPECT_FALSE(std::isfinite(trainer.step(batch, 0.01)));
  EXPECT_FALSE(trainer.finite());
  for (const auto& [name, value] : trainer.read_state())
    EXPECT_TRUE(compare(value, before.at(name)).identical) << name;
  trainer.step(labelled_batch(3), 0.01);
  EXPECT_TRUE(trainer.finite());
}

// Adam's count of steps and the gradients that no label takes part in could be written before the
// labels are looked at; the deep net has more kernels than one function of the entry calls.
TEST(Trainer, ALabelOutOfRangeUpdatesNothing) {
  for (int layers : {0, 14}) {
    GraphBuilder b("deep");
    const Dim n = Dim::symbol("N");
    Var x = b.input("x", DType::f32, {n, 2}), t = b.input("t", DType::i64, {n});
    Var h = x;
    for (int i = 0; i < layers; ++i)
      h = leaky_relu(linear(h, b.param("w" + std::to_string(i), DType::f32, {2, 2}, {"he"})));
    Var apart = b.param("apart", DType::f32, {2, 2}, {"he"});
    b.output("loss", cross_entropy(linear(h, apart), t) + reduce_sum(apart * apart));
    Model model = b.finish();
    initialize(model, {}, 3);
    Trainer trainer(model, {"adam"}), other(model, {"adam"});
    if (layers > 0) {
      EXPECT_GT(lower_graph(trainer.step_graph()).calls.size(), 24U);
    }
    trainer.step(labelled_batch(1), 0.02);
    other.step(labelled_batch(1), 0.02);
    for (std::int64_t label : {2, -1}) {
      NamedTensors batch = labelled_batch(2);
      batch.at("t").mutable_elements<std::int64_t>()[39] = label;
      EXPECT_THAT(
          error_of([&] { trainer.step(batch, 0.02); }),
          HasSubstr("cross_entropy: index " + std::to_string(label) + " is out of range [0, 2)"));
      expect_same_state(trainer, other);
    }
    EXPECT_EQ(trainer.step(labelled_batch(3), 0.02), other.step(labelled_batch(3), 0.02));
    expect_same_state(trainer, other);
  }
}

TEST(Trainer, ReadsAndWritesByName) {
  Trainer trainer(make_classifier(), {"momentum"}, {.trained = {"w2", "b1"}});
  std::vector<std::string> names;
  for (const StateVariable& variable : trainer.state()) names.push_back(variable.name);
  EXPECT_THAT(names, testing::ElementsAre("b1", "w2", "b1.momentum", "w2.momentum"));
  Tensor ones(DType::f32, {8});
  for (float& x : ones.mutable_elements<float>()) x = 1;
  trainer.write("b1", ones);
  EXPECT_EQ(trainer.read("b1").to_string(), ones.to_string());
  EXPECT_THAT(error_of([&] { trainer.read("w1"); }), HasSubstr("has no state %w1"));
  EXPECT_THAT(error_of([&] { trainer.write("w2", ones); }),
              HasSubstr("%w2 is f32[2, 8], and f32[8] is given"));
  Weights state = trainer.read_state();
  state.erase("w2.momentum");
  EXPECT_THAT(error_of([&] { trainer.write_state(state); }),
              HasSubstr("there is no value for the state %w2.momentum (f32[2, 8])"));
}

TEST(Trainer, RefusesABatchThatDoesNotFit) {
  Trainer trainer(make_classifier(), {"sgd"});
  Weights before = trainer.read_state();
  NamedTensors batch = labelled_batch(1);
  std::vector<Tensor> one{batch.at("x")};
  EXPECT_THAT(error_of([&] { trainer.step(one, 0.1); }),
              HasSubstr("a step takes 2 inputs and the rate, and 1 is given"));
  batch.erase("t");
  EXPECT_THAT(error_of([&] { trainer.step(batch, 0.1); }),
              HasSubstr("input t (i64[N]) is missing"));
  batch = labelled_batch(1);
  batch.insert_or_assign("t", Tensor(DType::i64, {3}));
  EXPECT_THAT(error_of([&] { trainer.step(batch, 0.1); }), HasSubstr("the symbol N is already 40"));
  batch = labelled_batch(1);
  batch.emplace("u", Tensor());
  EXPECT_THAT(error_of([&] { trainer.step(batch, 0.1); }), HasSubstr("there is no input u"));
  for (const auto& [name, value] : trainer.read_state())
    EXPECT_TRUE(compare(value, before.at(name)).identical) << name;
}

TEST(Trainer, HasAFaceInC) {
  Trainer trainer(make_classifier(), {"momentum"});
  NamedTensors batch = labelled_batch(1);
  const void* inputs[] = {batch.at("x").data(), batch.at("t").data()};
  float loss = 0;
  ASSERT_EQ(weir_test_train_in_c(&trainer.c_step(), inputs, 40, 5, &loss), 0);
  // A label that is no class: the third one of the batch.
  Tensor labels = Tensor::from(batch.at("t").elements<std::int64_t>(), {40});
  labels.mutable_elements<std::int64_t>()[2] = 77;
  const void* wrong[] = {batch.at("x").data(), labels.data()};
  ASSERT_EQ(weir_test_fault_in_c(&trainer.c_step(), inputs, wrong, 40, 2, 77), 0);
  EXPECT_STREQ(trainer.c_step().variables[0].text, "f32[8, 2]");
  double same = 0;
  for (int i = 0; i < 5; ++i) same = trainer.step(batch, 0.1F);
  EXPECT_EQ(static_cast<double>(loss), same);
}

// An empty batch has no mean, and a step over it says so.
TEST(Trainer, AnEmptyBatchIsNotFinite) {
  Trainer trainer(make_classifier(), {"sgd"}, {.check_finite = true});
  EXPECT_TRUE(std::isnan(trainer.step(labelled_batch(1, 0), 0.1)));
  EXPECT_FALSE(trainer.finite());
}

}  // namespace
}  // namespace weir
