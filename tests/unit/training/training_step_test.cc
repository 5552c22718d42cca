// training_step as a graph: its interface, that it computes what the formulas say, where its state
// lies, and what is refused.
#include "compiler/autodiff/training_step.h"

#include <cmath>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/frontend/model_file.h"
#include "compiler/pipeline.h"
#include "compiler/trainer.h"
#include "ir/interpreter.h"
#include "ir/verifier.h"
#include "runtime/thread_pool.h"
#include "tests/support/graphs.h"

namespace weir {
namespace {

using test::error_of;
using test::parse;
using testing::ElementsAre;
using testing::HasSubstr;

// loss = mean((w * x - t)^2) for one number w.
Graph one_param() {
  return parse(R"(graph @one(%x: f64[N], %t: f64[N]) -> (f64[N], f64[]) {
  param %w: f64[]
  %y = mul(%x, %w)
  %loss = mse_loss(%y, %t)
  return %y, %loss
})");
}

std::vector<std::string> output_names(const Graph& graph) {
  std::vector<std::string> names;
  for (const Graph::Output& output : graph.outputs()) names.push_back(output.name);
  return names;
}

TEST(TrainingStep, IsTheGraphWithItsUpdates) {
  TrainingStep step = training_step(one_param(), {"sgd"});
  verify(step.graph);
  EXPECT_EQ(print(step.graph),
            R"(graph @one(%x: f64[N], %t: f64[N], %learning_rate: f64[]) -> (f64[], f64[]) {
)" + print(step.graph).substr(print(step.graph).find("  param %w")));
  EXPECT_THAT(output_names(step.graph), ElementsAre("loss", "w"));
  EXPECT_EQ(step.graph.outputs()[1].updates, step.graph.find("w"));
  EXPECT_TRUE(step.initial.empty());
  // What is printed can be read back, and steps alike.
  EXPECT_EQ(print(parse(print(step.graph))), print(step.graph));
  EXPECT_THAT(print(step.graph), AllOf(HasSubstr("\ngradient:\n"), HasSubstr("\nupdate:\n")));
}

// loss = (2 * 3 - 1)^2, so that w = 3 - 0.125 * 2 * 2 * (2 * 3 - 1).
TEST(TrainingStep, MayHaveOneRate) {
  Graph step = training_step(one_param(), {"sgd"}, {.learning_rate = 0.125}).graph;
  verify(step);
  EXPECT_FALSE(step.find("learning_rate").valid());
  std::vector<Tensor> outputs =
      interpret(step, {{"w", Tensor::from<double>({3}, {})}},
                {{"x", Tensor::from<double>({2}, {1})}, {"t", Tensor::from<double>({1}, {1})}});
  EXPECT_EQ(outputs[0].elements<double>()[0], 25);
  EXPECT_EQ(outputs[1].elements<double>()[0], 0.5);
  EXPECT_THAT(error_of([] {
                Model model{one_param(), {{"w", Tensor::from<double>({3}, {})}}};
                Trainer(std::move(model), {"sgd"}, {.learning_rate = 0.125});
              }),
              HasSubstr("a Trainer is told the rate of every step"));
}

TEST(TrainingStep, StateIsNamedAfterItsParam) {
  TrainingStep step = training_step(one_param(), {"adam"}, {.outputs = {"y"}});
  EXPECT_THAT(output_names(step.graph),
              ElementsAre("loss", "y", "w.mean", "w.mean_square", "w", "optimizer.step"));
  EXPECT_EQ(step.initial.at("optimizer.step").elements<std::int64_t>()[0], 0);
  EXPECT_EQ(step.initial.at("w.mean").elements<double>()[0], 0);
}

// The numbers of several steps, one after the other.
std::vector<double> run(const Optimizer& optimizer, const std::vector<double>& gradients, double w,
                        double rate, bool single = false) {
  // With the loss w * g the gradient is g.
  std::string type = single ? "f32" : "f64";
  Graph graph = parse("graph @g(%g: " + type + "[]) -> (" + type + "[]) {\n  param %w: " + type +
                      "[]\n  %loss = mul(%w, %g)\n  return %loss\n}");
  TrainingStep step = training_step(graph, optimizer);
  DType dtype = single ? DType::f32 : DType::f64;
  auto scalar = [&](double value) {
    Tensor tensor(dtype, {});
    tensor.set_bits(0, scalar::bits_of(dtype, value));
    return tensor;
  };
  Weights weights = step.initial;
  weights.insert_or_assign("w", scalar(w));
  std::vector<double> values;
  for (double gradient : gradients) {
    std::vector<Tensor> outputs =
        interpret(step.graph, weights, {{"g", scalar(gradient)}, {"learning_rate", scalar(rate)}});
    for (std::size_t i = 0; i < outputs.size(); ++i)
      if (ValueId param = step.graph.outputs()[i].updates; param.valid())
        weights.insert_or_assign(step.graph.value(param).name, outputs[i]);
    values.push_back(scalar::to_double(dtype, weights.at("w").bits(0)));
  }
  return values;
}

constexpr double kTolerance = 1e-12;

// What PyTorch's optimizers do with hyperparameters that its reference runs leave alone, by their
// documented formulas.
TEST(Optimizer, SgdWithDampening) {
  std::vector<double> g{1.0, -0.5, 2.0};
  std::vector<double> actual = run({"sgd", {{"momentum", 0.5}, {"dampening", 0.25}}}, g, 3, 0.1);
  double w = 3, b = 0;
  for (std::size_t i = 0; i < g.size(); ++i) {
    b = i == 0 ? g[i] : 0.5 * b + 0.75 * g[i];
    w -= 0.1 * b;
    EXPECT_NEAR(actual[i], w, kTolerance);
  }
}

TEST(Optimizer, RmspropCenteredWithMomentum) {
  std::vector<double> g{1.0, -0.5, 2.0, 0.1};
  std::vector<double> actual =
      run({"rmsprop", {{"momentum", 0.9}, {"centered", 1}, {"alpha", 0.8}, {"weight_decay", 0.1}}},
          g, 3, 0.1);
  double w = 3, square = 0, mean = 0, b = 0;
  for (std::size_t i = 0; i < g.size(); ++i) {
    double d = g[i] + 0.1 * w;
    square = 0.8 * square + 0.2 * d * d;
    mean = 0.8 * mean + 0.2 * d;
    b = 0.9 * b + d / (std::sqrt(square - mean * mean) + 1e-8);
    w -= 0.1 * b;
    EXPECT_NEAR(actual[i], w, 1e-9);
  }
}

TEST(Optimizer, AdagradWithDecay) {
  std::vector<double> g{1.0, -0.5, 2.0};
  std::vector<double> actual =
      run({"adagrad", {{"rate_decay", 0.5}, {"initial_sum", 0.25}}}, g, 3, 0.1);
  double w = 3, sum = 0.25;
  for (std::size_t i = 0; i < g.size(); ++i) {
    sum += g[i] * g[i];
    w -= 0.1 / (1 + 0.5 * static_cast<double>(i)) * g[i] / (std::sqrt(sum) + 1e-10);
    EXPECT_NEAR(actual[i], w, kTolerance);
  }
}

TEST(Optimizer, AdamAfterManySteps) {
  std::vector<double> g(300);
  for (std::size_t i = 0; i < g.size(); ++i) g[i] = std::sin(static_cast<double>(i));
  for (bool single : {false, true}) {
    std::vector<double> actual = run({"adam", {{"weight_decay", 0.01}}}, g, 3, 0.1, single);
    double w = 3, m = 0, v = 0;
    for (std::size_t i = 0; i < g.size(); ++i) {
      double d = g[i] + 0.01 * w;
      m = 0.9 * m + 0.1 * d;
      v = 0.999 * v + 0.001 * d * d;
      double t = static_cast<double>(i + 1);
      w -= 0.1 / (1 - std::pow(0.9, t)) * m /
           (std::sqrt(v) / std::sqrt(1 - std::pow(0.999, t)) + 1e-8);
      ASSERT_NEAR(actual[i], w, single ? 1e-4 : kTolerance) << i;
    }
  }
}

TEST(Optimizer, ClipsByValueAndByNorm) {
  EXPECT_NEAR(run({.name = "sgd", .clip_value = 0.5}, {4.0}, 3, 1)[0], 2.5, kTolerance);
  EXPECT_NEAR(run({.name = "sgd", .clip_value = 0.5}, {-0.25}, 3, 1)[0], 3.25, kTolerance);
  // The norm is that of all gradients together.
  Graph graph = parse(R"(graph @g(%a: f32[2], %b: f32[]) -> (f32[]) {
  param %v: f32[2]
  param %w: f32[]
  %p = mul(%a, %v)
  %s = reduce_sum(%p)
  %q = mul(%b, %w)
  %loss = add(%s, %q)
  return %loss
})");
  for (double bound : {6.5, 26.0}) {
    TrainingStep step = training_step(graph, {.name = "sgd", .clip_norm = bound});
    std::vector<Tensor> outputs = interpret(
        step.graph, {{"v", Tensor::from<float>({0, 0}, {2})}, {"w", Tensor::from<float>({0}, {})}},
        {{"a", Tensor::from<float>({3, 4}, {2})},
         {"b", Tensor::from<float>({12}, {})},
         {"learning_rate", Tensor::from<float>({1}, {})}});
    float scale = bound < 13 ? 0.5F : 1.0F;
    EXPECT_NEAR(outputs[1].elements<float>()[1], -4 * scale, 1e-5);
    EXPECT_NEAR(outputs[2].elements<float>()[0], -12 * scale, 1e-5);
  }
}

TEST(TrainingStep, UpdatesNothingThatIsNotFinite) {
  TrainingStep step = training_step(one_param(), {"momentum"}, {.check_finite = true});
  EXPECT_THAT(output_names(step.graph), ElementsAre("loss", "finite", "w.momentum", "w"));
  for (double x : {2.0, 1e200, std::nan("")}) {
    Weights weights = step.initial;
    weights.insert_or_assign("w", Tensor::from<double>({3}, {}));
    std::vector<Tensor> outputs =
        compile({step.graph, weights})
            .run(NamedTensors{{"x", Tensor::from<double>({1, x}, {2})},
                              {"t", Tensor::from<double>({0, 0}, {2})},
                              {"learning_rate", Tensor::from<double>({0.1}, {})}});
    bool finite = x == 2;
    EXPECT_EQ(outputs[1].elements<bool>()[0], finite);
    EXPECT_EQ(outputs[3].elements<double>()[0] == 3, !finite);
    EXPECT_EQ(outputs[2].elements<double>()[0] == 0, !finite);
  }
}

// Moments in f32, and the rounding once.
TEST(TrainingStep, NarrowParamsAreUpdatedInSingle) {
  Graph graph = parse(R"(graph @g(%x: bf16[N, 3], %t: bf16[N, 2]) -> (bf16[]) {
  param %w: bf16[2, 3]
  %y = linear(%x, %w)
  %loss = mse_loss(%y, %t)
  return %loss
})");
  TrainingStep step = training_step(graph, {"adam"});
  EXPECT_EQ(to_string(step.initial.at("w.mean").type()), "f32[2, 3]");
  EXPECT_EQ(to_string(step.graph.type(step.graph.find("learning_rate"))), "f32[]");
  verify(step.graph);
}

// Compiled in place and interpreted, bit for bit, for each optimizer at the level of this machine.
TEST(TrainingStep, CompilesToTheSameBits) {
  Graph graph = parse(R"(graph @net(%x: f32[N, 12], %t: i64[N]) -> (f32[N, 5], f32[]) {
  param %w1: f32[9, 12]
  param %b1: f32[9]
  param %w2: f32[5, 9]
  param %fixed: f32[5]
  %h = linear(%x, %w1, %b1)
  %a = leaky_relu(%h) {negative_slope = -0.3}
  %y = linear(%a, %w2, %fixed)
  %loss = cross_entropy(%y, %t)
  return %y, %loss
})");
  test::Generator generator(3);
  Weights params = test::random_values(graph, graph.params(), generator);
  Inputs inputs = test::random_values(graph, graph.inputs(), generator, false, {{"N", 37}});
  for (std::int64_t& label : inputs.at("t").mutable_elements<std::int64_t>())
    label = std::abs(label) % 5;
  inputs.emplace("learning_rate", Tensor::from<float>({0.1F}, {}));
  ThreadPool pool(2);
  for (const OptimizerDef& definition : optimizers()) {
    for (double clip : {0.0, 0.5}) {
      Optimizer optimizer{.name = definition.name, .clip_norm = clip};
      TrainingStep step = training_step(
          graph, optimizer,
          {.trained = {"w1", "b1", "w2"}, .outputs = {"y"}, .check_finite = clip > 0});
      EXPECT_FALSE(step.graph.is_updated(step.graph.find("fixed")));
      Weights weights = params;
      weights.insert(step.initial.begin(), step.initial.end());
      bool fma = resolve_target({}).fma;
      std::vector<Tensor> expected = interpret(fma ? step.graph : optimize(step.graph), weights,
                                               inputs, {{scalar::Numerics::Mode::expanded, fma}});
      std::vector<Tensor> actual = compile({step.graph, weights}).run(inputs, &pool.executor());
      for (std::size_t i = 0; i < expected.size(); ++i)
        EXPECT_TRUE(compare(actual[i], expected[i]).identical)
            << definition.name << ", " << step.graph.outputs()[i].name;
    }
  }
}

// Each param and each number that the optimizer remembers is state that one kernel writes; no
// gradient of a param, in its shape, lies in the workspace, none of the input is made, and nothing
// is copied to where it belongs.
void expect_updates_in_place(const Graph& graph, const CompileOptions& options,
                             const std::set<std::string>& weights, const std::string& input) {
  for (const OptimizerDef& definition : optimizers()) {
    const Program program = lower_graph(training_step(graph, {definition.name}).graph, options);
    SCOPED_TRACE(definition.name + std::string(" ") + options.target.cpu);
    std::map<std::uint32_t, int> writers;  // of each buffer
    for (const KernelCall& call : program.calls) {
      const Kernel& kernel = program.kernels[call.kernel];
      EXPECT_NE(kernel.name, "copy");
      for (std::size_t i = 0; i < call.buffers.size(); ++i)
        writers[call.buffers[i]] += kernel.parameters[i].written;
    }
    std::map<std::uint64_t, int> of_state;  // by offset: what is read there is a buffer of its own
    for (const auto& [buffer, count] : writers)
      if (program.buffers[buffer].place == Buffer::Place::state)
        of_state[program.buffers[buffer].offset] += count;
    for (const StateEntry& entry : program.state) {
      EXPECT_EQ(program.buffers[entry.buffer].place, Buffer::Place::state);
      EXPECT_EQ(of_state[entry.offset], 1) << entry.param;
    }
    std::set<std::string> found;
    for (const Buffer& buffer : program.buffers) {
      const std::string type = to_string(buffer.type);
      if (buffer.place == Buffer::Place::state) found.insert(type);
      EXPECT_FALSE(buffer.place == Buffer::Place::workspace && weights.contains(type)) << type;
      EXPECT_FALSE(buffer.place != Buffer::Place::input && type == input);
    }
    EXPECT_THAT(found, testing::IsSupersetOf(weights));
  }
}

TEST(TrainingStep, UpdatesWhereTheGradientIsMade) {
  Graph dense = parse(R"(graph @net(%x: f32[N, 12], %t: i64[N]) -> (f32[]) {
  param %w1: f32[9, 12]
  param %b1: f32[9]
  param %w2: f32[5, 9]
  param %b2: f32[5]
  %h = linear(%x, %w1, %b1)
  %a = leaky_relu(%h)
  %y = linear(%a, %w2, %b2)
  %loss = cross_entropy(%y, %t)
  return %loss
})");
  expect_updates_in_place(dense, {}, {"f32[9, 12]"}, "f32[N, 12]");
  // The gradient of a filter may be summed in an order of its own before it is one.
  Graph convolutional =
      with_loss(load_graph(WEIR_SOURCE_DIR "/examples/train_mnist/convolutional.weir"),
                {.op = "cross_entropy"});
  for (const char* cpu : {"x86-64", "x86-64-v3", "x86-64-v4", "znver5"}) {
    CompileOptions options;
    options.target = {"x86_64-linux-gnu", cpu, {}};
    expect_updates_in_place(convolutional, options, {"f32[16, 1, 3, 3]", "f32[32, 16, 3, 3]"},
                            "f32[N, 1, 28, 28]");
  }
}

TEST(TrainingStep, EvaluationReadsTheSameBlock) {
  Graph graph = one_param();
  weir::Program step = lower_graph(training_step(graph, {"adam"}).graph);
  weir::Program evaluation = lower_graph(on_state(graph));
  ASSERT_EQ(evaluation.state.size(), 1U);
  EXPECT_EQ(evaluation.state[0].param, "w");
  EXPECT_EQ(evaluation.state[0].offset, step.state[0].offset);
}

TEST(WithLoss, AddsATarget) {
  Graph graph = parse(R"(graph @g(%x: f32[N, 4]) -> (f32[N, 4]) {
  %y = relu(%x)
  return %y
})");
  Graph labels = with_loss(graph, {.op = "cross_entropy"});
  EXPECT_EQ(to_string(labels.type(labels.find("target"))), "i64[N]");
  Graph bytes = with_loss(graph, {.op = "cross_entropy", .labels = DType::u8});
  EXPECT_EQ(to_string(bytes.type(bytes.find("target"))), "u8[N]");
  Graph shares = with_loss(graph, {.op = "cross_entropy", .labels = DType::f32});
  EXPECT_EQ(to_string(shares.type(shares.find("target"))), "f32[N, 4]");
  Graph squares = with_loss(graph, {.op = "mse", .output = "y"});
  EXPECT_EQ(to_string(squares.type(squares.find("target"))), "f32[N, 4]");
  EXPECT_THAT(output_names(squares), ElementsAre("y", "loss"));
  EXPECT_THAT(error_of([&] { with_loss(graph, {.op = "mean"}); }),
              HasSubstr("there is no loss mean; there are mse, l1"));
  EXPECT_THAT(error_of([&] { with_loss(graph, {.op = "mse", .output = "z"}); }),
              HasSubstr("g has no output %z; it has %y"));
  EXPECT_THAT(error_of([&] { with_loss(squares, {.op = "mse"}); }),
              HasSubstr("the name %target is already taken"));
}

TEST(TrainingStepError, SaysWhatIsWrong) {
  Graph graph = one_param();
  EXPECT_THAT(error_of([&] { training_step(graph, {"sgd"}, {.loss = "cost"}); }),
              HasSubstr("one has no output %cost; it has %y, %loss"));
  EXPECT_THAT(error_of([&] { training_step(graph, {"sgd"}, {.loss = "y"}); }),
              HasSubstr("the loss %y is f64[N]; it must be a floating-point scalar"));
  EXPECT_THAT(error_of([&] { training_step(graph, {"sgd"}, {.trained = {"x"}}); }),
              HasSubstr("%x is no param of one"));
  EXPECT_THAT(error_of([&] { training_step(graph, {"adamax"}); }),
              HasSubstr("there is no optimizer adamax; there are sgd, momentum, nesterov, adam"));
  EXPECT_THAT(error_of([&] { training_step(graph, {"adam", {{"beta", 0.5}}}); }),
              HasSubstr("adam has no hyperparameter beta; it has beta1, beta2, epsilon"));
  EXPECT_THAT(error_of([&] { training_step(graph, {"adam", {{"beta1", 1.0}}}); }),
              HasSubstr("beta1 of adam must be from 0 to below 1; it is 1"));
  EXPECT_THAT(error_of([&] { training_step(graph, {.name = "sgd", .clip_norm = -1}); }),
              HasSubstr("clip_norm must be a positive number, or 0 for none; it is -1"));
  Graph fixed = parse("graph @f(%x: f32[]) -> (f32[]) {\n  return %x as \"loss\"\n}");
  EXPECT_THAT(error_of([&] { training_step(fixed, {"sgd"}); }),
              HasSubstr("f has no params of floating point"));
  Graph steps = parse(
      "graph @f(%x: f32[]) -> (f32[]) {\n  param %w: f32[]\n  %p = mul(%w, %x)\n"
      "  %loss = floor(%p)\n  return %loss\n}");
  EXPECT_THAT(error_of([&] { training_step(steps, {"sgd"}); }),
              HasSubstr("floor has no gradient: it is a step function"));
}

TEST(ParseOptimizer, TakesNameAndHyperparameters) {
  Optimizer adam = parse_optimizer("adam:beta1=0.95,weight_decay=1e-2");
  EXPECT_EQ(adam.name, "adam");
  EXPECT_EQ(adam.values.at("beta1"), 0.95);
  EXPECT_EQ(adam.values.at("weight_decay"), 0.01);
  EXPECT_EQ(parse_optimizer("sgd").values.size(), 0U);
  for (const char* text : {"adam:", "adam:beta1", "adam:beta1=", "adam:=1", "adam:beta1=1,"})
    EXPECT_THAT(error_of([&] { parse_optimizer(text); }), HasSubstr("is no option with a value"))
        << text;
  EXPECT_THAT(error_of([] { parse_optimizer("adam:beta1=0.9x"); }),
              HasSubstr("beta1 takes a number, and '0.9x' is given"));
  EXPECT_THAT(error_of([] { parse_optimizer("adam:beta1=0.5,beta1=0.5"); }),
              HasSubstr("beta1 is there twice"));
}

TEST(ParseLoss, TakesNameAndAttributes) {
  LossOptions loss = parse_loss("cross_entropy:label_smoothing=0.1,axis=1,reduction=sum");
  EXPECT_EQ(loss.op, "cross_entropy");
  EXPECT_EQ(loss.attributes.real("label_smoothing"), 0.1);
  EXPECT_EQ(loss.attributes.integer("axis"), 1);
  EXPECT_EQ(loss.attributes.text("reduction"), "sum");
  EXPECT_EQ(parse_loss("mse").op, "mse_loss");
  EXPECT_THAT(error_of([] { parse_loss("log"); }),
              HasSubstr("there is no loss log; there are mse"));
  EXPECT_THAT(error_of([] { parse_loss("mse:delta=1"); }),
              HasSubstr("mse_loss has no option delta; it has reduction"));
  EXPECT_THAT(error_of([] { parse_loss("cross_entropy:axis=0.5"); }),
              HasSubstr("axis takes an integer, and 0.5 is given"));
}

// Of the first layer's input nobody asks for the gradient, nor of the first layer when only the
// second is trained: no node has its shape.
TEST(TrainingStep, ComputesNoGradientThatNobodyReads) {
  Graph graph = test::parse(R"(graph @layers(%x: f32[N, 7]) -> (f32[]) {
  param %w1: f32[5, 7]
  param %w2: f32[3, 5]
  %0 = linear(%x, %w1)
  %1 = leaky_relu(%0)
  %2 = linear(%1, %w2)
  %loss = reduce_sum(%2)
  return %loss
})");
  auto gradients_of_shape = [&](const TrainingOptions& options, const Shape& shape) {
    Graph step = training_step(graph, {"sgd"}, options).graph;
    int count = 0;
    for (const Node& node : step.nodes())
      if (node.location.note.starts_with("gradient of") &&
          step.type(node.results[0]).shape == shape)
        ++count;
    return count;
  };
  const Dim n = Dim::symbol("N");
  EXPECT_EQ(gradients_of_shape({}, {n, 7}), 0);
  EXPECT_GT(gradients_of_shape({}, {n, 5}), 0);
  EXPECT_EQ(gradients_of_shape({.trained = {"w2"}}, {n, 5}), 0);
}

}  // namespace
}  // namespace weir
