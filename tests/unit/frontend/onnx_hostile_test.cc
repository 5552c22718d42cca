// Models that were made to do harm: they are refused with a sentence, in linear time and little
// memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "onnx_models.h"
#include "support.h"

namespace weir::test {
namespace {

using testing::HasSubstr;
using testing::Not;

OnnxModel chain(int length) {
  OnnxModel model;
  model.input("x", {2});
  for (int i = 0; i < length; ++i)
    model.node("Relu", {i == 0 ? "x" : "v" + std::to_string(i)}, {"v" + std::to_string(i + 1)});
  model.output("v" + std::to_string(length));
  return model;
}

TEST(OnnxHostile, MoreNodesThanAllowedAreRefusedBeforeTheyAreRead) {
  OnnxModel model = chain(1001);
  OnnxOptions options;
  options.limits.nodes = 1000;
  EXPECT_THAT(error_of([&] { model.load(options); }),
              HasSubstr("the model has 1001 nodes, and at most 1000 are allowed"));
  options.limits.nodes = 1001;
  EXPECT_EQ(error_of([&] { model.load(options); }), "no error");
}

TEST(OnnxHostile, MoreMemoryThanAllowedIsRefusedBeforeItIsTaken) {
  OnnxModel model = chain(2000);
  std::string bytes = model.proto().SerializeAsString();
  OnnxOptions options;
  options.limits.memory = 100'000;
  FileBytes file = memory_file(bytes, "test.onnx");
  std::string error;
  EXPECT_LT(peak_memory_of([&] { error = error_of([&] { read_onnx(file, ".", options); }); }),
            10'000u);
  EXPECT_THAT(error, HasSubstr("--max-memory sets this limit"));
}

// Read last to first, so that each node waits for the one behind it.
TEST(OnnxHostile, ManyNodesInReverseOrder) {
  OnnxModel model = chain(100'000);
  auto* nodes = model.graph().mutable_node();
  for (int i = 0, j = nodes->size() - 1; i < j; ++i, --j) nodes->SwapElements(i, j);
  EXPECT_EQ(model.load().graph.nodes().size(), 100'000u);
}

TEST(OnnxHostile, NamesWithControlCharactersAreEscaped) {
  OnnxModel model;
  model.input("x", {2}).input("z", {3}).output("y");
  model.node("Add", {"x", "z"}, {"y"}, "evil\n\x1b[31m\xff");
  std::string error = error_of([&] { model.load(); });
  EXPECT_THAT(error, HasSubstr("Add \"evil\\n\\x1b[31m\\xff\" in test.onnx"));
  EXPECT_THAT(error, Not(HasSubstr("\x1b")));
}

TEST(OnnxHostile, NamesWithTwoOriginsAreRefused) {
  OnnxModel twice;
  twice.input("x", {2}).output("y");
  twice.node("Relu", {"x"}, {"y"}, "one");
  twice.node("Abs", {"x"}, {"y"}, "two");
  EXPECT_THAT(error_of([&] { twice.load(); }),
              HasSubstr("Relu \"one\" and Abs \"two\" both have an output named \"y\""));
  OnnxModel input;
  input.input("x", {2}).output("x");
  input.node("Relu", {"x"}, {"x"});
  EXPECT_NE(error_of([&] { input.load(); }), "no error");
  OnnxModel inputs;
  inputs.input("x", {2}).input("x", {2}).output("x");
  EXPECT_THAT(error_of([&] { inputs.load(); }), HasSubstr("the name %x is already taken"));
}

TEST(OnnxHostile, InputsFromNowhereAreRefused) {
  OnnxModel model;
  model.input("x", {2}).output("y");
  model.node("Add", {"x", "missing"}, {"y"}, "sum");
  EXPECT_THAT(error_of([&] { model.load(); }),
              HasSubstr("Add \"sum\" reads \"missing\", which is "));
  OnnxModel output;
  output.input("x", {2}).output("missing");
  EXPECT_THAT(error_of([&] { output.load(); }), HasSubstr("output \"missing\" in test.onnx"));
}

TEST(OnnxHostile, SizesWhoseProductOverflows) {
  OnnxModel model;
  model.input("x", {2}).output("y");
  model.initializer("shape", Tensor::from<std::int64_t>({1L << 40, 1L << 40}, {2}));
  model.node("ConstantOfShape", {"shape"}, {"y"});
  EXPECT_NE(error_of([&] { model.load(); }), "no error");
}

TEST(OnnxHostile, EmptyAndForeignFiles) {
  auto error = [](const std::string& bytes) {
    return error_of([&] { read_onnx(memory_file(bytes, "f.onnx"), "."); });
  };
  EXPECT_THAT(error(""), HasSubstr("the file has no graph"));
  EXPECT_THAT(error("graph @x() -> ()"), HasSubstr("this is no ONNX model"));
  EXPECT_THAT(error(std::string(100, '\0')), HasSubstr("this is no ONNX model"));
}

// Every prefix and a thousand random changes of a model are a model or an Error, nothing else.
TEST(OnnxHostile, MutationsGiveAModelOrAnError) {
  OnnxModel model(13);
  model.input("x", {"N", 4}).output("y");
  model.initializer("w", Tensor(DType::f32, {4, 3}));
  model.initializer("shape", Tensor::from<std::int64_t>({-1, 1, 3}, {3}));
  model.node("MatMul", {"x", "w"}, {"h"});
  set_float(model.node("LeakyRelu", {"h"}, {"a"}), "alpha", 0.1f);
  model.node("Reshape", {"a", "shape"}, {"y"});
  std::string bytes = model.proto().SerializeAsString();
  auto load = [](const std::string& content) {
    try {
      read_onnx(memory_file(content, "f.onnx"), ".");
    } catch (const Error&) {
    }
  };
  for (std::size_t length = 0; length < bytes.size(); ++length) load(bytes.substr(0, length));
  std::mt19937 random(1);
  for (int i = 0; i < 1000; ++i) {
    std::string changed = bytes;
    for (int k = 0; k < 3; ++k) changed[random() % changed.size()] = static_cast<char>(random());
    load(changed);
  }
}

}  // namespace
}  // namespace weir::test
