// What imported nodes compute that have no op of their own: near 0, at the ends of a domain and of
// a narrow type, and the sizes that scales of an image give.
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/interpreter.h"
#include "onnx_models.h"
#include "support.h"

namespace weir::test {
namespace {

using testing::HasSubstr;

Tensor run(const OnnxModel& model, Inputs inputs, std::size_t output = 0) {
  const Model loaded = model.load();
  return interpret(loaded.graph, loaded.weights, inputs).at(output);
}

double element(const Tensor& tensor, std::int64_t i) {
  return scalar::to_double(tensor.dtype(), tensor.bits(i));
}

// One op of one input.
Tensor of_one(const char* op, DType dtype, std::vector<double> values) {
  const int count = static_cast<int>(values.size());
  OnnxModel model(17);
  model
      .input("x", {count},
             dtype == DType::f16   ? onnx::TensorProto::FLOAT16
             : dtype == DType::f64 ? onnx::TensorProto::DOUBLE
                                   : onnx::TensorProto::FLOAT)
      .output("y");
  model.node(op, {"x"}, {"y"});
  Tensor x(dtype, {count});
  for (int i = 0; i < count; ++i)
    x.set_bits(i, scalar::bits_of(dtype, values[static_cast<std::size_t>(i)]));
  return run(model, {{"x", x}});
}

TEST(OnnxNumbers, FunctionsOfSeveralStepsAreAccurate) {
  const double inf = std::numeric_limits<double>::infinity();
  struct Function {
    const char* op;
    double (*exact)(double);
    std::vector<double> at;
  };
  const Function functions[] = {
      {"Sinh", std::sinh, {0, -0.0, 1e-30, 1e-8, -1e-8, 1e-3, -0.5, 3, -11.5, 19.9, 20.1, 88}},
      {"Cosh", std::cosh, {0, 1e-8, -0.5, 3, -11.5, 19.9, 20.1, 88}},
      {"Tan", std::tan, {0, -0.0, 1e-8, -1, 1.5, 3}},
      {"Asinh", std::asinh, {0, -0.0, 1e-30, -1e-8, 1e-3, -0.5, 3, -300, 6e4, 1e7, -1e9, 1e30}},
      {"Acosh", std::acosh, {1, 1.0000001192092896, 1.5, 3, 256, 6e4, 1e7, 1e9, 1e30}},
      {"Atanh",
       std::atanh,
       {0, -0.0, 1e-30, -1e-8, 1e-3, -0.5, 0.95, -0.95, -0.999, -0.99951171875, 1, -1, -inf}},
  };
  for (const Function& function : functions)
    for (DType dtype : {DType::f32, DType::f64, DType::f16}) {
      const Tensor y = of_one(function.op, dtype, function.at);
      // A few units in the last place; of f16, which is rounded once, half of one and a bit.
      const double tolerance = dtype == DType::f64 ? 2e-15 : dtype == DType::f32 ? 6e-7 : 5.1e-4;
      for (std::size_t i = 0; i < function.at.size(); ++i) {
        const double x = scalar::to_double(dtype, scalar::bits_of(dtype, function.at[i]));
        const double exact = scalar::to_double(dtype, scalar::bits_of(dtype, function.exact(x)));
        const double got = element(y, static_cast<std::int64_t>(i));
        const std::string what = fmt::format("{} of {}, {}", function.op, x, name(dtype));
        if (std::isnan(exact)) {
          EXPECT_TRUE(std::isnan(got)) << what;
          continue;
        }
        EXPECT_EQ(std::signbit(got), std::signbit(exact)) << what;
        if (std::isinf(exact)) {
          EXPECT_EQ(got, exact) << what;
          continue;
        }
        const double smallest = dtype == DType::f16 ? 0x1p-24 : 0;
        EXPECT_NEAR(got, exact, std::abs(exact) * tolerance + smallest) << what;
      }
    }
}

// f16 holds numbers up to 65504, and their squares only of those up to 255.
TEST(OnnxNumbers, SquaresOfHalfFloatsDoNotOverflow) {
  Tensor x(DType::f16, {1, 4, 1, 2});
  for (int i = 0; i < 8; ++i)
    x.set_bits(i, scalar::bits_of(DType::f16, i % 2 == 0 ? 300.0 : -400.0));
  OnnxModel halves(17);
  halves.input("x", {1, 4, 1, 2}, onnx::TensorProto::FLOAT16).output("y");
  {
    OnnxModel model = halves;
    set_int(model.node("LpNormalization", {"x"}, {"y"}), "axis", -1);
    const Tensor y = run(model, {{"x", x}});
    EXPECT_NEAR(element(y, 0), 0.6, 5e-4);
    EXPECT_NEAR(element(y, 1), -0.8, 5e-4);
  }
  {
    OnnxModel model = halves;
    set_ints(model.node("LpPool", {"x"}, {"y"}), "kernel_shape", {1, 2});
    EXPECT_EQ(element(run(model, {{"x", x}}), 0), 500);
  }
  {
    OnnxModel model = halves;
    auto& node = model.node("MeanVarianceNormalization", {"x"}, {"y"});
    set_ints(node, "axes", {0, 2, 3});
    const Tensor y = run(model, {{"x", x}});
    EXPECT_NEAR(element(y, 0), 1, 1e-3);
    EXPECT_NEAR(element(y, 1), -1, 1e-3);
  }
  {
    OnnxModel model = halves;
    auto& node = model.node("LRN", {"x"}, {"y"});
    set_int(node, "size", 1);
    set_float(node, "alpha", 0.5f);
    const double base = 1 + 0.5 * 300 * 300;
    EXPECT_NEAR(element(run(model, {{"x", x}}), 0), 300 / std::pow(base, 0.75), 1e-4);
  }
  {
    OnnxModel model = halves;
    model.node("Mean", {"x", "x", "x"}, {"y"});
    for (int i = 0; i < 8; ++i) x.set_bits(i, scalar::bits_of(DType::f16, 60000.0));
    EXPECT_EQ(element(run(model, {{"x", x}}), 0), 60000);
  }
}

// What layer normalization gives besides is f32, whatever x is.
TEST(OnnxNumbers, StatisticsOfALayerAreFloats) {
  for (DType dtype : {DType::f16, DType::f64}) {
    OnnxModel model(17);
    auto type = dtype == DType::f16 ? onnx::TensorProto::FLOAT16 : onnx::TensorProto::DOUBLE;
    model.input("x", {1, 2}, type).input("s", {2}, type);
    model.output("y").output("mean").output("scale");
    model.node("LayerNormalization", {"x", "s"}, {"y", "mean", "scale"});
    Tensor x(dtype, {1, 2}), s(dtype, {2});
    for (int i = 0; i < 2; ++i) {
      x.set_bits(i, scalar::bits_of(dtype, i == 0 ? 300.0 : 900.0));
      s.set_bits(i, scalar::bits_of(dtype, 2.0));
    }
    const Inputs inputs{{"x", x}, {"s", s}};
    const Tensor y = run(model, inputs), mean = run(model, inputs, 1),
                 scale = run(model, inputs, 2);
    EXPECT_EQ(y.dtype(), dtype);
    EXPECT_NEAR(element(y, 0), -2, 2e-3);
    EXPECT_EQ(mean.dtype(), DType::f32);
    EXPECT_EQ(element(mean, 0), 600);
    EXPECT_EQ(scale.dtype(), DType::f32);
    EXPECT_NEAR(element(scale, 0), 1.0 / 300, 1e-8);
  }
}

// The result of this one has the type of its scale.
TEST(OnnxNumbers, ScalesOfAnotherType) {
  OnnxModel model(23);
  model.input("x", {1, 2}, onnx::TensorProto::FLOAT16).input("s", {2}).output("y");
  model.node("RMSNormalization", {"x", "s"}, {"y"});
  Tensor x(DType::f16, {1, 2});
  for (int i = 0; i < 2; ++i) x.set_bits(i, scalar::bits_of(DType::f16, 300.0));
  const Tensor y = run(model, {{"x", x}, {"s", Tensor::from<float>({1, 1e6f}, {2})}});
  EXPECT_EQ(y.dtype(), DType::f32);
  EXPECT_NEAR(element(y, 0), 1, 1e-6);
  EXPECT_NEAR(element(y, 1), 1e6, 1);
}

// The product of a size and a scale is one of f32: 0.7f is less than 0.7.
TEST(OnnxNumbers, ScaledSizesAreProductsOfFloats) {
  for (auto [size, scale, expected] :
       {std::tuple{10, 0.7f, 7}, {10, 2.3f, 23}, {10, 0.9f, 9}, {5, 1.4f, 7}, {7, 0.5f, 3}}) {
    OnnxModel model(17);
    model.input("x", {1, size}).output("y");
    model.initializer("scales", Tensor::from<float>({1, scale}, {2}));
    model.node("Resize", {"x", "", "scales"}, {"y"});
    EXPECT_EQ(run(model, {{"x", Tensor(DType::f32, {1, size})}}).sizes(),
              (Tensor::Sizes{1, expected}))
        << size << " by " << scale;
  }
}

// ONNX 1.5's own case of opset 10, in which Resize had no formula for the nearest element.
TEST(OnnxNumbers, TheFirstResizeTakesTheNextElementWhereItMakesSmaller) {
  OnnxModel model(10);
  model.input("x", {1, 1, 2, 4}).output("y");
  model.initializer("scales", Tensor::from<float>({1, 1, 0.6f, 0.6f}, {4}));
  model.node("Resize", {"x", "scales"}, {"y"});
  const Tensor y = run(model, {{"x", Tensor::from<float>({1, 2, 3, 4, 5, 6, 7, 8}, {1, 1, 2, 4})}});
  EXPECT_EQ(y.to_string(), Tensor::from<float>({1, 3}, {1, 1, 1, 2}).to_string());
}

// Elements of an axis whose size stays are not moved; by this formula they would be.
TEST(OnnxNumbers, EqualSizesStay) {
  auto model_of = [](OnnxDim height) {
    OnnxModel model(11);
    model.input("x", {1, 1, height, 2}).output("y");
    model.initializer("region", Tensor(DType::f32, {0}));
    model.initializer("scales", Tensor(DType::f32, {0}));
    model.initializer("sizes", Tensor::from<std::int64_t>({1, 1, 2, 4}, {4}));
    auto& node = model.node("Resize", {"x", "region", "scales", "sizes"}, {"y"});
    set_text(node, "coordinate_transformation_mode", "tf_half_pixel_for_nn");
    set_text(node, "nearest_mode", "ceil");
    return model;
  };
  const Tensor y = run(model_of(2), {{"x", Tensor::from<float>({1, 2, 3, 4}, {1, 1, 2, 2})}});
  EXPECT_EQ(y.to_string(), Tensor::from<float>({2, 2, 2, 2, 4, 4, 4, 4}, {1, 1, 2, 4}).to_string());
  EXPECT_THAT(error_of([&] { model_of("H").load(); }), HasSubstr("an axis of H becomes one of 2"));
}

// A side may be cut off by more than an axis has, if as much is added on the other side.
TEST(OnnxNumbers, PadsOfBothSigns) {
  for (auto [low, high, expected, size] : {std::tuple{3, -2, std::vector<float>{0, 0}, OnnxDim(1)},
                                           {-3, 4, {0, 0}, OnnxDim(1)},
                                           {-3, 4, {0, 0}, OnnxDim("N")},
                                           {1, -1, {0}, OnnxDim("N")},
                                           {-1, 0, {}, OnnxDim(1)}}) {
    OnnxModel model(13);
    model.input("x", {size}).output("y");
    model.initializer("pads", Tensor::from<std::int64_t>({low, high}, {2}));
    model.node("Pad", {"x", "pads"}, {"y"});
    const Tensor y = run(model, {{"x", Tensor::from<float>({5}, {1})}});
    EXPECT_EQ(
        y.to_string(),
        Tensor::from<float>(expected, {static_cast<std::int64_t>(expected.size())}).to_string())
        << low << ", " << high;
  }
}

}  // namespace
}  // namespace weir::test
