// Training steps against PyTorch's: three models, one with a negative slope, each optimizer, f32
// and f64, 20 steps on batches of digits. Losses, the gradients of the first step and the
// parameters after the last one, all elements of each, are within 1e-4 (f32) and 1e-9 (f64) of the
// largest of PyTorch's.
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "compiler/autodiff/gradient.h"
#include "compiler/frontend/tensor_file.h"
#include "compiler/trainer.h"
#include "ir/builder_ops.h"

namespace weir {
namespace {

constexpr std::int64_t kBatchRows = 32, kSteps = 20;

struct ReferenceRun {
  std::string model, optimizer;
  DType type;
  std::string type_name() const { return type == DType::f32 ? "float32" : "float64"; }
  std::string name() const { return model + "_" + optimizer + "_" + type_name(); }
};
void PrintTo(const ReferenceRun& run, std::ostream* out) { *out << run.name(); }

struct Rule {
  std::string optimizer;
  double rate;
};

// As generate.py has them.
Rule rule_of(const std::string& optimizer) {
  static const std::map<std::string, Rule> rules{
      {"sgd", {"sgd", 0.1}},
      {"sgd_weight_decay", {"sgd:weight_decay=0.01", 0.1}},
      {"momentum", {"momentum", 0.05}},
      {"nesterov", {"nesterov", 0.05}},
      {"adam", {"adam", 0.01}},
      {"adamw", {"adamw:weight_decay=0.05", 0.01}},
      {"rmsprop", {"rmsprop", 0.001}},
      {"adagrad", {"adagrad", 0.05}}};
  return rules.at(optimizer);
}

const Weights& kept_runs() {
  static const Weights runs = read_tensors(WEIR_SOURCE_DIR "/tests/data/torch_reference/runs.npz");
  return runs;
}

Tensor scaled_in_type(const Tensor& tensor, DType type, double scale = 1) {
  Tensor result(type, tensor.sizes());
  for (std::int64_t i = 0; i < tensor.element_count(); ++i)
    result.set_bits(
        i, scalar::bits_of(type, scalar::to_double(tensor.dtype(), tensor.bits(i)) * scale));
  return result;
}

Model make_model(const ReferenceRun& run) {
  GraphBuilder builder(run.model);
  auto param = [&](const std::string& name) {
    const std::string start = (run.model == "conv" ? "conv" : "mlp") + std::string(".init.");
    return builder.param(name, scaled_in_type(kept_runs().at(start + name), run.type));
  };
  Dim n = Dim::symbol("N");
  Var x = builder.input("x", run.type, {n, 64});
  Var logits;
  if (run.model == "conv") {
    Var h = reshape(x, {n, 1, 8, 8});
    for (const char* layer : {"0", "3"}) {
      Var w = param(layer + std::string(".weight")), b = param(layer + std::string(".bias"));
      h = leaky_relu(conv(h, w, b, {}, {}, {1, 1}, {1, 1}), 0.1);
      h = max_pool(h, {2, 2}, {2, 2});
    }
    logits = linear(reshape(h, {n, 64}), param("7.weight"), param("7.bias"));
  } else {
    Var h = linear(x, param("0.weight"), param("0.bias"));
    h = leaky_relu(h, run.model == "neg" ? -0.5 : 0.01);
    logits = linear(h, param("2.weight"), param("2.bias"));
  }
  builder.output("loss", cross_entropy(logits, builder.input("t", DType::i64, {n})));
  return builder.finish();
}

void expect_kept(const Tensor& actual, const std::string& name, double tolerance) {
  const Tensor& wanted = kept_runs().at(name);
  Difference difference =
      compare(scaled_in_type(actual, DType::f64), scaled_in_type(wanted, DType::f64));
  EXPECT_LE(difference.largest, tolerance * difference.largest_reference) << name;
}

// The rows of one batch; a view.
Tensor batch_of(const Tensor& all, std::int64_t step) {
  Tensor::Sizes sizes = all.sizes();
  std::size_t bytes = all.byte_count() / static_cast<std::size_t>(sizes[0]);
  sizes[0] = kBatchRows;
  const char* data =
      static_cast<const char*>(all.data()) + bytes * static_cast<std::size_t>(step * kBatchRows);
  return Tensor::shared(all.dtype(), sizes, std::make_shared<Tensor>(all), data);
}

class TorchReference : public testing::TestWithParam<ReferenceRun> {};

TEST_P(TorchReference, IsMet) {
  const ReferenceRun& run = GetParam();
  Model model = make_model(run);
  Rule rule = rule_of(run.optimizer);
  double tolerance = run.type == DType::f32 ? 1e-4 : 1e-9;
  Tensor x = scaled_in_type(kept_runs().at("x"), run.type, 1.0 / 16);
  const Tensor& t = kept_runs().at("t");
  std::vector<std::string> params;
  for (ValueId id : model.graph.params()) params.push_back(model.graph.value(id).name);
  // They are the same for every optimizer.
  if (run.optimizer == "sgd") {
    std::vector<Tensor> first =
        compile({gradient(model.graph, params), model.weights})
            .run(NamedTensors{{"x", batch_of(x, 0)}, {"t", batch_of(t, 0)}});
    for (std::size_t i = 0; i < params.size(); ++i)
      expect_kept(first[i + 1], run.model + "_" + run.type_name() + ".grad0." + params[i],
                  tolerance);
  }
  Trainer trainer(std::move(model), parse_optimizer(rule.optimizer));
  Tensor losses(DType::f64, {kSteps});
  for (std::int64_t step = 0; step < kSteps; ++step) {
    double loss =
        trainer.step(NamedTensors{{"x", batch_of(x, step)}, {"t", batch_of(t, step)}}, rule.rate);
    losses.set_bits(step, scalar::bits_of(DType::f64, loss));
  }
  expect_kept(losses, run.name() + ".loss", tolerance);
  for (const std::string& name : params)
    expect_kept(trainer.read(name), run.name() + ".final." + name, tolerance);
}

std::vector<ReferenceRun> all_reference_runs() {
  std::vector<ReferenceRun> runs;
  for (const char* model : {"mlp", "conv", "neg"})
    for (const char* optimizer :
         {"sgd", "sgd_weight_decay", "momentum", "nesterov", "adam", "adamw", "rmsprop", "adagrad"})
      for (DType type : {DType::f32, DType::f64}) runs.push_back({model, optimizer, type});
  return runs;
}

INSTANTIATE_TEST_SUITE_P(Runs, TorchReference, testing::ValuesIn(all_reference_runs()),
                         [](const auto& instance) { return instance.param.name(); });

}  // namespace
}  // namespace weir
