// Second derivatives in training: the step of a WGAN-GP critic with LeakyReLU, whose loss has the
// norm of the critic's own gradient in it, against PyTorch's numbers.
#include <gtest/gtest.h>

#include "compiler/autodiff/gradient.h"
#include "compiler/frontend/tensor_file.h"
#include "compiler/trainer.h"
#include "ir/builder_ops.h"
#include "tests/support/in_type.h"

namespace weir {
namespace {

const Weights& reference() {
  static const Weights steps =
      read_tensors(WEIR_SOURCE_DIR "/tests/data/gradient_penalty/steps.npz");
  return steps;
}

struct Critic {
  Var w1, b1, w2, b2;
  Var operator()(Var x) const { return linear(leaky_relu(linear(x, w1, b1), 0.2), w2, b2); }
};

// The graph of the gradient is a graph like any other: the loss is built on top of it.
Model critic_with_penalty(DType type) {
  GraphBuilder inner("critic");
  Weights weights;
  auto param = [&](const std::string& name) {
    weights.emplace(name, in_type(reference().at("init." + name), type));
    return inner.param(name, type, weights.at(name).type().shape);
  };
  Critic critic{param("w1"), param("b1"), param("w2"), param("b2")};
  Dim n = Dim::symbol("N");
  Var real = inner.input("real", type, {n, 6}), fake = inner.input("fake", type, {n, 6});
  inner.output("difference", reduce_mean(critic(fake)) - reduce_mean(critic(real)));
  inner.output("score", critic(inner.input("between", type, {n, 6})));
  std::vector<std::string> wrt{"between"};
  GraphBuilder outer(gradient(inner.graph(), wrt, {{"score"}}));
  auto output = [&](std::size_t i) { return Var(outer, outer.graph().outputs()[i].value); };
  Var slope = output(2);
  Var excess = sqrt(reduce_sum(slope * slope, {1})) - 1;
  outer.output("loss", output(0) + 10 * reduce_mean(excess * excess));
  return {std::move(outer.graph()), std::move(weights)};
}

void expect_near(const Tensor& actual, const Tensor& wanted, double tolerance,
                 const std::string& what) {
  Difference difference = compare(in_type(actual, DType::f64), wanted);
  EXPECT_LE(difference.largest, tolerance * std::max(difference.largest_reference, 1e-3)) << what;
}

Tensor rows_of(const std::string& name, std::int64_t step, DType type) {
  const Tensor& all = reference().at(name);
  Tensor::Sizes sizes{all.sizes()[1], all.sizes()[2]};
  std::int64_t count = sizes[0] * sizes[1];
  Tensor rows(DType::f64, sizes);
  for (std::int64_t i = 0; i < count; ++i) rows.set_bits(i, all.bits(step * count + i));
  return in_type(rows, type);
}

class GradientPenalty : public testing::TestWithParam<DType> {};

TEST_P(GradientPenalty, IsTrainedAsPyTorchDoes) {
  DType type = GetParam();
  double tolerance = type == DType::f32 ? 1e-4 : 1e-9;
  Model model = critic_with_penalty(type);
  const std::vector<std::string> params{"w1", "b1", "w2", "b2"};
  auto batch = [&](std::int64_t step) {
    NamedTensors inputs;
    for (const char* name : {"real", "fake", "between"})
      inputs.emplace(name, rows_of(name, step, type));
    return inputs;
  };
  Graph with_gradients = gradient(model.graph, params, {{"loss"}});
  std::vector<Tensor> first = compile({with_gradients, model.weights}).run(batch(0));
  for (std::size_t i = 0; i < params.size(); ++i)
    expect_near(first[first.size() - params.size() + i], reference().at("grad0." + params[i]),
                tolerance, "gradient of " + params[i]);
  Trainer trainer(std::move(model), parse_optimizer("adam:beta1=0.5,beta2=0.9"));
  for (std::int64_t step = 0; step < 4; ++step) {
    double wanted = reference().at("loss").elements<double>()[static_cast<std::size_t>(step)];
    EXPECT_NEAR(trainer.step(batch(step), 0.01), wanted, tolerance * std::abs(wanted));
  }
  for (const std::string& name : params)
    if (name != "b2")  // its gradient is nothing but rounding, which Adam makes a whole step of
      expect_near(trainer.read(name), reference().at("final." + name), tolerance, name);
}

INSTANTIATE_TEST_SUITE_P(Types, GradientPenalty, testing::Values(DType::f32, DType::f64),
                         [](const auto& instance) {
                           return std::string(instance.param == DType::f32 ? "f32" : "f64");
                         });

}  // namespace
}  // namespace weir
