// What is written when a model is exported, and what is refused.
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/frontend/file.h"
#include "compiler/frontend/onnx/export.h"
#include "compiler/frontend/save_model.h"
#include "tests/support/graphs.h"
#include "tests/support/temporary_folder.h"

namespace weir::test {
namespace {

using testing::HasSubstr;

std::string export_error(std::string_view text) {
  return error_of([&] { export_onnx({parse(text), {}}); });
}

TEST(OnnxExport, TheSameModelGivesTheSameBytes) {
  const char* text = "graph @g(%x: f32[N, 4]) -> (f32[N, 4]) {\n  %y = gelu(%x)\n  return %y\n}\n";
  std::string here = export_onnx({parse_graph(text, "here/model.weir"), {}});
  EXPECT_EQ(here, export_onnx({parse_graph(text, "/elsewhere/model.weir"), {}}));
  EXPECT_THAT(here, HasSubstr("gelu, model.weir:2:8"));
}

// Inputs and outputs share one space of names in ONNX.
TEST(OnnxExport, AnOutputNamedLikeAnInputIsRefused) {
  EXPECT_EQ(
      export_error("graph @g(%x: f32[3]) -> (f32[3]) {\n  %y = neg(%x)\n  return %y as \"x\"\n}"),
      "test.weir:2:8: error: the output \"x\" has the name of an input or param, which ONNX "
      "does not allow; give it another one\n    %y = neg(%x)\n         ^");
}

TEST(OnnxExport, NamesHaveToBeUtf8) {
  GraphBuilder builder;
  builder.output("y", builder.input("x\xFF", DType::f32, {3}));
  EXPECT_THAT(error_of([&] { export_onnx(builder.finish()); }),
              HasSubstr("the name \"x\\xff\" is not UTF-8, which ONNX requires"));
}

TEST(OnnxExport, ASizeThatDoesNotFollowIsRefusedAtItsNode) {
  EXPECT_EQ(export_error("graph @g(%x: f32[N*M]) -> (f32[N, M]) {\n  param %w: f32[N, M]\n"
                         "  %y = reshape(%x) {shape = [N, M]}\n  return %y\n}"),
            "test.weir:3:8: error: reshape: the size of symbol N is needed, and it does not follow "
            "from the sizes of the inputs: no dimension of theirs is linear in it\n"
            "    %y = reshape(%x) {shape = [N, M]}\n         ^");
}

TEST(OnnxExport, ParamsNeedValuesOfTheirTypes) {
  const char* text =
      "graph @g(%x: f32[3]) -> (f32[3]) {\n  param %w: f32[3]\n  %y = mul(%x, %w)\n  return %y\n}";
  const std::string line = "\n    param %w: f32[3]\n          ^";
  EXPECT_EQ(export_error(text), "test.weir:2:9: error: the param %w has no value" + line);
  EXPECT_EQ(
      error_of([&] { export_onnx({parse(text), {{"w", Tensor(DType::f64, {3})}}}); }),
      "test.weir:2:9: error: the param %w is declared as f32[3], and its value is f64[3]" + line);
}

TEST(OnnxExport, LargeWeightsLieBesideTheModel) {
  GraphBuilder builder;
  Var x = builder.input("x", DType::f32, {1, 40});
  Var w = builder.param("w", Tensor(DType::f32, {40, 40}));
  Var b = builder.param("b", Tensor(DType::f32, {40}));
  builder.output("y", builder.apply("linear", {x, w, b}));
  Model model = builder.finish();
  TemporaryFolder folder;
  std::string path = folder / "model.onnx";

  write_onnx(path, model, {.inline_limit = 40 * 41 * 4});
  EXPECT_THAT(folder.names(), testing::ElementsAre("model.onnx"));
  EXPECT_EQ(read_file(path), export_onnx(model));

  write_onnx(path, model, {.inline_limit = 40 * 41 * 4 - 1});
  EXPECT_THAT(folder.names(), testing::ElementsAre("model.onnx", "model.onnx.data"));
  EXPECT_EQ(std::filesystem::file_size(path + ".data"), 40u * 40 * 4);
  EXPECT_LT(std::filesystem::file_size(path), 2000u);
}

TEST(SaveModel, WritesAllFilesOrNone) {
  GraphBuilder builder;
  Var w = builder.param("w", Tensor(DType::f32, {2000}));
  builder.output("y", builder.apply("neg", {w}));
  Model model = builder.finish();
  TemporaryFolder folder;
  // The model's own name is taken by a folder; the weights beside it must not be written.
  std::filesystem::create_directory(folder / "a.onnx");
  std::filesystem::create_directory(folder / "b.weir");
  std::ofstream(folder / "a.onnx.data") << "old";
  for (const char* name : {"a.onnx", "b.weir"})
    EXPECT_THAT(error_of([&] { save_model(folder / name, model, {.inline_limit = 0}); }),
                HasSubstr("this is a folder, not a file"));
  EXPECT_EQ(read_file(folder / "a.onnx.data"), "old");
  EXPECT_THAT(folder.names(), testing::ElementsAre("a.onnx", "a.onnx.data", "b.weir"));
}

}  // namespace
}  // namespace weir::test
