// Gradients that are clipped, by value and by their norm, and labels that are smoothed, over 20
// steps with several optimizers: the losses of all steps and the params after the last one are
// PyTorch's, within 1e-4 (f32) and 1e-9 (f64) of the largest.
#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "compiler/frontend/tensor_file.h"
#include "compiler/trainer.h"
#include "ir/builder_ops.h"
#include "tests/support/in_type.h"

namespace weir {
namespace {

constexpr std::int64_t kClippedSteps = 20;

// As generate.py has them.
struct ClippedRun {
  std::string name;
  Optimizer optimizer;
  double rate;
  double smoothing;
};
void PrintTo(const ClippedRun& run, std::ostream* out) { *out << run.name; }

Optimizer clipped(std::string_view text, double value, double norm) {
  Optimizer optimizer = parse_optimizer(text);
  optimizer.clip_value = value;
  optimizer.clip_norm = norm;
  return optimizer;
}

std::vector<ClippedRun> all_runs() {
  return {{"smooth", clipped("sgd", 0, 0), 0.2, 0.1},
          {"smooth_adam", clipped("adam", 0, 0), 0.01, 0.3},
          {"value", clipped("sgd", 0.05, 0), 0.2, 0},
          {"value_adam", clipped("adam", 0.02, 0), 0.01, 0},
          {"norm", clipped("sgd", 0, 1.8), 0.2, 0},
          {"norm_momentum", clipped("momentum", 0, 1.8), 0.05, 0},
          {"all_adamw", clipped("adamw:weight_decay=0.05", 0.1, 0.95), 0.01, 0.1}};
}

const Weights& clipped_runs() {
  static const Weights runs = read_tensors(WEIR_SOURCE_DIR "/tests/data/clipping/runs.npz");
  return runs;
}

// What a tensor has for one step, in its own type.
Tensor of_step(const Tensor& all, std::int64_t step) {
  Tensor one(all.dtype(), Tensor::Sizes(all.sizes().begin() + 1, all.sizes().end()));
  const std::int64_t count = one.element_count();
  for (std::int64_t i = 0; i < count; ++i) one.set_bits(i, all.bits(step * count + i));
  return one;
}

class ClippingReference : public testing::TestWithParam<std::tuple<ClippedRun, DType>> {};

TEST_P(ClippingReference, IsMet) {
  const auto& [run, type] = GetParam();
  const double tolerance = type == DType::f32 ? 1e-4 : 1e-9;
  const std::vector<std::string> names{"w1", "b1", "w2", "b2"};
  GraphBuilder builder("network");
  std::vector<Var> params;
  for (const std::string& name : names)
    params.push_back(builder.param(name, in_type(clipped_runs().at("init." + name), type)));
  const Dim n = Dim::symbol("N");
  Var h = leaky_relu(linear(builder.input("x", type, {n, 10}), params[0], params[1]), 0.1);
  builder.output("loss", cross_entropy(linear(h, params[2], params[3]),
                                       builder.input("t", DType::i64, {n}), -1, run.smoothing));
  Trainer trainer(builder.finish(), run.optimizer);
  const Tensor& losses = clipped_runs().at(run.name + ".loss");
  for (std::int64_t step = 0; step < kClippedSteps; ++step) {
    const double wanted = losses.elements<double>()[static_cast<std::size_t>(step)];
    const double loss = trainer.step({{"x", in_type(of_step(clipped_runs().at("x"), step), type)},
                                      {"t", of_step(clipped_runs().at("t"), step)}},
                                     run.rate);
    EXPECT_NEAR(loss, wanted, tolerance * std::abs(wanted)) << "step " << step;
  }
  for (const std::string& name : names) {
    const Tensor& wanted = clipped_runs().at(run.name + ".final." + name);
    const Difference difference = compare(in_type(trainer.read(name), DType::f64), wanted);
    EXPECT_LE(difference.largest, tolerance * difference.largest_reference) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Runs, ClippingReference,
                         testing::Combine(testing::ValuesIn(all_runs()),
                                          testing::Values(DType::f32, DType::f64)),
                         [](const auto& instance) {
                           return std::get<0>(instance.param).name + "_" +
                                  to_string(std::get<1>(instance.param));
                         });

}  // namespace
}  // namespace weir
