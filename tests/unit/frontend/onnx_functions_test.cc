// Functions of a model, branches, inputs that are initializers too, constants, and outputs that are
// left out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/interpreter.h"
#include "ir/text.h"
#include "onnx_models.h"
#include "support.h"

namespace weir::test {
namespace {

using testing::HasSubstr;

onnx::NodeProto& add_node(onnx::FunctionProto& function, const std::string& op,
                          std::vector<std::string> inputs, std::vector<std::string> outputs) {
  auto& node = *function.add_node();
  node.set_op_type(op);
  for (const std::string& input : inputs) node.add_input(input);
  for (const std::string& output : outputs) node.add_output(output);
  return node;
}

onnx::FunctionProto& add_function(OnnxModel& model, const std::string& name,
                                  std::vector<std::string> inputs,
                                  std::vector<std::string> outputs) {
  auto& function = *model.proto().add_functions();
  function.set_domain("local");
  function.set_name(name);
  for (const std::string& input : inputs) function.add_input(input);
  for (const std::string& output : outputs) function.add_output(output);
  function.add_opset_import()->set_version(17);
  return function;
}

onnx::NodeProto& call(OnnxModel& model, const std::string& function,
                      std::vector<std::string> inputs, std::vector<std::string> outputs) {
  auto& node = model.node(function, std::move(inputs), std::move(outputs), "call");
  node.set_domain("local");
  return node;
}

// A layer with its slope as an attribute and an optional bias.
OnnxModel with_layer() {
  OnnxModel model;
  auto* domain = model.proto().add_opset_import();
  domain->set_domain("local");
  domain->set_version(1);
  auto& layer = add_function(model, "Layer", {"x", "w"}, {"y"});
  layer.add_attribute("slope");
  add_node(layer, "MatMul", {"x", "w"}, {"h"});
  auto& act = add_node(layer, "LeakyRelu", {"h"}, {"y"});
  auto& slope = attribute(act, "alpha", onnx::AttributeProto::FLOAT);
  slope.set_ref_attr_name("slope");
  model.input("x", {"N", 2}).initializer("w", Tensor::from<float>({1, 0, 0, -1}, {2, 2}));
  return model;
}

TEST(OnnxFunctions, AreWrittenOutWhereTheyAreCalled) {
  OnnxModel model = with_layer();
  set_float(call(model, "Layer", {"x", "w"}, {"a"}), "slope", 0.3f);
  call(model, "Layer", {"a", "w"}, {"y"});
  model.output("y");
  Model loaded = model.load();
  EXPECT_EQ(print(loaded.graph),
            "graph @test(%x: f32[N, 2]) -> (f32[N, 2]) {\n"
            "  param %w: f32[2, 2]\n"
            "  %0 = matmul(%x, %w)\n"
            "  %a = leaky_relu(%0) {negative_slope = 0.3}\n"
            "  %1 = matmul(%a, %w)\n"
            "  %y = leaky_relu(%1)\n"
            "  return %y\n"
            "}\n");
  EXPECT_EQ(loaded.graph.nodes()[1].location.to_string(),
            "LeakyRelu (node 1) of Layer \"call\" in test.onnx");
}

TEST(OnnxFunctions, ThatCallThemselvesAreRefused) {
  OnnxModel model = with_layer();
  add_node(add_function(model, "A", {"x"}, {"y"}), "B", {"x"}, {"y"}).set_domain("local");
  add_node(add_function(model, "B", {"x"}, {"y"}), "A", {"x"}, {"y"}).set_domain("local");
  call(model, "A", {"x"}, {"y"});
  model.output("y");
  EXPECT_THAT(error_of([&] { model.load(); }),
              HasSubstr("calls itself, at once or through others"));
}

// Each function calls the one before it twice: few bytes stand for 2^40 nodes.
TEST(OnnxFunctions, ThatGrowWithoutMeasureAreRefused) {
  OnnxModel model = with_layer();
  for (int i = 0; i < 40; ++i) {
    std::string inner = i == 0 ? "Relu" : "F" + std::to_string(i - 1);
    auto& function = add_function(model, "F" + std::to_string(i), {"x"}, {"y"});
    auto& first = add_node(function, inner, {"x"}, {"h"});
    auto& second = add_node(function, inner, {"h"}, {"y"});
    if (i > 0) first.set_domain("local");
    if (i > 0) second.set_domain("local");
  }
  call(model, "F39", {"x"}, {"y"});
  model.output("y");
  OnnxOptions options;
  options.limits.nodes = 10'000;
  EXPECT_THAT(error_of([&] { model.load(options); }), HasSubstr("more than 10000 nodes"));
}

// x + c, 256 times by functions that call each other twice, with c in three forms.
TEST(OnnxFunctions, ThatAreCalledOftenHaveTheirTensorsOnce) {
  constexpr int kSize = 65536;
  constexpr std::size_t kBytes = 4 * kSize;
  for (int form : {0, 1, 2}) {
    OnnxModel model = with_layer();
    auto& innermost = add_function(model, "F0", {"x"}, {"y"});
    auto& constant = add_node(innermost, "Constant", {}, {"c"});
    if (form == 2) {
      auto& tensor = *attribute(constant, "sparse_value", onnx::AttributeProto::SPARSE_TENSOR)
                          .mutable_sparse_tensor();
      tensor.add_dims(kSize);
      *tensor.mutable_values() = onnx_format::proto_of(Tensor(DType::f32, {100}), "");
      *tensor.mutable_indices() = onnx_format::proto_of(Tensor(DType::i64, {100}), "");
      auto* indices = tensor.mutable_indices();
      indices->clear_raw_data();
      for (int i = 0; i < 100; ++i) indices->add_int64_data(i);
    } else {
      auto& tensor = *attribute(constant, "value", onnx::AttributeProto::TENSOR).mutable_t();
      tensor = onnx_format::proto_of(Tensor(DType::f32, {kSize}), "");
      if (form == 1) {
        tensor.clear_raw_data();
        for (int i = 0; i < kSize; ++i) tensor.add_float_data(1);
      }
    }
    add_node(innermost, "Add", {"x", "c"}, {"y"});
    for (int i = 1; i <= 8; ++i) {
      std::string inner = "F" + std::to_string(i - 1);
      auto& function = add_function(model, "F" + std::to_string(i), {"x"}, {"y"});
      add_node(function, inner, {"x"}, {"h"}).set_domain("local");
      add_node(function, inner, {"h"}, {"y"}).set_domain("local");
    }
    model.input("z", {1});
    call(model, "F8", {"z"}, {"y"});
    model.output("y");
    Model loaded;
    EXPECT_LT(peak_memory_of([&] { loaded = model.load(); }), 8 * kBytes) << form;
    EXPECT_EQ(loaded.weights.size(), 256U);
    EXPECT_TRUE(loaded.weights.contains("c_255"));
  }
}

// The body's nodes are copied for the arguments of a call; what is in a branch of one lasts.
TEST(OnnxFunctions, ArgumentsReachBranchesThatHoldTensors) {
  OnnxModel model = with_layer();
  auto& function = add_function(model, "Choice", {"x", "condition"}, {"y"});
  function.add_attribute("slope");
  auto& node = add_node(function, "If", {"condition"}, {"y"});
  std::vector<float> values(100, 2);
  for (const char* name : {"then_branch", "else_branch"}) {
    auto& branch = *attribute(node, name, onnx::AttributeProto::GRAPH).mutable_g();
    branch.add_output()->set_name("z");
    *branch.add_initializer() = onnx_format::proto_of(Tensor::from<float>(values, {100}), "a");
    onnx::FunctionProto nodes;
    *attribute(add_node(nodes, "Constant", {}, {"b"}), "value", onnx::AttributeProto::TENSOR)
         .mutable_t() = onnx_format::proto_of(Tensor::from<float>(values, {100}), "");
    add_node(nodes, "Mul", {"a", "b"}, {"c"});
    add_node(nodes, "Add", {"x", "c"}, {"d"});
    attribute(add_node(nodes, "LeakyRelu", {"d"}, {"z"}), "alpha", onnx::AttributeProto::FLOAT)
        .set_ref_attr_name("slope");
    *branch.mutable_node() = nodes.node();
  }
  model.input("v", {100}).input("condition", {}, onnx::TensorProto::BOOL);
  set_float(call(model, "Choice", {"v", "condition"}, {"y"}), "slope", 0.5F);
  model.output("y");
  Model loaded = model.load();
  for (const auto& [name, tensor] : loaded.weights)
    EXPECT_THAT(tensor.elements<float>(), testing::Each(2)) << name;
  EXPECT_EQ(loaded.weights.size(), 4U);
}

// --- If ----------------------------------------------------------------------

OnnxModel with_branches() {
  OnnxModel model;
  model.input("x", {2}).output("y");
  auto& node = model.node("If", {"condition"}, {"y"}, "choice");
  auto branch = [&](const char* name, const char* op, const char* output) {
    auto& graph = *attribute(node, name, onnx::AttributeProto::GRAPH).mutable_g();
    graph.add_output()->set_name(output);
    auto& inner = *graph.add_node();
    inner.set_op_type(op);
    inner.add_input("x");
    inner.add_output(output);
  };
  branch("then_branch", "Neg", "a");
  branch("else_branch", "Abs", "a");
  return model;
}

TEST(OnnxIf, AKnownConditionTakesABranch) {
  OnnxModel model = with_branches();
  model.initializer("condition", Tensor::from<bool>({true}, {}));
  EXPECT_EQ(print(model.load().graph),
            "graph @test(%x: f32[2]) -> (f32[2]) {\n"
            "  %y = neg(%x)\n"
            "  return %y\n"
            "}\n");
}

TEST(OnnxIf, AnyOtherSelects) {
  OnnxModel model = with_branches();
  model.input("condition", {1}, onnx::TensorProto::BOOL);
  Model loaded = model.load();
  for (bool condition : {true, false}) {
    Inputs inputs{{"x", Tensor::from<float>({-1, 2}, {2})},
                  {"condition", Tensor::from<bool>({condition}, {1})}};
    EXPECT_EQ(interpret(loaded.graph, {}, inputs).at(0).to_string(),
              condition ? "[1.0, -2.0]" : "[1.0, 2.0]");
  }
}

TEST(OnnxIf, NestedTooDeeplyIsRefused) {
  OnnxModel model(17);
  model.input("x", {2}).output("y");
  onnx::NodeProto node;
  node.set_op_type("Relu");
  node.add_input("x");
  node.add_output("y");
  for (int i = 0; i < 40; ++i) {
    onnx::NodeProto outer;
    outer.set_op_type("If");
    outer.add_input("x");
    outer.add_output("y");
    for (const char* name : {"then_branch", "else_branch"}) {
      auto& graph = *attribute(outer, name, onnx::AttributeProto::GRAPH).mutable_g();
      if (std::string(name) == "then_branch") *graph.add_node() = node;
      graph.add_output()->set_name("y");
    }
    node = outer;
  }
  *model.graph().add_node() = node;
  EXPECT_THAT(error_of([&] { model.load(); }), HasSubstr("nested too deeply"));
}

// --- Inputs ------------------------------------------------------------------

TEST(OnnxInputs, WithInitializersAreParams) {
  OnnxModel model;
  model.input("x", {2}).input("w", {2}).output("y");
  model.initializer("w", Tensor::from<float>({1, 2}, {2}));
  model.node("Mul", {"x", "w"}, {"y"});
  Model loaded = model.load();
  EXPECT_EQ(loaded.graph.inputs().size(), 1u);
  EXPECT_EQ(loaded.graph.params().size(), 1u);
}

// Older files list constants among the inputs, too.
TEST(OnnxInputs, WithIntegersAsInitializersAreParamsUnlessTheyHaveToBeKnown) {
  for (int version : {3, 4}) {
    auto model_of = [&](bool is_size) {
      OnnxModel model;
      model.proto().set_ir_version(version);
      model.input("x", {4, 3}).input("k", {1}, onnx::TensorProto::INT64).output("y");
      model.input("n", {1}, onnx::TensorProto::INT64);
      model.initializer("n", Tensor::from<std::int64_t>({-2}, {1}));
      model.initializer("rest", Tensor::from<std::int64_t>({6}, {1}));
      model.node("Neg", {"n"}, {"size"});
      set_int(model.node("Concat", {"size", is_size ? "rest" : "k"}, {"list"}), "axis", 0);
      if (is_size)
        model.node("Reshape", {"x", "list"}, {"y"});
      else
        model.node("Abs", {"list"}, {"y"});
      return model.load().graph;
    };
    EXPECT_EQ(model_of(false).params().size(), version >= 4 ? 1U : 0U);
    Graph sizes = model_of(true);
    EXPECT_EQ(sizes.params().size(), 0U);
    EXPECT_EQ(to_string(sizes.type(sizes.outputs()[0].value)), "f32[2, 6]");
  }
}

TEST(OnnxInputs, OptionalOnesMayBeLeftOut) {
  OnnxModel model;
  model.input("x", {2}).output("y");
  model.initializer("high", Tensor::from<float>({1}, {}));
  model.node("Clip", {"x", "", "high"}, {"y"});
  Inputs inputs{{"x", Tensor::from<float>({-5, 5}, {2})}};
  EXPECT_EQ(interpret(model.load().graph, {}, inputs).at(0).to_string(), "[-5.0, 1.0]");
}

TEST(OnnxInputs, TheDefaultDomainHasTwoNames) {
  OnnxModel model;
  model.proto().mutable_opset_import(0)->set_domain("ai.onnx");
  model.input("x", {2}).output("y");
  model.node("Relu", {"x"}, {"a"}).set_domain("ai.onnx");
  model.node("Neg", {"a"}, {"y"});
  EXPECT_EQ(model.load().graph.nodes().size(), 2u);
}

TEST(OnnxInputs, OtherDomainsAreLacking) {
  OnnxModel model;
  auto* domain = model.proto().add_opset_import();
  domain->set_domain("com.microsoft");
  domain->set_version(1);
  model.input("x", {2}).output("y");
  model.node("FusedGemm", {"x"}, {"y"}).set_domain("com.microsoft");
  EXPECT_THAT(error_of([&] { model.load(); }),
              HasSubstr("com.microsoft.FusedGemm of opset 1: FusedGemm (node 0)\n"
                        "    Weir has the ops of the domain ai.onnx only"));
}

// --- Constants and outputs ---------------------------------------------------

TEST(OnnxConstants, InEveryForm) {
  auto value_of = [](auto set) {
    OnnxModel model;
    model.input("x", {1}).output("y").output("x");
    set(model.node("Constant", {}, {"y"}, "c"));
    Model loaded = model.load();
    return to_string(loaded.graph.type(loaded.graph.outputs()[0].value)) + " " +
           interpret(loaded.graph, loaded.weights, {{"x", Tensor(DType::f32, {1})}})
               .at(0)
               .to_string();
  };
  EXPECT_EQ(value_of([](onnx::NodeProto& node) { set_int(node, "value_int", -3); }), "i64[] -3");
  EXPECT_EQ(value_of([](onnx::NodeProto& node) { set_ints(node, "value_ints", {1, INT64_MAX}); }),
            "i64[2] [1, 9223372036854775807]");
  EXPECT_EQ(value_of([](onnx::NodeProto& node) { set_float(node, "value_float", 0.1F); }),
            "f32[] 0.1");
  EXPECT_EQ(value_of([](onnx::NodeProto& node) {
              auto& list = attribute(node, "value_floats", onnx::AttributeProto::FLOATS);
              for (float value : {0.5F, -std::numeric_limits<float>::infinity()})
                list.add_floats(value);
            }),
            "f32[2] [0.5, -inf]");
  EXPECT_EQ(value_of([](onnx::NodeProto& node) {
              *attribute(node, "value", onnx::AttributeProto::TENSOR).mutable_t() =
                  onnx_format::proto_of(Tensor::from<double>({1, 2}, {1, 2}), "");
            }),
            "f64[1, 2] [[1.0, 2.0]]");
}

TEST(OnnxConstants, ThatAreNoDenseNumbersAreRefused) {
  auto error_with = [](const std::string& name, onnx::AttributeProto::AttributeType type) {
    OnnxModel model;
    model.output("y");
    attribute(model.node("Constant", {}, {"y"}, "c"), name, type);
    return error_of([&] { model.load(); });
  };
  EXPECT_THAT(error_with("value_string", onnx::AttributeProto::STRING), HasSubstr("strings"));
  EXPECT_THAT(error_with("value_strings", onnx::AttributeProto::STRINGS), HasSubstr("strings"));
  EXPECT_THAT(error_with("else", onnx::AttributeProto::INT), HasSubstr("it has no value"));
}

// Left out by an empty name, or because the list ends before.
TEST(OnnxOutputs, OptionalOnesMayBeLeftOut) {
  auto results_of = [](std::vector<std::string> outputs) {
    OnnxModel model;
    model.input("x", {1, 2}).initializer("scale", Tensor::from<float>({1, 1}, {2}));
    for (const std::string& output : outputs)
      if (!output.empty()) model.output(output);
    model.node("LayerNormalization", {"x", "scale"}, outputs);
    Model loaded = model.load();
    std::string text;
    for (const Tensor& result :
         interpret(loaded.graph, loaded.weights, {{"x", Tensor::from<float>({1, 3}, {1, 2})}}))
      text +=
          std::to_string(static_cast<float>(scalar::to_double(DType::f32, result.bits(0)))) + " ";
    return text;
  };
  EXPECT_EQ(results_of({"y"}), "-0.999995 ");
  EXPECT_EQ(results_of({"y", "mean"}), "-0.999995 2.000000 ");
  EXPECT_EQ(results_of({"y", "", "inverse"}), "-0.999995 0.999995 ");
  EXPECT_EQ(results_of({"", "mean"}), "2.000000 ");
}

}  // namespace
}  // namespace weir::test
