// What opsets 18 and later changed, and what older ones had: the same meaning in both forms.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ir/interpreter.h"
#include "onnx_models.h"
#include "support.h"

namespace weir::test {
namespace {

using testing::HasSubstr;

Tensor list(std::vector<std::int64_t> values) {
  auto size = static_cast<std::int64_t>(values.size());
  return Tensor::from<std::int64_t>(values, {size});
}

std::vector<Tensor> run(const OnnxModel& model, const Tensor& x) {
  Model loaded = model.load();
  return interpret(loaded.graph, loaded.weights, {{"x", x}});
}

const Tensor kMatrix = Tensor::from<float>({1, -2, 3, 4, 5, -6}, {2, 3});

TEST(OnnxLaterOpsets, OnesThatAreNotKnownAreReadWithAWarning) {
  for (int opset : {26, 27}) {
    OnnxModel model(opset);
    model.input("x", {2, 3}).output("y");
    model.node("Neg", {"x"}, {"y"});
    std::vector<std::string> warnings;
    OnnxOptions options;
    options.warn = [&](const std::string& message) { warnings.push_back(message); };
    model.load(options);
    if (opset == 26) {
      EXPECT_THAT(warnings, testing::IsEmpty());
    } else {
      EXPECT_THAT(warnings,
                  testing::ElementsAre("test.onnx: the model is of opset 27, and the opsets up to "
                                       "26 are known; an op that has changed since is read in its "
                                       "old meaning"));
    }
  }
}

TEST(OnnxLaterOpsets, AxesOfReductionsAreAnAttributeAndThenAnInput) {
  for (const char* op : {"ReduceMax", "ReduceMean", "ReduceProd", "ReduceL1", "ReduceLogSumExp"}) {
    OnnxModel before(13), after(18);
    before.input("x", {2, 3}).output("y");
    auto& old_node = before.node(op, {"x"}, {"y"});
    set_ints(old_node, "axes", {1});
    set_int(old_node, "keepdims", 0);
    after.input("x", {2, 3}).initializer("axes", list({-1})).output("y");
    set_int(after.node(op, {"x", "axes"}, {"y"}), "keepdims", 0);
    EXPECT_EQ(run(before, kMatrix).at(0).to_string(), run(after, kMatrix).at(0).to_string()) << op;
  }
}

TEST(OnnxLaterOpsets, NoAxesMayMeanNoReduction) {
  OnnxModel model(18);
  model.input("x", {2, 3}).initializer("axes", list({})).output("y");
  set_int(model.node("ReduceSum", {"x", "axes"}, {"y"}), "noop_with_empty_axes", 1);
  EXPECT_EQ(run(model, kMatrix).at(0).to_string(), kMatrix.to_string());
}

TEST(OnnxLaterOpsets, BoolsHaveAnExtreme) {
  OnnxModel model(20);
  model.input("x", {2, 2}, onnx::TensorProto::BOOL).initializer("axes", list({1})).output("y");
  set_int(model.node("ReduceMax", {"x", "axes"}, {"y"}), "keepdims", 0);
  EXPECT_EQ(run(model, Tensor::from<bool>({false, true, false, false}, {2, 2})).at(0).to_string(),
            "[true, false]");
}

TEST(OnnxLaterOpsets, ASplitMayBeUneven) {
  OnnxModel model(18);
  model.input("x", {5}).output("a").output("b");
  set_int(model.node("Split", {"x"}, {"a", "b"}), "num_outputs", 2);
  std::vector<Tensor> parts = run(model, Tensor::from<float>({1, 2, 3, 4, 5}, {5}));
  EXPECT_EQ(parts.at(0).to_string(), "[1.0, 2.0, 3.0]");
  EXPECT_EQ(parts.at(1).to_string(), "[4.0, 5.0]");
}

TEST(OnnxLaterOpsets, PadsMayBeOfSomeAxesAndWrapAround) {
  OnnxModel model(19);
  model.input("x", {2, 3}).initializer("pads", list({1, 2})).initializer("axes", list({1}));
  model.output("y");
  set_text(model.node("Pad", {"x", "pads", "", "axes"}, {"y"}), "mode", "wrap");
  EXPECT_EQ(run(model, kMatrix).at(0).to_string(),
            "[[3.0, 1.0, -2.0, 3.0, 1.0, -2.0], [-6.0, 4.0, 5.0, -6.0, 4.0, 5.0]]");
}

TEST(OnnxLaterOpsets, Gelu) {
  for (const char* form : {"none", "tanh"}) {
    OnnxModel model(20);
    model.input("x", {2, 3}).output("y");
    set_text(model.node("Gelu", {"x"}, {"y"}), "approximate", form);
    Tensor y = run(model, kMatrix).at(0);
    for (std::int64_t i = 0; i < 6; ++i) {
      double x = kMatrix.elements<float>()[static_cast<std::size_t>(i)];
      double exact = x / 2 * std::erfc(-x / std::sqrt(2.0));
      double tanh = x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
      EXPECT_NEAR(y.elements<float>()[static_cast<std::size_t>(i)],
                  std::string(form) == "none" ? exact : tanh, 1e-6);
    }
  }
}

TEST(OnnxLaterOpsets, SwishHasAFactor) {
  OnnxModel model(24);
  model.input("x", {2, 3}).output("y");
  set_float(model.node("Swish", {"x"}, {"y"}), "alpha", 2);
  Tensor y = run(model, kMatrix).at(0);
  for (std::size_t i = 0; i < 6; ++i) {
    double x = kMatrix.elements<float>()[i];
    EXPECT_NEAR(y.elements<float>()[i], x / (1 + std::exp(-2 * x)), 1e-6);
  }
}

// The numbers are those of torch.nn.functional.interpolate(..., antialias=True) in f64.
TEST(OnnxLaterOpsets, ResizeMaySmoothWhatItMakesSmaller) {
  const std::pair<const char*, std::vector<double>> forms[] = {
      {"linear", {2.052631578947368, 13.452380952380953, 35.57894736842105}},
      {"cubic", {1.0357935216683918, 12.718559656037264, 37.485283242123955}}};
  for (const auto& [mode, expected] : forms) {
    OnnxModel model(18);
    model.input("x", {1, 1, 1, 8}).initializer("sizes", list({3})).output("y");
    auto& node = model.node("Resize", {"x", "", "", "sizes"}, {"y"});
    set_text(node, "mode", mode);
    set_int(node, "antialias", 1);
    set_int(node, "exclude_outside", 1);
    set_float(node, "cubic_coeff_a", -0.5);
    set_ints(node, "axes", {3});
    Tensor y = run(model, Tensor::from<float>({0, 1, 4, 9, 16, 25, 36, 49}, {1, 1, 1, 8})).at(0);
    for (std::size_t i = 0; i < 3; ++i)
      EXPECT_NEAR(y.elements<float>()[i], expected[i], 1e-5) << mode;
  }
}

// A bound of [4, 7] for [2, 3] leaves a scale of 2, and half of an element is rounded up.
TEST(OnnxLaterOpsets, ResizeMayKeepTheRatio) {
  for (auto [sizes, width] : {std::pair(list({4, 7}), 6), std::pair(list({3, 9}), 5)}) {
    OnnxModel model(18);
    model.input("x", {2, 3}).initializer("sizes", sizes).output("y");
    auto& node = model.node("Resize", {"x", "", "", "sizes"}, {"y"});
    set_text(node, "keep_aspect_ratio_policy", "not_larger");
    EXPECT_EQ(run(model, kMatrix).at(0).sizes().at(1), width);
  }
}

// Scale and bias had an element for each group, and have one for each channel.
TEST(OnnxLaterOpsets, GroupNormalization) {
  for (int opset : {18, 21}) {
    OnnxModel model(opset);
    model.input("x", {1, 4, 1}).output("y");
    std::vector<float> scale =
        opset < 21 ? std::vector<float>{2, 3} : std::vector<float>{2, 2, 3, 3};
    auto size = static_cast<std::int64_t>(scale.size());
    model.initializer("scale", Tensor::from<float>(scale, {size}));
    model.initializer("bias", Tensor(DType::f32, {size}));
    auto& node = model.node("GroupNormalization", {"x", "scale", "bias"}, {"y"});
    set_int(node, "num_groups", 2);
    set_float(node, "epsilon", 0);
    Tensor y = run(model, Tensor::from<float>({1, 3, 10, 30}, {1, 4, 1})).at(0);
    for (std::size_t i = 0; i < 4; ++i) {
      const float expected[] = {-2, 2, -3, 3};
      EXPECT_NEAR(y.elements<float>()[i], expected[i], 1e-6) << opset;
    }
  }
}

TEST(OnnxLaterOpsets, RootMeanSquareNormalization) {
  OnnxModel model(23);
  model.input("x", {1, 2}).output("y");
  model.initializer("scale", Tensor::from<float>({1, 2}, {2}));
  set_float(model.node("RMSNormalization", {"x", "scale"}, {"y"}), "epsilon", 0);
  Tensor y = run(model, Tensor::from<float>({3, 4}, {1, 2})).at(0);
  EXPECT_NEAR(y.elements<float>()[0], 3 / std::sqrt(12.5), 1e-6);
  EXPECT_NEAR(y.elements<float>()[1], 8 / std::sqrt(12.5), 1e-6);
}

TEST(OnnxLaterOpsets, CenterCropPad) {
  OnnxModel model(18);
  model.input("x", {2, 3}).initializer("shape", list({4, 1})).output("y");
  model.node("CenterCropPad", {"x", "shape"}, {"y"});
  EXPECT_EQ(run(model, kMatrix).at(0).to_string(), "[[0.0], [-2.0], [5.0], [0.0]]");
}

// --- Before opset 13 ---------------------------------------------------------

TEST(OnnxEarlierOpsets, SoftmaxWasOverAllAxesFromOneOn) {
  OnnxModel model(11);
  model.input("x", {2, 3}).output("y");
  set_int(model.node("Softmax", {"x"}, {"y"}), "axis", 0);
  Tensor y = run(model, kMatrix).at(0);
  double sum = 0;
  for (float x : kMatrix.elements<float>()) sum += std::exp(double{x});
  for (std::size_t i = 0; i < 6; ++i)
    EXPECT_NEAR(y.elements<float>()[i], std::exp(double{kMatrix.elements<float>()[i]}) / sum, 1e-6);
}

TEST(OnnxEarlierOpsets, OperandsWereBroadcastFromAnAxisOn) {
  OnnxModel model(6);
  model.input("x", {2, 3}).initializer("b", Tensor::from<float>({10, 20}, {2})).output("y");
  auto& node = model.node("Add", {"x", "b"}, {"y"});
  set_int(node, "broadcast", 1);
  set_int(node, "axis", 0);
  EXPECT_EQ(run(model, kMatrix).at(0).to_string(), "[[11.0, 8.0, 13.0], [24.0, 25.0, 14.0]]");
}

TEST(OnnxEarlierOpsets, SlicesHadAttributes) {
  OnnxModel model(9);
  model.input("x", {2, 3}).output("y");
  auto& node = model.node("Slice", {"x"}, {"y"});
  set_ints(node, "axes", {1});
  set_ints(node, "starts", {-2});
  set_ints(node, "ends", {1000});
  EXPECT_EQ(run(model, kMatrix).at(0).to_string(), "[[-2.0, 3.0], [5.0, -6.0]]");
}

TEST(OnnxEarlierOpsets, SequencesOfSymbolicLengthAreReversed) {
  OnnxModel model(10);
  model.input("x", {"B", "T"}).input("lengths", {"B"}, onnx::TensorProto::INT64).output("y");
  auto& node = model.node("ReverseSequence", {"x", "lengths"}, {"y"});
  set_int(node, "time_axis", 1);
  set_int(node, "batch_axis", 0);
  Model loaded = model.load();
  auto reversed = [&](std::int64_t length) {
    return interpret(loaded.graph, {},
                     {{"x", Tensor::from<float>({1, 2, 3, 4, 5, 6}, {2, 3})},
                      {"lengths", Tensor::from<std::int64_t>({2, length}, {2})}})
        .at(0)
        .to_string();
  };
  EXPECT_EQ(reversed(3), "[[2.0, 1.0, 3.0], [6.0, 5.0, 4.0]]");
  EXPECT_EQ(reversed(0), "[[2.0, 1.0, 3.0], [4.0, 5.0, 6.0]]");
  EXPECT_EQ(reversed(1), reversed(0));
  EXPECT_THAT(error_of([&] { reversed(4); }), HasSubstr("index 3 is out of range [-3, 3)"));
  EXPECT_THAT(error_of([&] { reversed(-1); }), HasSubstr("index 3 is out of range [-3, 3)"));
  EXPECT_THAT(error_of([&] { reversed(std::numeric_limits<std::int64_t>::min()); }),
              HasSubstr("is out of range [-3, 3)"));
}

TEST(OnnxLackingOps, QuantizedModelsAreRefusedClearly) {
  OnnxModel model(13);
  model.input("x", {2}).output("y");
  model.initializer("scale", Tensor::from<float>({0.1f}, {}));
  model.node("QuantizeLinear", {"x", "scale"}, {"q"});
  model.node("DequantizeLinear", {"q", "scale"}, {"y"});
  std::string error = error_of([&] { model.load(); });
  EXPECT_THAT(error, HasSubstr("the model is quantized"));
  EXPECT_THAT(error, HasSubstr("QuantizeLinear (node 0)"));
  EXPECT_THAT(error, HasSubstr("DequantizeLinear (node 1)"));
}

}  // namespace
}  // namespace weir::test
