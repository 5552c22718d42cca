// Compiles the training step of a WGAN-GP critic into an object: the loss has the norm of the
// critic's own gradient in it, so the step holds second derivatives.
//
// Usage: make_critic REFERENCE.npz FOLDER, which gets critic.o and critic.h.
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "compiler/aot/model_programs.h"
#include "compiler/autodiff/gradient.h"
#include "compiler/frontend/file.h"
#include "compiler/frontend/tensor_file.h"
#include "ir/builder_ops.h"

namespace {

using weir::DType;
using weir::Tensor;
using weir::Var;

constexpr std::int64_t kFeatures = 6;

// The parameter's first value, in f32.
Tensor first_value(const weir::Weights& reference, const std::string& name) {
  const Tensor& value = reference.at("init." + name);
  Tensor result(DType::f32, value.sizes());
  for (std::int64_t i = 0; i < value.element_count(); ++i)
    result.mutable_elements<float>()[static_cast<std::size_t>(i)] =
        static_cast<float>(value.elements<double>()[static_cast<std::size_t>(i)]);
  return result;
}

// The graph of the gradient is a graph like any other: the loss is built on top of it.
weir::Model critic_with_penalty(const weir::Weights& reference) {
  weir::GraphBuilder inner("critic");
  weir::Weights weights;
  auto param = [&](const std::string& name) {
    weights.emplace(name, first_value(reference, name));
    return inner.param(name, DType::f32, weights.at(name).type().shape);
  };
  Var w1 = param("w1"), b1 = param("b1"), w2 = param("w2"), b2 = param("b2");
  auto critic = [&](Var x) { return linear(leaky_relu(linear(x, w1, b1), 0.2), w2, b2); };
  auto input = [&](const char* name) {
    return inner.input(name, DType::f32, {weir::Dim::symbol("N"), kFeatures});
  };
  Var real = input("real"), fake = input("fake");
  inner.output("difference", reduce_mean(critic(fake)) - reduce_mean(critic(real)));
  inner.output("score", critic(input("between")));
  std::vector<std::string> wrt{"between"};
  weir::GraphBuilder outer(weir::gradient(inner.graph(), wrt, {{"score"}}));
  auto output = [&](std::size_t i) { return Var(outer, outer.graph().outputs()[i].value); };
  Var slope = output(2);
  Var excess = sqrt(reduce_sum(slope * slope, {1})) - 1;
  outer.output("loss", output(0) + 10 * reduce_mean(excess * excess));
  return {std::move(outer.graph()), std::move(weights)};
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::fprintf(stderr, "usage: make_critic REFERENCE.npz FOLDER\n");
    return 1;
  }
  weir::Model model = critic_with_penalty(weir::read_tensors(argv[1]));
  weir::TrainingPrograms training = weir::training_programs(
      model.graph, weir::parse_optimizer("adam:beta1=0.5,beta2=0.9"), {.learning_rate = 0.01});
  model.weights.merge(training.initial);
  const std::vector<std::string> names{"step"};
  weir::CompileModelOptions options;
  options.freestanding = true;
  weir::CompiledModel compiled = weir::compile_model(
      weir::chosen_programs(std::move(training.programs), names), model.weights, options);
  weir::write_file(std::string(argv[2]) + "/critic.o", {compiled.code});
  weir::write_file(std::string(argv[2]) + "/critic.h", {compiled.header});
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
