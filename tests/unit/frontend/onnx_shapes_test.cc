// Shape arithmetic of exporters is worked out while the model is loaded: to numbers, or to
// polynomials in the dimensions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/interpreter.h"
#include "ir/text.h"
#include "onnx_models.h"
#include "support.h"

namespace weir::test {
namespace {

using testing::HasSubstr;

Tensor list(std::vector<std::int64_t> values) {
  auto size = static_cast<std::int64_t>(values.size());
  return Tensor::from<std::int64_t>(values, {size});
}
Tensor one(std::int64_t value) { return Tensor::from<std::int64_t>({value}, {}); }

// The model's one output type.
std::string output_type(const Model& model) {
  return to_string(model.graph.type(model.graph.outputs()[0].value));
}

// x.view(x.size(0), -1, 2 * x.size(2)), as PyTorch writes it.
TEST(OnnxShapes, ViewsOfSizes) {
  OnnxModel model(13);
  model.input("x", {"N", 6, "T"}).output("y");
  model.initializer("zero", one(0)).initializer("two", one(2)).initializer("axis", list({0}));
  model.initializer("minus", list({-1}));
  model.node("Shape", {"x"}, {"shape"});
  model.node("Gather", {"shape", "zero"}, {"n"});
  model.node("Gather", {"shape", "two"}, {"t"});
  model.node("Mul", {"t", "two"}, {"t2"});
  model.node("Unsqueeze", {"n", "axis"}, {"n1"});
  model.node("Unsqueeze", {"t2", "axis"}, {"t21"});
  set_int(model.node("Concat", {"n1", "minus", "t21"}, {"target"}), "axis", 0);
  model.node("Reshape", {"x", "target"}, {"y"});
  EXPECT_EQ(print(model.load().graph),
            "graph @test(%x: f32[N, 6, T]) -> (f32[N, 3, 2*T]) {\n"
            "  %y = reshape(%x) {shape = [N, 3, 2*T]}\n"
            "  return %y\n"
            "}\n");
}

// Sizes are scaled in floating point and cast back, as for a Resize.
TEST(OnnxShapes, SizesThroughFloats) {
  OnnxModel model(13);
  model.input("x", {"N", 4}).output("y");
  model.initializer("scale", Tensor::from<float>({0.5f, 2}, {2}));
  model.node("Shape", {"x"}, {"shape"});
  set_int(model.node("Cast", {"shape"}, {"float"}), "to", onnx::TensorProto::FLOAT);
  model.initializer("twice", Tensor::from<float>({2, 1}, {2}));
  model.node("Mul", {"float", "twice"}, {"wide"});
  model.node("Mul", {"wide", "scale"}, {"scaled"});
  model.node("Floor", {"scaled"}, {"whole"});
  set_int(model.node("Cast", {"whole"}, {"target"}), "to", onnx::TensorProto::INT64);
  model.node("ConstantOfShape", {"target"}, {"y"});
  EXPECT_EQ(output_type(model.load()), "f32[N, 8]");
}

// torch.Tensor.expand: sizes of -1 are replaced through ConstantOfShape, Equal and Where.
TEST(OnnxShapes, ExpandOfPyTorch) {
  OnnxModel model(13);
  model.input("x", {"N", 1}).input("z", {"N", "M"}).output("y");
  model.initializer("minus", one(-1)).initializer("rank", list({2}));
  model.node("Shape", {"z"}, {"shape"});
  auto& ones = model.node("ConstantOfShape", {"rank"}, {"ones"});
  *attribute(ones, "value", onnx::AttributeProto::TENSOR).mutable_t() =
      onnx_format::proto_of(list({1}), "");
  model.node("Mul", {"ones", "minus"}, {"minuses"});
  model.node("Equal", {"shape", "minuses"}, {"is_minus"});
  model.node("Where", {"is_minus", "ones", "shape"}, {"target"});
  model.node("Expand", {"x", "target"}, {"y"});
  EXPECT_EQ(output_type(model.load()), "f32[N, M]");
}

TEST(OnnxShapes, ProductsSlicesAndSplits) {
  OnnxModel model(13);
  model.input("x", {"N", "M", 3, 5}).output("y");
  model.initializer("starts", list({1})).initializer("ends", list({INT64_MAX}));
  model.initializer("first", list({0})).initializer("one", list({1}));
  model.node("Shape", {"x"}, {"shape"});
  model.node("Slice", {"shape", "starts", "ends"}, {"tail"});
  set_int(model.node("ReduceProd", {"tail"}, {"product"}), "keepdims", 1);
  model.node("Slice", {"shape", "first", "one"}, {"head"});
  set_int(model.node("Concat", {"head", "product"}, {"target"}), "axis", 0);
  model.node("Reshape", {"x", "target"}, {"y"});
  EXPECT_EQ(output_type(model.load()), "f32[N, 15*M]");
}

TEST(OnnxShapes, ARangeOverASize) {
  OnnxModel model(13);
  model.input("x", {"N", 2}).output("y");
  model.initializer("zero", one(0)).initializer("one", one(1));
  model.node("Shape", {"x"}, {"shape"});
  model.node("Gather", {"shape", "zero"}, {"n"});
  model.node("Range", {"zero", "n", "one"}, {"y"});
  Model loaded = model.load();
  EXPECT_EQ(output_type(loaded), "i64[N]");
  EXPECT_EQ(interpret(loaded.graph, {}, {{"x", Tensor(DType::f32, {3, 2})}}).at(0).to_string(),
            "[0, 1, 2]");
}

// Sizes that the model computes with enter the graph.
TEST(OnnxShapes, SizesAsValues) {
  OnnxModel model(13);
  model.input("x", {"N", 2}).output("shape").output("y");
  model.node("Shape", {"x"}, {"shape"});
  set_int(model.node("Cast", {"shape"}, {"float"}), "to", onnx::TensorProto::FLOAT);
  model.node("Div", {"x", "float"}, {"y"});
  Model loaded = model.load();
  std::vector<Tensor> results =
      interpret(loaded.graph, {}, {{"x", Tensor::from<float>({4, 4, 8, 8}, {2, 2})}});
  EXPECT_EQ(results.at(0).to_string(), "[2, 2]");
  EXPECT_EQ(results.at(1).to_string(), "[[2.0, 2.0], [4.0, 4.0]]");
}

TEST(OnnxShapes, UnnamedDimensionsAreDistinct) {
  for (const char* name : {"?", "None", "", "-1"}) {
    OnnxModel model;
    model.input("x", {name, name}).output("x");
    EXPECT_EQ(output_type(model.load()), "f32[x_0, x_1]") << name;
  }
}

TEST(OnnxShapes, NamesThatAreNoIdentifiersStayDistinct) {
  OnnxModel model;
  model.input("x", {"batch size", "batch_size", "2nd", "batch size"}).output("x");
  EXPECT_EQ(output_type(model.load()), "f32[batch_size, batch_size_1, _2nd, batch_size]");
}

TEST(OnnxShapes, NegativeSizesAreUnnamedDimensions) {
  OnnxModel model;
  model.input("x", {7}).output("x");
  model.graph()
      .mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(0)
      ->set_dim_value(-1);
  EXPECT_EQ(output_type(model.load()), "f32[x_0]");
}

TEST(OnnxShapes, AShapeThatIsComputedIsRefusedAndAGivenOneIsFixed) {
  OnnxModel model(13);
  model.input("x", {2, 3}).input("shape", {2}, onnx::TensorProto::INT64).output("y");
  model.node("Abs", {"shape"}, {"positive"});
  model.node("Reshape", {"x", "positive"}, {"y"}, "view");
  std::string error = error_of([&] { model.load(); });
  EXPECT_THAT(error, HasSubstr("Reshape \"view\""));
  EXPECT_THAT(error, HasSubstr("its shape, \"positive\", is computed when the model runs"));

  OnnxOptions options;
  options.given.emplace("shape", list({-3, 2}));
  options.given.emplace("x", Tensor(DType::f32, {2, 3}));
  Model loaded = model.load(options);
  EXPECT_EQ(output_type(loaded), "f32[3, 2]");
  ASSERT_EQ(loaded.graph.inputs().size(), 1u);
  EXPECT_EQ(loaded.graph.value(loaded.graph.inputs()[0]).name, "x");
}

TEST(OnnxShapes, WhatDoesNotDivideIsSaid) {
  OnnxModel model(13);
  model.input("x", {"N", 3}).output("y");
  model.initializer("target", list({-1, 2}));
  model.node("Reshape", {"x", "target"}, {"y"});
  EXPECT_THAT(error_of([&] { model.load(); }), HasSubstr("3*N elements do not divide by 2"));
}

// Sizes are divided by integers; what else is no polynomial in them is named where it is needed.
TEST(OnnxShapes, QuotientsOfSizes) {
  auto model_with = [](const std::string& op, std::int64_t operand) {
    OnnxModel model(13);
    model.input("x", {"N", 3}).output("y");
    model.initializer("zero", list({0})).initializer("one", list({1}));
    model.initializer("operand", list({operand}));
    model.node("Shape", {"x"}, {"shape"});
    model.node("Slice", {"shape", "zero", "one"}, {"n"});
    set_int(model.node("Concat", {"n"}, {"list"}), "axis", 0);
    model.node(op, {"list", "operand"}, {"part"});
    model.node("Add", {"part", "one"}, {"target"});
    model.node("ConstantOfShape", {"target"}, {"y"}, "fill");
    return model;
  };
  EXPECT_EQ(output_type(model_with("Div", 1).load()), "f32[N + 1]");
  EXPECT_EQ(output_type(model_with("Div", 2).load()), "f32[floordiv(N, 2) + 1]");
  auto error_with = [&](const std::string& op, std::int64_t operand) {
    return error_of([&] { model_with(op, operand).load(); });
  };
  EXPECT_THAT(error_with("Div", -2),
              HasSubstr("ConstantOfShape \"fill\"\n    its shape, \"target\", depends on N / -2, "
                        "which is no polynomial"));
  EXPECT_THAT(error_with("Mod", 2), HasSubstr("depends on (N - 2*floordiv(N, 2)) == 0, which"));
  EXPECT_THAT(error_with("Min", 512), HasSubstr("depends on N min 512, which"));
}

TEST(OnnxShapes, WhatDependsOnAComparisonIsNamed) {
  OnnxModel model(13);
  model.input("x", {"N", 3}).output("y");
  model.initializer("zero", one(0)).initializer("limit", one(7)).initializer("axis", list({0}));
  model.node("Shape", {"x"}, {"shape"});
  model.node("Gather", {"shape", "zero"}, {"n"});
  model.node("Less", {"n", "limit"}, {"is_short"});
  model.node("Where", {"is_short", "n", "limit"}, {"size"});
  model.node("Unsqueeze", {"size", "axis"}, {"target"});
  model.node("ConstantOfShape", {"target"}, {"y"});
  EXPECT_THAT(error_of([&] { model.load(); }), HasSubstr("depends on N < 7, which"));
}

// --- Sizes that have to be large enough ------------------------------------------

// x[:, place] and the output's values for x = 0, 1, 2 ... of two rows.
struct Taken {
  std::string type, values;
};
Taken taken_by(OnnxModel& model, std::int64_t columns) {
  Model loaded = model.load();
  Tensor x(DType::f32, {2, columns});
  for (std::int64_t i = 0; i < x.element_count(); ++i)
    x.set_bits(i, scalar::from_f32(static_cast<float>(i)));
  return {to_string(loaded.graph.type(loaded.graph.inputs()[0])),
          interpret(loaded.graph, loaded.weights, {{"x", x}}).at(0).to_string()};
}

TEST(OnnxShapes, ElementsOfASymbolicAxisMakeItLongEnough) {
  auto gather = [](std::vector<std::int64_t> places) {
    OnnxModel model(13);
    model.input("x", {2, "T"}).output("y").initializer("places", list(std::move(places)));
    set_int(model.node("Gather", {"x", "places"}, {"y"}), "axis", 1);
    return taken_by(model, 4);
  };
  EXPECT_EQ(gather({-1}).type, "f32[2, T_minus_1 + 1]");
  EXPECT_EQ(gather({-1}).values, "[[3.0], [7.0]]");
  EXPECT_EQ(gather({0}).values, "[[0.0], [4.0]]");
  EXPECT_EQ(gather({2, -4, -1}).type, "f32[2, T_minus_4 + 4]");
  EXPECT_EQ(gather({2, -4, -1}).values, "[[2.0, 0.0, 3.0], [6.0, 4.0, 7.0]]");
}

TEST(OnnxShapes, PartsOfASymbolicAxisMakeItLongEnough) {
  auto slice = [](std::int64_t start, std::int64_t end) {
    OnnxModel model(13);
    model.input("x", {2, "T"}).output("y").initializer("axis", list({1}));
    model.initializer("start", list({start})).initializer("end", list({end}));
    model.node("Slice", {"x", "start", "end", "axis"}, {"y"});
    return taken_by(model, 4);
  };
  EXPECT_EQ(slice(-3, INT64_MAX).type, "f32[2, T_minus_3 + 3]");
  EXPECT_EQ(slice(-3, INT64_MAX).values, "[[1.0, 2.0, 3.0], [5.0, 6.0, 7.0]]");
  EXPECT_EQ(slice(2, INT64_MAX).values, "[[2.0, 3.0], [6.0, 7.0]]");
  EXPECT_EQ(slice(-3, -1).values, "[[1.0, 2.0], [5.0, 6.0]]");
  EXPECT_EQ(slice(1, -1).type, "f32[2, T_minus_2 + 2]") << "the part is not turned around";
  EXPECT_EQ(slice(1, -1).values, "[[1.0, 2.0], [5.0, 6.0]]");
  EXPECT_EQ(slice(-2, 0).values, "[[], []]");
  EXPECT_EQ(slice(0, INT64_MAX).type, "f32[2, T]") << "nothing is asked for";
}

// One after the other, and at every place that has the symbol.
TEST(OnnxShapes, NeedsAddUp) {
  OnnxModel model(13);
  model.input("x", {"N", "T"}).input("mask", {"T", "2*T - 1"}).output("y").output("mask");
  model.initializer("axis", list({1})).initializer("two", list({2}));
  model.initializer("end", list({INT64_MAX}));
  model.node("Slice", {"x", "two", "end", "axis"}, {"h"});
  model.node("Slice", {"h", "two", "end", "axis"}, {"y"});
  Model loaded = model.load();
  EXPECT_EQ(to_string(loaded.graph.type(loaded.graph.inputs()[0])), "f32[N, T_minus_4 + 4]");
  EXPECT_EQ(to_string(loaded.graph.type(loaded.graph.inputs()[1])),
            "f32[T_minus_4 + 4, 2*T_minus_4 + 7]");
  EXPECT_EQ(output_type(loaded), "f32[N, T_minus_4]");
  EXPECT_THAT(error_of([&] {
                interpret(
                    loaded.graph, {},
                    {{"x", Tensor(DType::f32, {1, 3})}, {"mask", Tensor(DType::f32, {3, 5})}});
              }),
              HasSubstr("input x is declared as f32[N, T_minus_4 + 4] and given as f32[1, 3]: "
                        "dimension 1 is T_minus_4 + 4, which is 4 at least"));
}

// Each round finds one more; the reader does not go on for ever.
TEST(OnnxShapes, NeedsWithoutEndAreRefused) {
  OnnxModel model(13);
  model.input("v0", {"N"}).output("v100");
  model.initializer("one", list({1})).initializer("end", list({INT64_MAX}));
  for (int i = 0; i < 100; ++i)
    model.node("Slice", {"v" + std::to_string(i), "one", "end"}, {"v" + std::to_string(i + 1)});
  EXPECT_THAT(error_of([&] { model.load(); }), HasSubstr("which may be shorter"));
}

TEST(OnnxShapes, PlacesBeyondEveryAxisAreRefused) {
  for (std::int64_t place : {INT64_MAX, INT64_MIN, INT64_MAX - 1}) {
    OnnxModel model(13);
    model.input("x", {"T"}).output("y").initializer("places", list({place}));
    model.node("Gather", {"x", "places"}, {"y"});
    EXPECT_THAT(error_of([&] { model.load(); }), HasSubstr("error")) << place;
  }
}

// Which elements a negative step visits, by the rules of ONNX's Slice.
TEST(OnnxShapes, SlicesBackwards) {
  auto slice = [](std::int64_t start, std::int64_t end, std::int64_t step) {
    OnnxModel model(13);
    model.input("x", {2, 5}).output("y").initializer("axis", list({1}));
    model.initializer("start", list({start})).initializer("end", list({end}));
    model.initializer("step", list({step}));
    model.node("Slice", {"x", "start", "end", "axis", "step"}, {"y"});
    return taken_by(model, 5).values;
  };
  EXPECT_EQ(slice(-1, INT64_MIN, -1), "[[4.0, 3.0, 2.0, 1.0, 0.0], [9.0, 8.0, 7.0, 6.0, 5.0]]");
  EXPECT_EQ(slice(4, 0, -2), "[[4.0, 2.0], [9.0, 7.0]]");
  EXPECT_EQ(slice(100, -100, -3), "[[4.0, 1.0], [9.0, 6.0]]");
  EXPECT_EQ(slice(3, -3, -1), "[[3.0], [8.0]]");
  EXPECT_EQ(slice(-1, INT64_MIN, INT64_MIN), "[[4.0], [9.0]]");
  EXPECT_EQ(slice(1, 3, -1), "[[], []]");
}

// A dimension whose name is a formula is that polynomial where a call can tell its symbols, and a
// symbol of its own where it cannot.
TEST(OnnxShapes, DimensionsNamedByFormulas) {
  auto type_of = [](std::vector<OnnxDim> dims) {
    OnnxModel model;
    model.input("x", std::move(dims)).output("y");
    model.node("Relu", {"x"}, {"y"});
    return output_type(model.load());
  };
  EXPECT_EQ(type_of({"4*N + 1"}), "f32[4*N + 1]");
  EXPECT_EQ(type_of({"2*batch-3", "batch"}), "f32[2*batch - 3, batch]");
  EXPECT_EQ(type_of({"N*M", "N", "M"}), "f32[M*N, N, M]");
  EXPECT_EQ(type_of({"N*M + M", "N"}), "f32[M*N + M, N]");
  EXPECT_EQ(type_of({"N*M", 3}), "f32[N_M, 3]");
  EXPECT_EQ(type_of({"N*N"}), "f32[N_N]");
  EXPECT_EQ(type_of({"N/2"}), "f32[N_2]");
  EXPECT_EQ(type_of({"3*floordiv(N + 5, 2) + 1", "N"}), "f32[3*floordiv(N + 1, 2) + 7, N]");
  EXPECT_EQ(type_of({"floordiv(N, 2)"}), "f32[floordiv_N__2_]");
  EXPECT_EQ(type_of({"floordiv(N, 0)", "N"}), "f32[floordiv_N__0_, N]");
  EXPECT_EQ(type_of({"N + "}), "f32[N___]");
  EXPECT_EQ(type_of({"9223372036854775807*N + 9223372036854775807*N"}).substr(0, 6), "f32[_9");
}

}  // namespace
}  // namespace weir::test
