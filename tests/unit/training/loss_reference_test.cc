// Losses and their gradients against PyTorch's numbers (tests/data/losses), which include the kinks
// of each loss: values within 1e-6 of the largest in f32 and 1e-12 in f64.
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "compiler/autodiff/gradient.h"
#include "compiler/frontend/tensor_file.h"
#include "compiler/pipeline.h"
#include "ir/builder_ops.h"

namespace weir {
namespace {

const Weights& loss_reference() {
  static const Weights losses = read_tensors(WEIR_SOURCE_DIR "/tests/data/losses/losses.npz");
  return losses;
}

Tensor in_loss_type(const Tensor& tensor, DType type) {
  if (!is_float(tensor.dtype())) return tensor;
  Tensor result(type, tensor.sizes());
  for (std::int64_t i = 0; i < tensor.element_count(); ++i)
    result.set_bits(i, scalar::bits_of(type, scalar::to_double(tensor.dtype(), tensor.bits(i))));
  return result;
}

struct LossCase {
  std::string name, op, prediction, target;  // as generate.py has them
  Attributes attributes = {};
};
void PrintTo(const LossCase& loss, std::ostream* out) { *out << loss.name; }

std::vector<LossCase> all_loss_cases() {
  std::vector<LossCase> cases{{"mse", "mse_loss", "number", "wanted"},
                              {"l1", "l1_loss", "number", "wanted"},
                              {"huber", "huber_loss", "number", "wanted"},
                              {"huber_0.375", "huber_loss", "number", "wanted", {{"delta", 0.375}}},
                              {"hinge", "hinge_loss", "score", "side"},
                              {"binary_hard", "binary_cross_entropy", "logit", "truth"},
                              {"binary_soft", "binary_cross_entropy", "logit", "part"},
                              {"binary_far", "binary_cross_entropy", "far_logit", "far_truth"}};
  for (double smoothing : {0.0, 0.1}) {
    std::string suffix = smoothing == 0 ? "_0" : "_0.1";
    for (std::string target : {"label", "one_hot", "probability"})
      cases.push_back(
          {target + suffix, "cross_entropy", "logits", target, {{"label_smoothing", smoothing}}});
    for (std::string target : {"image_label", "image_probability"})
      cases.push_back({target + suffix,
                       "cross_entropy",
                       "image_logits",
                       target,
                       {{"label_smoothing", smoothing}, {"axis", std::int64_t{1}}}});
    cases.push_back({"far_label" + suffix,
                     "cross_entropy",
                     "far_logits",
                     "far_label",
                     {{"label_smoothing", smoothing}}});
  }
  return cases;
}

class LossReference : public testing::TestWithParam<LossCase> {};

void expect_loss(const Tensor& actual, const std::string& name, double tolerance) {
  Difference difference = compare(in_loss_type(actual, DType::f64),
                                  in_loss_type(loss_reference().at(name), DType::f64));
  EXPECT_LE(difference.largest, tolerance * difference.largest_reference) << name;
}

void expect_loss_run(const LossCase& loss, const std::string& reduction, DType type) {
  std::string run = loss.name + "." + reduction + (type == DType::f32 ? ".f32." : ".f64.");
  GraphBuilder builder("loss");
  std::vector<Tensor> inputs;
  auto input = [&](const std::string& name) {
    inputs.push_back(in_loss_type(loss_reference().at(name), type));
    return builder.input(name, inputs.back().dtype(), inputs.back().type().shape);
  };
  Attributes attributes = loss.attributes;
  attributes.set("reduction", reduction);
  Var x = input(loss.prediction), t = input(loss.target);
  Var value = builder.apply(loss.op, {x, t}, attributes);
  builder.output("loss", value);
  if (reduction == "none") value = value * input("weights." + loss.name);
  builder.output("weighted", value);
  std::vector<std::string> wrt{loss.prediction};
  bool has_target = loss_reference().contains(run + "target");
  if (has_target) wrt.push_back(loss.target);
  Graph graph = gradient(builder.graph(), wrt, {{"weighted"}});
  std::vector<Tensor> outputs = compile({std::move(graph), {}}).run(inputs);
  double tolerance = type == DType::f32 ? 1e-6 : 1e-12;
  expect_loss(outputs.at(0), run + "loss", tolerance);
  expect_loss(outputs.at(2), run + "prediction", tolerance);
  if (has_target) expect_loss(outputs.at(3), run + "target", tolerance);
}

TEST_P(LossReference, IsMet) {
  for (const char* reduction : {"mean", "sum", "none"})
    for (DType type : {DType::f32, DType::f64}) expect_loss_run(GetParam(), reduction, type);
}

INSTANTIATE_TEST_SUITE_P(Losses, LossReference, testing::ValuesIn(all_loss_cases()),
                         [](const auto& instance) {
                           std::string name = instance.param.name;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

// None of the file's runs is left out.
TEST(LossReferences, AreAllRun) {
  std::set<std::string> cases;
  for (const LossCase& loss : all_loss_cases()) cases.insert(loss.name);
  std::size_t runs = 0;
  for (const auto& [name, tensor] : loss_reference()) {
    if (!name.ends_with(".loss")) continue;
    ++runs;
    // CASE.REDUCTION.TYPE.loss
    std::size_t end = name.size();
    for (int i = 0; i < 3; ++i) end = name.rfind('.', end - 1);
    EXPECT_TRUE(cases.contains(name.substr(0, end))) << name;
  }
  EXPECT_EQ(runs, cases.size() * 6);
}

}  // namespace
}  // namespace weir
