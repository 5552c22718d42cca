// ONNX models become graphs: names, weights, locations, and what is wrong with a model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/interpreter.h"
#include "ir/text.h"
#include "onnx_models.h"
#include "support.h"

namespace weir::test {
namespace {

using testing::HasSubstr;

// y = leaky_relu(x * w' + b)
OnnxModel layer() {
  OnnxModel model;
  model.input("x", {"N", 3})
      .initializer("w", Tensor::from<float>({1, 2, 3, -4, 5, -6}, {2, 3}))
      .initializer("b", Tensor::from<float>({0.5f, -0.5f}, {2}));
  set_int(model.node("Gemm", {"x", "w", "b"}, {"h"}, "fc1"), "transB", 1);
  set_float(model.node("LeakyRelu", {"h"}, {"y"}, "act"), "alpha", 0.1f);
  model.output("y");
  return model;
}

TEST(OnnxFile, ALayerIsLinearAndLeakyRelu) {
  Model model = layer().load();
  EXPECT_EQ(print(model.graph),
            "graph @test(%x: f32[N, 3]) -> (f32[N, 2]) {\n"
            "  param %w: f32[2, 3]\n"
            "  param %b: f32[2]\n"
            "  %h = linear(%x, %w, %b)\n"
            "  %y = leaky_relu(%h) {negative_slope = 0.1}\n"
            "  return %y\n"
            "}\n");
  std::vector<Tensor> y = interpret(model.graph, model.weights,
                                    {{"x", Tensor::from<float>({1, 1, 1, 0, -1, 0}, {2, 3})}});
  EXPECT_EQ(y.at(0).to_string(), "[[6.5, -0.55], [-0.15, -0.55]]");
}

TEST(OnnxFile, NodesKeepFileAndName) {
  Model model = layer().load();
  EXPECT_EQ(model.graph.nodes().back().location.to_string(), "LeakyRelu \"act\" in test.onnx");
}

TEST(OnnxFile, WhatDoesNotFitNamesTheNode) {
  OnnxModel model;
  model.input("a", {2, 3}).input("b", {4, 5}).output("y");
  model.node("MatMul", {"a", "b"}, {"y"}, "product");
  std::string error = error_of([&] { model.load(); });
  EXPECT_THAT(error, HasSubstr("MatMul \"product\" in test.onnx: error: "));
  EXPECT_THAT(error, HasSubstr("the contracted dimensions differ: 3 in a"));
}

TEST(OnnxFile, UnsupportedOpsAreReportedTogether) {
  OnnxModel model;
  model.input("x", {2}).output("y");
  model.node("Nonsense", {"x"}, {"a"}, "first");
  model.node("Nonsense", {"a"}, {"b"}, "second");
  model.node("Relu", {"b"}, {"c"}, "third");
  model.node("Einsumm", {"c"}, {"y"});
  std::string error = error_of([&] { model.load(); });
  EXPECT_EQ(error,
            "test.onnx: error: the model needs what Weir does not have:\n"
            "  Nonsense of opset 17: Nonsense \"first\" and 1 more\n"
            "    there is no such op\n"
            "  Einsumm of opset 17: Einsumm (node 3)\n"
            "    there is no such op");
  EXPECT_THROW(model.load(), Unsupported);
}

TEST(OnnxFile, ACycleIsRefusedAndDisorderIsNot) {
  OnnxModel model;
  model.input("x", {2}).output("y");
  model.node("Relu", {"a"}, {"y"});
  model.node("Abs", {"x"}, {"a"});
  EXPECT_EQ(model.load().graph.nodes().size(), 2u);
  OnnxModel cycle;
  cycle.input("x", {2}).output("y");
  cycle.node("Add", {"x", "y"}, {"a"});
  cycle.node("Abs", {"a"}, {"y"});
  EXPECT_THAT(error_of([&] { cycle.load(); }), HasSubstr("the graph has a cycle"));
}

TEST(OnnxFile, AnAttributeThatNobodyReadsIsRefused) {
  OnnxModel model;
  model.input("x", {2}).output("y");
  set_float(model.node("Relu", {"x"}, {"y"}), "alpha", 0.1f);
  EXPECT_THAT(error_of([&] { model.load(); }), HasSubstr("Relu has no attribute \"alpha\""));
}

}  // namespace
}  // namespace weir::test
