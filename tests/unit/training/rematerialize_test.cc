// What the backward pass keeps: the choice by slope, its bytes in the table and in the program, and
// that neither a choice nor a budget changes a bit.
#include "compiler/rematerialize/rematerialize.h"

#include <random>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/autodiff/gradient.h"
#include "compiler/autodiff/training_form.h"
#include "compiler/initialize.h"
#include "compiler/lowering/lower.h"
#include "compiler/lowering/memory_plan.h"
#include "compiler/passes/pass_manager.h"
#include "compiler/pipeline.h"
#include "compiler/rematerialize/kept_values.h"
#include "compiler/rematerialize/recompute.h"
#include "compiler/trainer.h"
#include "ir/builder_ops.h"
#include "ir/interpreter.h"
#include "ir/notes.h"
#include "tests/support/graphs.h"
#include "tests/unit/training/workspace_places.h"

namespace weir {
namespace {

using test::error_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Dim kN = Dim::symbol("N");
const Dim::Bindings kSizes{{"N", 96}};

// The gradient with respect to all params.
Model differentiated(Model model) {
  std::vector<std::string> wrt;
  for (ValueId id : model.graph.params()) wrt.push_back(model.graph.value(id).name);
  return {gradient(model.graph, wrt, {{"loss"}}), std::move(model.weights)};
}

// Layers x -> leaky_relu(linear(x)), or of another op behind the linear one.
Model network(int layers, const std::function<Var(Var)>& activation) {
  GraphBuilder b("layers");
  Var h = b.input("x", DType::f32, {kN, 32});
  for (int i = 0; i < layers; ++i)
    h = activation(linear(h, b.param("w" + std::to_string(i), DType::f32, {32, 32}, {"he"}),
                          b.param("b" + std::to_string(i), DType::f32, {32}, {"uniform"})));
  b.output("loss", reduce_sum(h * h));
  Model model = b.finish();
  initialize(model, {}, 11);
  return differentiated(std::move(model));
}

// As the table has it, of the program that it is of.
std::int64_t printed_bytes(const Graph& graph, const Program& program,
                           const Dim::Bindings& sizes = kSizes) {
  std::string text = print_kept_values(graph, program, sizes);
  text.resize(text.find('\n', text.find("in all")));
  return std::stoll(text.substr(text.rfind(' ')));
}

std::int64_t measured_bytes(const Graph& graph, const Program& program,
                            const Dim::Bindings& sizes = kSizes) {
  return static_cast<std::int64_t>(test::kept_bytes(graph, program, sizes));
}

std::vector<std::string> choices(const Graph& graph) {
  std::vector<std::string> result;
  for (const KeptValue& value : kept_values(graph, lower(graph))) result.push_back(value.choice);
  return result;
}

std::uint64_t workspace_of(const Model& model, const CompileOptions& options) {
  return workspace_bytes(lower_graph(model.graph, options), kSizes).value();
}

void expect_same_results(const Model& model, const CompileOptions& a, const CompileOptions& b) {
  test::Generator generator(3);
  const Value& x = model.graph.value(model.graph.inputs()[0]);
  Tensor::Sizes sizes;
  for (const Dim& dim : x.type.shape) sizes.push_back(dim.evaluate(kSizes).value());
  std::vector<Tensor> inputs{test::random_tensor(DType::f32, sizes, generator)};
  inputs[0].mutable_elements<float>()[1] = 0;
  std::vector<Tensor> left = compile(model, a).run(inputs), right = compile(model, b).run(inputs);
  ASSERT_EQ(left.size(), right.size());
  for (std::size_t i = 0; i < left.size(); ++i)
    EXPECT_TRUE(compare(left[i], right[i]).identical) << model.graph.outputs()[i].name;
}

// All that the default passes do, and no choice.
CompileOptions without_choice() {
  CompileOptions options;
  options.passes.assign(default_passes().begin(), default_passes().end());
  return options;
}

// The sign of the output stands for that of the input where the slope is above 0, and nowhere else.
TEST(Rematerialize, ReadsTheOutputOnlyForASlopeAboveZero) {
  for (double slope : {0.01, 1.5, 0.0, -0.5}) {
    SCOPED_TRACE(slope);
    Model model = network(3, [&](Var x) { return leaky_relu(x, slope); });
    Graph chosen = optimize(model.graph);
    // Of the last layer nothing is kept: its gradient is computed in the kernel that computes it.
    if (slope > 0) {
      EXPECT_THAT(choices(chosen), ElementsAre("output", "output"));
    } else {
      EXPECT_THAT(choices(chosen), ElementsAre("mask", "value", "mask", "value"));
    }
    std::int64_t bytes = 32 * 96 * (slope > 0 ? 4 + 4 : 1 + 4 + 1 + 4);
    Program program = lower_graph(model.graph);
    EXPECT_EQ(printed_bytes(chosen, program), bytes);
    EXPECT_EQ(measured_bytes(chosen, program), bytes);
    Graph kept = optimize(model.graph, without_choice());
    program = lower_graph(model.graph, without_choice());
    EXPECT_EQ(printed_bytes(kept, program), 32 * 96 * 4 * 4);
    EXPECT_EQ(measured_bytes(kept, program), 32 * 96 * 4 * 4);
    EXPECT_LT(workspace_of(model, {}), workspace_of(model, without_choice()));
    expect_same_results(model, {}, without_choice());
  }
}

// Two layers over the last axis of x: f32[shape, 40], of a negative slope.
Model layers_over(Shape shape) {
  GraphBuilder b("layers");
  shape.push_back(40);
  Var h = b.input("x", DType::f32, shape);
  for (const char* name : {"v", "w"})
    h = leaky_relu(matmul(h, b.param(name, DType::f32, {40, 40}, {"he"})), -0.5);
  b.output("loss", reduce_sum(h * h));
  Model model = b.finish();
  initialize(model, {}, 11);
  return differentiated(std::move(model));
}

// A mask of many elements is kept as bits, along the first axis that has more than one element and
// is not the last: a size that 8 divides, and a symbol. The gradients are those of the interpreter.
TEST(Rematerialize, PacksMasksOfManyElements) {
  struct Case {
    Shape shape;
    std::int64_t bytes;  // of a mask
  };
  const Dim::Bindings sizes{{"N", 11}};
  for (const auto& [shape, bytes] : {Case{{kN, 24}, 2 * 24 * 40}, Case{{1, 136}, 17 * 40}}) {
    SCOPED_TRACE(to_string(shape));
    Model model = layers_over(shape);
    Graph chosen = optimize(model.graph);
    EXPECT_THAT(choices(chosen), ElementsAre("bits", "value", "value", "bits"));
    std::int64_t elements = element_count(shape).evaluate(sizes).value() * 40;
    const Program program = lower_graph(model.graph);
    EXPECT_EQ(printed_bytes(chosen, program, sizes), 2 * (bytes + elements * 4));
    EXPECT_EQ(measured_bytes(chosen, program, sizes), 2 * (bytes + elements * 4));
    test::Generator generator(5);
    Inputs inputs = test::random_values(model.graph, model.graph.inputs(), generator, true, sizes);
    std::vector<Tensor> expected =
        interpret(resolve_target({}).fma ? model.graph : chosen, model.weights, inputs,
                  {{scalar::Numerics::Mode::expanded, resolve_target({}).fma}});
    std::vector<Tensor> actual = compile(model).run(inputs);
    for (std::size_t i = 0; i < expected.size(); ++i)
      EXPECT_TRUE(compare(actual[i], expected[i]).identical) << model.graph.outputs()[i].name;
  }
}

// Neither x > 0 nor x <= 0 holds for NaN: a mask says no to the one that is asked. leaky_relu's
// gradient asks the first, relu's the second; where both are asked, no bit is enough.
TEST(Rematerialize, MasksAnswerForNanAsValuesDo) {
  const std::function<Var(Var)> activations[]{
      [](Var x) { return leaky_relu(x, -0.5); }, [](Var x) { return relu(x); },
      [](Var x) { return leaky_relu(x, -0.5) + relu(x) * 3.0f; }};
  std::vector<std::vector<std::string>> chosen;
  for (const auto& activation : activations) {
    GraphBuilder b("one");
    Var x = b.input("x", DType::f32, {kN, 32});
    Var w = b.param("w", DType::f32, {32, 40}, {"he"});
    b.output("loss", reduce_sum(matmul(activation(matmul(x, w)),
                                       b.param("v", DType::f32, {40, 40}, {"he"}))));
    Model model = b.finish();
    initialize(model, {}, 11);
    model = differentiated(std::move(model));
    test::Generator generator(5);
    Inputs inputs =
        test::random_values(model.graph, model.graph.inputs(), generator, false, kSizes);
    for (float& element : inputs.at("x").mutable_elements<float>().subspan(0, 32)) element = NAN;
    chosen.push_back(choices(optimize(model.graph)));
    const std::vector<Tensor> masked = compile(model).run(inputs),
                              whole = compile(model, without_choice()).run(inputs);
    for (std::size_t i = 0; i < whole.size(); ++i)
      EXPECT_TRUE(compare(masked[i], whole[i]).identical) << model.graph.outputs()[i].name;
  }
  EXPECT_THAT(chosen[0], testing::Contains(testing::AnyOf("mask", "bits")));
  EXPECT_THAT(chosen[2], testing::Not(testing::Contains(testing::AnyOf("mask", "bits"))));
}

TEST(Rematerialize, ReluSaysItByItsOutputAndHalvesAreLeftAlone) {
  EXPECT_THAT(choices(optimize(network(2, [](Var x) { return relu(x); }).graph)),
              ElementsAre("output"));
  GraphBuilder b("halves");
  Var x = b.input("x", DType::f16, {kN, 32});
  Var w = b.param("w", DType::f16, {32, 32});
  Var y = leaky_relu(linear(x, w));
  b.output("loss", reduce_sum(y * y));
  Graph graph = optimize(differentiated(b.finish()).graph);
  EXPECT_THAT(choices(graph), testing::Not(testing::Contains("output")));
}

TEST(Rematerialize, KeepsWithinABudgetAndSaysTheLeast) {
  Model model = network(8, [](Var x) { return tanh(x); });
  std::uint64_t whole = workspace_of(model, {});
  std::string message;
  CompileOptions options;
  options.memory_budget = MemoryBudget{1, kSizes};
  message = error_of([&] { lower_graph(model.graph, options); });
  ASSERT_THAT(message, HasSubstr("whatever is computed again; the memory budget is 1"));
  std::uint64_t least = std::stoull(message.substr(message.find("at least ") + 9));
  EXPECT_LT(least, whole);
  for (std::uint64_t bytes : {least, (least + whole) / 2, whole}) {
    options.memory_budget->bytes = bytes;
    EXPECT_LE(workspace_of(model, options), bytes);
    Graph chosen = optimize(model.graph, options);
    const Program program = lower_graph(model.graph, options);
    EXPECT_EQ(measured_bytes(chosen, program), printed_bytes(chosen, program));
    bool recomputes = testing::Value(choices(chosen), testing::Contains("recomputed"));
    EXPECT_EQ(recomputes, bytes < whole);
    expect_same_results(model, {}, options);
  }
  options.memory_budget = MemoryBudget{whole, {}};
  EXPECT_THAT(error_of([&] { lower_graph(model.graph, options); }),
              HasSubstr("a memory budget is for known sizes; give N one"));
  options.memory_budget = MemoryBudget{whole, {{"M", 4}, {"N", 96}}};
  EXPECT_THAT(error_of([&] { lower_graph(model.graph, options); }),
              HasSubstr("a memory budget is for known sizes, and there is no symbol M; the "
                        "model has N"));
}

std::uint64_t least_workspace(const Graph& graph) {
  CompileOptions options;
  options.memory_budget = MemoryBudget{0, kSizes};
  try {
    lower_graph(graph, options);
  } catch (const BudgetError& error) {
    return error.least();
  }
  return 0;
}

// Convolutions, whose copies lie in another order and have other sizes from processor to processor.
Graph convolutions_step() {
  GraphBuilder b("convolutions");
  Var value = b.input("x", DType::f32, {kN, 3, 16, 16});
  std::int64_t channels = 3;
  for (std::int64_t more : {16, 24, 64}) {
    Var w = b.param("w" + std::to_string(more), DType::f32, {more, channels, 3, 3});
    Var bias = b.param("b" + std::to_string(more), DType::f32, {more});
    value = tanh(conv(value, w, bias, {}, {}, {1, 1}, {1, 1}));
    channels = more;
  }
  b.output("loss", reduce_mean(value * value));
  return training_step(b.graph(), parse_optimizer("sgd")).graph;
}

// Convolutions with strides, whose filters' gradients cost most of a step.
Graph strided_step(const std::vector<std::int64_t>& layers, std::int64_t size) {
  GraphBuilder b("strided");
  Var value = b.input("x", DType::f32, {kN, 3, size, size});
  std::int64_t channels = 3;
  for (std::int64_t more : layers) {
    Var w = b.param("w" + std::to_string(more), DType::f32, {more, channels, 4, 4});
    Var bias = b.param("b" + std::to_string(more), DType::f32, {more});
    value = leaky_relu(conv(value, w, bias, {2, 2}, {}, {1, 1}, {1, 1}), 0.2);
    channels = more;
    size /= 2;
  }
  value = conv(value, b.param("w", DType::f32, {1, channels, size, size}));
  b.output("loss", reduce_mean(value * value));
  return training_step(b.graph(), parse_optimizer("sgd")).graph;
}

// Whether something that is computed again may lie as it likes.
bool has_own_layout(const Graph& graph) {
  return std::ranges::any_of(graph.nodes(), [](const Node& node) {
    return node.op->waits_for && node.attributes.boolean("own_layout");
  });
}

// Kernels that sum filters' gradients, with the types of what they read.
std::multiset<std::string> filter_gradients(const Program& program) {
  std::multiset<std::string> result;
  for (const Kernel& kernel : program.kernels) {
    if (!kernel.name.starts_with("conv_filter_gradient")) continue;
    std::string types;
    for (const KernelParameter& parameter : kernel.parameters)
      types += to_string(parameter.type) + " ";
    result.insert(types);
  }
  return result;
}

TEST(Rematerialize, WhatIsComputedAgainLiesAsItDidBefore) {
  const Graph step = strided_step({64, 128, 256, 512}, 64);
  const Dim::Bindings sizes{{"N", 16}};
  const Program whole = lower_graph(step);
  CompileOptions options;
  options.memory_budget = MemoryBudget{18'000'000, sizes};
  ASSERT_GT(workspace_bytes(whole, sizes).value(), options.memory_budget->bytes);
  const Graph chosen = optimize(step, options);
  const Program within = lower_graph(step, options);
  EXPECT_LE(workspace_bytes(within, sizes).value(), options.memory_budget->bytes);
  std::vector<std::string> made;
  for (const KeptValue& value : kept_values(chosen, within)) made.push_back(value.choice);
  EXPECT_THAT(made, testing::Contains("recomputed"));
  EXPECT_FALSE(has_own_layout(chosen));
  EXPECT_EQ(filter_gradients(within), filter_gradients(whole));
}

// Where no other way is within the budget, it may lie in an order of its own.
TEST(Rematerialize, WhatIsComputedAgainMayLieInAnotherOrderForLess) {
  const Graph step = strided_step({128, 256}, 32);
  CompileOptions options;
  options.target = {"x86_64-linux-gnu", "x86-64-v4", {}};
  options.memory_budget = MemoryBudget{7'600'000, {{"N", 16}}};
  EXPECT_LE(workspace_bytes(lower_graph(step, options), {{"N", 16}}).value(),
            options.memory_budget->bytes);
  EXPECT_TRUE(has_own_layout(optimize(step, options)));
}

TEST(Rematerialize, ABudgetHoldsOnTheProcessorThatCodeIsFor) {
  const Graph step = convolutions_step();
  for (const char* cpu : {"x86-64", "x86-64-v3", "x86-64-v4"}) {
    CompileOptions options;
    options.orders_state = true;
    options.target = {"x86_64-linux-gnu", cpu, {}};
    auto workspace = [&] { return workspace_bytes(lower_graph(step, options), kSizes).value(); };
    const std::uint64_t whole = workspace();
    std::uint64_t least = 0;
    options.memory_budget = MemoryBudget{0, kSizes};
    try {
      lower_graph(step, options);
    } catch (const BudgetError& error) {
      least = error.least();
    }
    ASSERT_LT(least, whole) << cpu;
    for (std::uint64_t bytes : {least, least + (whole - least) / 2, whole - 1}) {
      options.memory_budget->bytes = bytes;
      EXPECT_LE(workspace(), bytes) << cpu;
    }
    options.memory_budget->bytes = least - 1;
    EXPECT_THROW(lower_graph(step, options), BudgetError) << cpu;
  }
}

// Layers in training, of which each has batch statistics, running ones as state, an activation and
// random zeros behind it, or some of that.
Model network_with_state(std::mt19937_64& random) {
  GraphBuilder b("layers");
  Var h = b.input("x", DType::f32, {kN, 3, 8, 8});
  std::int64_t channels = 3;
  for (int i = 0; i < 4; ++i) {
    auto param = [&](const std::string& name, Shape shape, Initializer initializer) {
      return b.param(name + std::to_string(i), DType::f32, std::move(shape),
                     std::move(initializer));
    };
    std::int64_t more = 4 + 4 * static_cast<std::int64_t>(random() % 2);
    h = i == 0 ? conv(h, param("w", {more, channels, 3, 3}, {"he"}), Var(), {}, {}, {1, 1}, {1, 1})
               : conv(h, param("w", {more, channels, 1, 1}, {"he"}));
    channels = more;
    if (random() % 4 != 0)
      h = batch_norm(h, param("scale", {more}, {"uniform"}), param("bias", {more}, {"uniform"}),
                     param("mean", {more}, {"zeros"}),
                     param("variance", {more}, {"constant", {{"value", 1.0}}}));
    double slope = static_cast<double>(random() % 5) / 4 - 0.5;
    h = random() % 3 == 0 ? silu(h) : leaky_relu(h, slope);
    if (random() % 2 == 0) h = dropout(h, Var(), 0.25);
  }
  b.output("loss", reduce_mean(h * h));
  Model model = b.finish();
  initialize(model, {}, 11);
  return model;
}

// What the table says of a training step with state, statistics of the batch and random zeros is
// what its program keeps, whatever the budget, and the steps have the same bits.
TEST(Rematerialize, StepsWithStateKeepWhatIsPrinted) {
  std::size_t with_random = 0, with_statistics = 0, recomputed = 0;
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    Model model = network_with_state(random);
    Optimizer optimizer = parse_optimizer(seed % 2 == 0 ? "adam" : "momentum");
    Graph step = training_step(model.graph, optimizer).graph;
    const Graph form = training_form(model.graph).graph;
    for (const Node& node : form.nodes()) {
      with_random += node.op->name == "dropout" ? 1 : 0;
      with_statistics += node.op->name == "batch_norm_training" ? 1 : 0;
    }
    std::uint64_t least = least_workspace(step);
    std::uint64_t whole = workspace_bytes(lower_graph(step), kSizes).value();
    ASSERT_LT(least, whole);
    std::vector<std::uint64_t> budgets{least, whole};
    for (int i = 0; i < 3; ++i) budgets.push_back(least + random() % (whole - least));
    for (std::uint64_t bytes : budgets) {
      SCOPED_TRACE(bytes);
      CompileOptions options;
      options.memory_budget = MemoryBudget{bytes, kSizes};
      Graph chosen = optimize(step, options);
      Program program = lower(chosen, {});
      EXPECT_LE(workspace_bytes(program, kSizes).value(), bytes);
      EXPECT_EQ(printed_bytes(chosen, program), measured_bytes(chosen, program));
      for (const std::string& choice : choices(chosen)) recomputed += choice == "recomputed";
    }
    // Of all in between, the steps of one. A trainer orders its state, and has a least of its own.
    if (seed > 1) continue;
    CompileOptions options;
    options.memory_budget = MemoryBudget{budgets[2], kSizes};
    Trainer trainer(model, optimizer), within(model, optimizer, {}, options);
    test::Generator generator(seed);
    for (int i = 0; i < 3; ++i) {
      std::vector<Tensor> x{test::random_tensor(DType::f32, {96, 3, 8, 8}, generator)};
      EXPECT_EQ(trainer.step(x, 0.01), within.step(x, 0.01));
    }
    for (const StateVariable& variable : trainer.state())
      EXPECT_TRUE(compare(trainer.read(variable.name), within.read(variable.name)).identical)
          << variable.name;
  }
  EXPECT_GT(with_random, 0U);
  EXPECT_GT(with_statistics, 0U);
  EXPECT_GT(recomputed, 0U);
}

// Stacks of random layers, under a budget between the least and all of it: the same bits.
TEST(Rematerialize, RandomNetworksKeepTheirBits) {
  std::size_t recomputed = 0;
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    Model model = network(5, [&](Var x) {
      switch (random() % 7) {
        case 0:
          return leaky_relu(x, static_cast<double>(random() % 5) / 4 - 0.5);
        case 1:
          return relu(x);
        case 2:
          return x + silu(x);
        case 3:
          return softmax(x) * x;
        case 4:
          return layer_norm(x);
        case 5:
          return dropout(x, x.builder().constant(Tensor(DType::i64, {})), 0.25);
        default:
          return maximum(x, sigmoid(leaky_relu(x, 0.1)));
      }
    });
    CompileOptions options;
    std::uint64_t least = least_workspace(model.graph);
    options.memory_budget = MemoryBudget{least + (workspace_of(model, {}) - least) / 3, kSizes};
    expect_same_results(model, without_choice(), options);
    for (const std::string& choice : choices(optimize(model.graph, options)))
      recomputed += choice == "recomputed" ? 1 : 0;
  }
  EXPECT_GT(recomputed, 0U);
}

// What is given up is computed again from the beginning, along a chain that no stack could hold.
TEST(Rematerialize, RecomputesAChainOfAHundredThousandNodes) {
  constexpr std::size_t kNodes = 100000;
  GraphBuilder b("chain");
  Var x = b.input("x", DType::f32, {4});
  for (std::size_t i = 0; i < kNodes; ++i) x = tanh(x);
  b.output("y", x);
  std::vector<std::string> wrt{"x"};
  Graph graph = gradient(b.finish().graph, wrt);
  std::vector<Dim> bytes;
  for (std::uint32_t i = 0; i < graph.value_count(); ++i)
    bytes.push_back(element_count(graph.type({i}).shape) * Dim(4));
  Recomputer recomputer(graph, true, kSizes, bytes);
  std::size_t count = recomputer.candidates();
  EXPECT_GT(count, kNodes - 64);  // the gradients of the last ones are in their kernel
  Graph again = recomputer.run(count, false);
  EXPECT_EQ(std::count_if(again.nodes().begin(), again.nodes().end(),
                          [](const Node& node) {
                            return node.location.note.starts_with(kRecomputationOf) &&
                                   node.op->pointwise;
                          }),
            static_cast<std::ptrdiff_t>(kNodes - 1));
}

TEST(Rematerialize, LeavesAGraphWithoutABackwardPassAlone) {
  Graph graph = test::parse("graph @g(%x: f32[N]) -> (f32[N]) {\n  %y = relu(%x)\n  return %y\n}");
  CompileOptions options;
  options.memory_budget = MemoryBudget{0, kSizes};
  EXPECT_EQ(print(optimize(graph, options)), print(graph));
}

}  // namespace
}  // namespace weir
