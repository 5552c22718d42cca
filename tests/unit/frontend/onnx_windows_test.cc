// Windows over sizes that are symbols: ceil_mode, and auto_pad with strides. One program computes
// at every size what that of the size does, and what ONNX Runtime does where it is present.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/interpreter.h"
#include "ir/text.h"
#include "onnx_models.h"
#include "support.h"
#include "tests/support/onnxruntime.h"

namespace weir::test {
namespace {

using testing::HasSubstr;

struct WindowCase {
  std::string op;
  std::string auto_pad;  // or ceil_mode, if empty
  int kernel, stride, dilation = 1, low = 0, high = 0;
  bool counts_frame = false, ceil_mode = auto_pad.empty();

  std::string name() const {
    return fmt::format("{} {} kernel {} stride {} dilation {} pads {} {} counts {} ceil_mode {}",
                       op, auto_pad, kernel, stride, dilation, low, high, counts_frame, ceil_mode);
  }
};

std::vector<WindowCase> cases() {
  std::vector<WindowCase> result;
  for (const char* op : {"Conv", "MaxPool", "AveragePool"})
    for (const char* mode : {"SAME_UPPER", "SAME_LOWER"}) {
      for (auto [kernel, stride] :
           {std::pair{3, 2}, {2, 2}, {1, 2}, {2, 3}, {3, 5}, {5, 3}, {4, 3}})
        result.push_back({op, mode, kernel, stride});
      if (op != std::string("AveragePool")) result.push_back({op, mode, 2, 2, 2});
    }
  result.push_back({"AveragePool", "SAME_UPPER", 3, 2, 1, 0, 0, true});
  result.push_back({"LpPool", "SAME_LOWER", 3, 2});
  // The frame has made of the last elements what there is to be made: ceil_mode does nothing.
  for (const char* op : {"MaxPool", "AveragePool", "LpPool"})
    for (const char* mode : {"SAME_UPPER", "SAME_LOWER"})
      for (int kernel : {2, 3}) result.push_back({op, mode, kernel, 2, 1, 0, 0, kernel == 3, true});
  for (const char* op : {"MaxPool", "AveragePool", "LpPool"}) {
    result.push_back({op, "", 2, 2});
    result.push_back({op, "", 3, 2, 1, 1, 1});
    result.push_back({op, "", 3, 4, 1, 2, 0});
    result.push_back({op, "", 2, 5, 1, 0, 1});
  }
  result.push_back({"MaxPool", "", 2, 3, 3, 0, 1});
  result.push_back({"AveragePool", "", 3, 2, 1, 1, 1, true});
  return result;
}

// With one size for both axes: a symbol, or a number.
OnnxModel model_of(const WindowCase& window, const OnnxDim& size) {
  OnnxModel model(window.op == "LpPool" ? 18 : window.op == "AveragePool" ? 11 : 12);
  model.input("x", {1, 2, size, size}).output("y");
  std::vector<std::string> inputs{"x"};
  if (window.op == "Conv") {
    model.initializer("w", by_formula(DType::f32, {3, 2, window.kernel, window.kernel}));
    inputs.push_back("w");
  }
  auto& node = model.node(window.op, inputs, {"y"}, "windows");
  set_ints(node, "kernel_shape", {window.kernel, window.kernel});
  set_ints(node, "strides", {window.stride, window.stride});
  if (window.dilation != 1) set_ints(node, "dilations", {window.dilation, window.dilation});
  if (window.counts_frame && window.op == "AveragePool") set_int(node, "count_include_pad", 1);
  if (window.ceil_mode) set_int(node, "ceil_mode", 1);
  if (!window.auto_pad.empty()) {
    set_text(node, "auto_pad", window.auto_pad);
  } else {
    set_ints(node, "pads", {window.low, window.low, window.high, window.high});
  }
  return model;
}

TEST(OnnxWindows, OneProgramServesEverySize) {
  std::optional<OnnxRuntime> runtime;
  if (onnxruntime_path() != nullptr) runtime.emplace(onnxruntime_path());
  for (const WindowCase& window : cases()) {
    SCOPED_TRACE(window.name());
    OnnxModel symbolic_model = model_of(window, "D");
    Model symbolic = symbolic_model.load();
    std::optional<OnnxSession> session;
    // They refuse to frame windows with dilations, and pools with gaps between the windows.
    bool is_theirs =
        window.auto_pad.empty() ||
        (window.dilation == 1 && (window.op == "Conv" || window.kernel >= window.stride));
    if (runtime && is_theirs) session.emplace(*runtime, symbolic_model.proto().SerializeAsString());
    for (int size = 1; size < 13; ++size) {
      if (size + window.low + window.high <= (window.kernel - 1) * window.dilation &&
          window.auto_pad.empty())
        continue;  // no window fits
      Inputs inputs{{"x", by_formula(DType::f32, {1, 2, size, size})}};
      Tensor result = interpret(symbolic.graph, symbolic.weights, inputs).at(0);
      Model fixed = model_of(window, size).load();
      Tensor expected = interpret(fixed.graph, fixed.weights, inputs).at(0);
      ASSERT_EQ(to_string(result.type()), to_string(expected.type())) << size;
      EXPECT_TRUE(compare(result, expected).identical)
          << size << ": " << result.to_string() << " for " << expected.to_string() << "\n"
          << print(symbolic.graph);
      if (!session) continue;
      Tensor theirs = run_onnx(*runtime, *session, inputs, {"y"}).at(0);
      ASSERT_EQ(to_string(result.type()), to_string(theirs.type())) << size;
      EXPECT_LE(compare(result, theirs).relative(), 1e-5)
          << size << ": " << result.to_string() << " for " << theirs.to_string();
    }
  }
}

TEST(OnnxWindows, TheFrameIsASumOfFloorQuotients) {
  EXPECT_EQ(print(model_of({"Conv", "SAME_LOWER", 1, 2}, "D").load().graph),
            "graph @test(%x: f32[1, 2, D, D]) -> (f32[1, 3, floordiv(D + 1, 2), floordiv(D + 1, "
            "2)]) {\n"
            "  param %w: f32[3, 2, 1, 1]\n"
            "  %y = conv(%x, %w) {strides = [2, 2]}\n"
            "  return %y\n"
            "}\n");
}

// A window of 3 by `kernel` with that auto_pad, or with the pads of its width, over x of 5 by 6.
Tensor padded(const std::string& op, int kernel, int stride, const std::string& auto_pad,
              std::vector<std::int64_t> pads = {}) {
  OnnxModel model(12);
  model.input("x", {1, 2, 5, 6}).output("y");
  std::vector<std::string> inputs{"x"};
  if (op.starts_with("Conv")) {
    model.initializer("w", by_formula(DType::f32, {2, 2, 3, kernel}));
    inputs.emplace_back("w");
  }
  auto& node = model.node(op, inputs, {"y"}, "windows");
  set_ints(node, "kernel_shape", {3, kernel});
  set_ints(node, "strides", {1, stride});
  if (auto_pad.empty()) set_ints(node, "pads", std::move(pads));
  if (!auto_pad.empty()) set_text(node, "auto_pad", auto_pad);
  Model loaded = model.load();
  return interpret(loaded.graph, loaded.weights, {{"x", by_formula(DType::f32, {1, 2, 5, 6})}})
      .at(0);
}

void expect_equal(const Tensor& actual, const Tensor& expected, const std::string& what) {
  ASSERT_EQ(to_string(actual.type()), to_string(expected.type())) << what;
  EXPECT_TRUE(compare(actual, expected).identical) << what;
}

TEST(OnnxWindows, ValidIsWithoutFrame) {
  for (const char* op : {"Conv", "MaxPool", "AveragePool", "ConvTranspose"})
    for (auto [kernel, stride] : {std::pair{2, 1}, {3, 2}, {4, 3}, {2, 3}})
      expect_equal(padded(op, kernel, stride, "VALID"),
                   padded(op, kernel, stride, "", {0, 0, 0, 0}),
                   fmt::format("{} {} {}", op, kernel, stride));
}

// As many elements as x has, times the stride: what there is too many is taken off both ends, and
// the odd one off the end, or with SAME_LOWER off the beginning.
TEST(OnnxWindows, TransposedOfTheSameSize) {
  for (auto [kernel, stride] : {std::pair{3, 1}, {4, 1}, {3, 2}, {4, 2}, {5, 2}, {4, 3}}) {
    const std::int64_t more = kernel - stride, less = more / 2;
    for (const char* mode : {"SAME_UPPER", "SAME_LOWER"}) {
      const bool upper = mode == std::string("SAME_UPPER");
      const std::string what = fmt::format("{} kernel {} stride {}", mode, kernel, stride);
      Tensor same = padded("ConvTranspose", kernel, stride, mode);
      EXPECT_EQ(same.sizes(), (Tensor::Sizes{1, 2, 5, 6 * stride})) << what;
      expect_equal(same,
                   padded("ConvTranspose", kernel, stride, "",
                          {1, upper ? less : more - less, 1, upper ? more - less : less}),
                   what);
    }
  }
}

// Nearest elements are moved and may be of any type; weighted sums of integers are not made.
TEST(OnnxWindows, IntegersAreResizedToNearestOnes) {
  for (const char* op : {"Upsample", "Resize"}) {
    OnnxModel model(op[0] == 'U' ? 9 : 17);
    model.input("x", {1, 1, 2, 3}, onnx::TensorProto::INT32).output("y");
    model.initializer("scales", Tensor::from<float>({1, 1, 1, 2}, {4}));
    auto& node = op[0] == 'U' ? model.node(op, {"x", "scales"}, {"y"}, "up")
                              : model.node(op, {"x", "", "scales"}, {"y"}, "up");
    Inputs inputs{
        {"x", Tensor::from<std::int32_t>({7, -8, 9, 2147483647, 16777217, 0}, {1, 1, 2, 3})}};
    Model loaded = model.load();
    Tensor y = interpret(loaded.graph, loaded.weights, inputs).at(0);
    EXPECT_EQ(y.to_string(), Tensor::from<std::int32_t>({7, 7, -8, -8, 9, 9, 2147483647, 2147483647,
                                                         16777217, 16777217, 0, 0},
                                                        {1, 1, 2, 6})
                                 .to_string());
    set_text(node, "mode", "linear");
    EXPECT_THAT(error_of([&] { model.load(); }),
                HasSubstr("it takes weighted sums (mode linear) of i32; only nearest moves "
                          "elements of any type"));
  }
}

// Frame elements have no place in x, and which of the windows have some depends on the call.
TEST(OnnxWindows, PlacesInFramesThatDependOnSymbolsAreRefused) {
  OnnxModel model = model_of({"MaxPool", "SAME_UPPER", 3, 2}, "D");
  model.graph().mutable_node(0)->add_output("places");
  model.output("places");
  EXPECT_THAT(error_of([&] { model.load(); }),
              HasSubstr("it gives places in x, and its auto_pad depends on the symbols in f32[1, "
                        "2, D, D]; declare the sizes as numbers"));
}

}  // namespace
}  // namespace weir::test
