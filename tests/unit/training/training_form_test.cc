// What a model does in training alone: batch_norm with the statistics of the batch, against
// PyTorch's numbers, and dropout, against the published generator, the formula of its statistics
// and itself at every number of threads.
#include "compiler/autodiff/training_form.h"

#include <array>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/autodiff/gradient.h"
#include "compiler/frontend/tensor_file.h"
#include "compiler/initialize.h"
#include "compiler/trainer.h"
#include "ir/builder_ops.h"
#include "ir/interpreter.h"
#include "runtime/thread_pool.h"
#include "tests/support/graphs.h"

namespace weir {
namespace {

using test::error_of;
using ::testing::HasSubstr;

// --- batch_norm ---------------------------------------------------------------

const Weights& form_reference() {
  static const Weights steps = read_tensors(WEIR_SOURCE_DIR "/tests/data/batch_norm/steps.npz");
  return steps;
}

Tensor cast_to(const Tensor& tensor, DType type) {
  Tensor result(type, tensor.sizes());
  for (std::int64_t i = 0; i < tensor.element_count(); ++i)
    result.set_bits(i, scalar::bits_of(type, scalar::to_double(tensor.dtype(), tensor.bits(i))));
  return result;
}

Tensor step_of(const std::string& name, std::int64_t step, DType type) {
  const Tensor& all = form_reference().at(name);
  Tensor::Sizes sizes(all.sizes().begin() + 1, all.sizes().end());
  Tensor result(type, sizes);
  for (std::int64_t i = 0; i < result.element_count(); ++i)
    result.set_bits(
        i,
        scalar::bits_of(
            type,
            all.elements<double>()[static_cast<std::size_t>(step * result.element_count() + i)]));
  return result;
}

Model model_with_batch_norm(DType type) {
  GraphBuilder b("normalized");
  Dim n = Dim::symbol("N");
  auto param = [&](const std::string& name) {
    return b.param(name, cast_to(form_reference().at("init." + name), type));
  };
  Var x = b.input("x", type, {n, 2, 4, 4}), target = b.input("target", type, {n, 3});
  Var h = conv(x, param("filter"));
  h = batch_norm(h, param("scale"), param("bias"), param("mean"), param("variance"), 1e-3, 0.75);
  h = reduce_mean(leaky_relu(h, -0.2), {2, 3});
  Var y = linear(h, param("w"), param("b"));
  b.output("y", y);
  b.output("loss", mse_loss(y, target));
  return b.finish();
}

void expect_within(const Tensor& actual, const Tensor& wanted, double tolerance,
                   const std::string& what) {
  Difference difference = compare(cast_to(actual, DType::f64), wanted);
  EXPECT_LE(difference.largest, tolerance * difference.largest_reference) << what;
}

TEST(BatchNorm, TrainsAsInPyTorch) {
  for (auto [type, tolerance] : {std::pair(DType::f64, 1e-9), {DType::f32, 1e-4}}) {
    Trainer trainer(model_with_batch_norm(type), {"momentum"});
    std::int64_t steps = form_reference().at("loss").element_count();
    for (std::int64_t step = 0; step < steps; ++step) {
      double loss = trainer.step(
          std::vector<Tensor>{step_of("x", step, type), step_of("target", step, type)}, 0.1);
      double wanted =
          form_reference().at("loss").elements<double>()[static_cast<std::size_t>(step)];
      EXPECT_NEAR(loss, wanted, tolerance * wanted) << step;
    }
    for (const char* name : {"filter", "scale", "bias", "w", "b", "mean", "variance"})
      expect_within(trainer.read(name), form_reference().at(std::string("final.") + name),
                    tolerance, name);
    // Evaluation normalizes by what was gathered, and gathers nothing.
    std::vector<Tensor> outputs = trainer.evaluate(
        std::vector<Tensor>{step_of("x", steps - 1, type), step_of("target", steps - 1, type)});
    expect_within(outputs[0], form_reference().at("evaluated"), tolerance, "evaluated");
    expect_within(trainer.read("mean"), form_reference().at("final.mean"), tolerance, "mean");
    expect_within(trainer.model().weights.at("variance"), form_reference().at("final.variance"),
                  tolerance, "variance");
  }
}

TEST(BatchNorm, StatisticsAreNotTrained) {
  Model model = model_with_batch_norm(DType::f32);
  EXPECT_THAT(error_of([&] { training_step(model.graph, {"adamw"}, {.trained = {"mean"}}); }),
              HasSubstr("%mean is updated by the model itself, and cannot be trained"));
  TrainingStep step = training_step(model.graph, {"adamw"});
  EXPECT_TRUE(step.graph.find("scale.mean").valid());
  EXPECT_FALSE(step.graph.find("mean.mean").valid());
}

// --- Random numbers ------------------------------------------------------------

// As published, with the authors' known answers.
std::array<std::uint32_t, 2> threefry(std::uint32_t x, std::uint32_t y, std::uint32_t key0,
                                      std::uint32_t key1) {
  auto rotated = [](std::uint32_t v, int bits) { return v << bits | v >> (32 - bits); };
  const std::uint32_t keys[] = {key0, key1, key0 ^ key1 ^ 0x1BD11BDAU};
  constexpr int kRotations[] = {13, 15, 26, 6, 17, 29, 16, 24};
  x += keys[0], y += keys[1];
  for (std::uint32_t round = 0; round < 20; ++round) {
    x += y;
    y = rotated(y, kRotations[round % 8]) ^ x;
    if (round % 4 == 3) {
      std::uint32_t k = round / 4 + 1;
      x += keys[k % 3], y += keys[(k + 1) % 3] + k;
    }
  }
  return {x, y};
}

TEST(RandomUniform, IsThePublishedGenerator) {
  using Words = std::array<std::uint32_t, 2>;
  EXPECT_EQ(threefry(0, 0, 0, 0), (Words{0x6b200159, 0x99ba4efe}));
  EXPECT_EQ(threefry(~0U, ~0U, ~0U, ~0U), (Words{0x1cb996fc, 0xbb002be7}));
  EXPECT_EQ(threefry(0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344),
            (Words{0xc4923a9c, 0x483df7a0}));
  const std::int64_t seed = 0x0370734413198a2e, counter = 0x85a308d3;
  GraphBuilder b;
  Var c = b.input("c", DType::i64, {});
  Attributes attributes{{"shape", Shape{11, 97}}, {"seed", seed}};
  b.output("single", b.apply("random_uniform", {c}, attributes));
  attributes.set("dtype", DType::f64);
  b.output("double", b.apply("random_uniform", {c}, attributes));
  std::vector<Tensor> numbers =
      compile(b.finish()).run(std::vector<Tensor>{Tensor::from<std::int64_t>({counter}, {})});
  for (std::uint32_t i = 0; i < 11 * 97; ++i) {
    auto [x, y] = threefry(i, 0x85a308d3, 0x13198a2e, 0x03707344);
    EXPECT_EQ(numbers[0].elements<float>()[i], static_cast<float>(x >> 8) * 0x1p-24F) << i;
    EXPECT_EQ(numbers[1].elements<double>()[i], ((x >> 5) * 0x1p26 + (y >> 6)) * 0x1p-53) << i;
  }
}

// Of n elements, about p * n are zero: the number has the standard deviation sqrt(n p (1 - p)).
TEST(Dropout, DropsAsManyAsItSays) {
  GraphBuilder b;
  Var c = b.input("c", DType::i64, {});
  Var x = b.input("x", DType::f32, {200, 500});
  for (double p : {0.1, 0.5, 0.9}) b.output("y" + std::to_string(p), dropout(x, c, p));
  Executable executable = compile(b.finish());
  Tensor ones(DType::f32, {200, 500});
  for (float& element : ones.mutable_elements<float>()) element = 1;
  constexpr double kCount = 100'000;
  std::vector<Tensor> before;
  for (std::int64_t counter = 0; counter < 3; ++counter) {
    std::vector<Tensor> outputs =
        executable.run(std::vector<Tensor>{Tensor::from<std::int64_t>({counter}, {}), ones});
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      double p = std::array{0.1, 0.5, 0.9}[i], zeros = 0, same = 0;
      for (std::size_t k = 0; k < static_cast<std::size_t>(kCount); ++k) {
        float y = outputs[i].elements<float>()[k];
        if (y == 0) {
          ++zeros;
        } else {
          EXPECT_FLOAT_EQ(y, static_cast<float>(1 / (1 - p)));
        }
        if (!before.empty() && (y == 0) == (before[i].elements<float>()[k] == 0)) ++same;
      }
      auto deviation = [](double q) { return std::sqrt(kCount * q * (1 - q)); };
      EXPECT_NEAR(zeros, p * kCount, 5 * deviation(p));
      // Another counter drops others: alike are both zero, or neither.
      double alike = p * p + (1 - p) * (1 - p);
      if (!before.empty()) {
        EXPECT_NEAR(same, alike * kCount, 5 * deviation(alike));
      }
    }
    before = std::move(outputs);
  }
}

Model model_with_dropout() {
  Model model{test::parse(R"(graph @dropping(%x: f32[N, 6], %t: f32[N, 6]) -> (f32[N, 6], f32[]) {
  param %w1: f32[6, 6] = he
  param %w2: f32[6, 6] = he
  %0 = linear(%x, %w1)
  %1 = leaky_relu(%0)
  %2 = dropout(%1) {probability = 0.25}
  %3 = linear(%2, %w2)
  %y = dropout(%3) {probability = 0.25}
  %loss = mse_loss(%y, %t)
  return %y, %loss
})"),
              {}};
  initialize(model, {}, 5);
  return model;
}

std::vector<Tensor> batch_of(std::uint64_t seed) {
  test::Generator generator(seed);
  return {test::random_tensor(DType::f32, {64, 6}, generator),
          test::random_tensor(DType::f32, {64, 6}, generator)};
}

TEST(Dropout, IsStateThatAnInterruptionKeeps) {
  Trainer trainer(model_with_dropout(), {"adam"}, {.outputs = {"y"}});
  Trainer threads(model_with_dropout(), {"adam"}, {.outputs = {"y"}});
  ThreadPool pool(3);
  for (std::uint64_t i = 0; i < 4; ++i) {
    double loss = trainer.step(batch_of(i), 0.01);
    EXPECT_EQ(loss, threads.step(batch_of(i), 0.01, &pool.executor()));
    EXPECT_TRUE(compare(trainer.results()[0], threads.results()[0]).identical);
  }
  EXPECT_EQ(trainer.read("random.counter").elements<std::int64_t>()[0], 4);
  Trainer again(model_with_dropout(), {"adam"}, {.outputs = {"y"}});
  again.write_state(trainer.read_state());
  EXPECT_EQ(again.step(batch_of(9), 0.01), trainer.step(batch_of(9), 0.01));
  EXPECT_TRUE(compare(again.results()[0], trainer.results()[0]).identical);
  // Evaluation drops nothing and counts nothing.
  std::vector<Tensor> evaluated = trainer.evaluate(batch_of(9));
  for (float y : evaluated[0].elements<float>()) EXPECT_NE(y, 0);
  EXPECT_EQ(trainer.read("random.counter").elements<std::int64_t>()[0], 5);
}

// The two layers draw apart from each other, and the step is what the interpreter says.
TEST(Dropout, CompiledAsInterpreted) {
  Model model = model_with_dropout();
  TrainingStep step = training_step(model.graph, {"sgd"}, {.outputs = {"y"}});
  Weights weights = model.weights;
  weights.insert(step.initial.begin(), step.initial.end());
  std::vector<Tensor> inputs = batch_of(1);
  NamedTensors named{
      {"x", inputs[0]}, {"t", inputs[1]}, {"learning_rate", Tensor::from<float>({0.5F}, {})}};
  std::vector<Tensor> expected = interpret(step.graph, weights, named);
  Trainer trainer(model, {"sgd"}, {.outputs = {"y"}});
  trainer.step(inputs, 0.5);
  std::int64_t zeros = 0;
  for (std::int64_t i = 0; i < 64 * 6; ++i) {
    float wanted = expected[1].elements<float>()[static_cast<std::size_t>(i)];
    float given = trainer.results()[0].elements<float>()[static_cast<std::size_t>(i)];
    EXPECT_EQ(wanted == 0, given == 0) << i;
    EXPECT_NEAR(given, wanted, 1e-5 * std::abs(wanted) + 1e-6) << i;
    zeros += given == 0 ? 1 : 0;
  }
  EXPECT_NEAR(static_cast<double>(zeros), 96, 5 * std::sqrt(64 * 6 * 0.25 * 0.75));
  std::vector<std::int64_t> seeds;
  const Graph form = training_form(model.graph).graph;
  for (const Node& node : form.nodes())
    if (node.op->name == "dropout") seeds.push_back(node.attributes.integer("seed"));
  EXPECT_EQ(seeds, (std::vector<std::int64_t>{0, std::int64_t{1} << 32}));
}

}  // namespace
}  // namespace weir
