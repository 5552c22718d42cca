// Weights in files beside the model: inside its folder only, whatever the path or the file is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "ir/interpreter.h"
#include "onnx_models.h"
#include "support.h"

namespace weir::test {
namespace {

using testing::HasSubstr;

// y = x + w, with w = [10, 20] in a file.
OnnxModel model_with(const std::string& location, const std::string& offset = "0",
                     const std::string& length = "8") {
  OnnxModel model;
  model.input("x", {2}).output("y");
  model.node("Add", {"x", "w"}, {"y"});
  auto* tensor = model.graph().add_initializer();
  tensor->set_name("w");
  tensor->set_data_type(onnx::TensorProto::FLOAT);
  tensor->add_dims(2);
  tensor->set_data_location(onnx::TensorProto::EXTERNAL);
  auto add = [&](const char* key, const std::string& value) {
    auto* entry = tensor->add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  };
  add("location", location);
  if (!offset.empty()) add("offset", offset);
  if (!length.empty()) add("length", length);
  return model;
}

class OnnxExternalData : public testing::Test {
 protected:
  OnnxExternalData() {
    std::filesystem::create_directories(folder_.path("model/weights"));
    write("model/weights/w.bin");
    write("outside.bin");
  }

  void write(const std::string& name) {
    Tensor tensor = Tensor::from<float>({10, 20}, {2});
    write_file(folder_.path(name), {std::string(16, 'x'), bytes_of(tensor)});
  }
  std::string save(OnnxModel model) {
    std::string path = folder_.path("model/model.onnx");
    write_file(path, {model.proto().SerializeAsString()});
    return path;
  }
  std::string error(OnnxModel model) {
    std::string path = save(std::move(model));
    return error_of([&] { load_onnx(path); });
  }

  TemporaryFolder folder_;
};

TEST_F(OnnxExternalData, IsMappedAtItsOffset) {
  Model model = load_onnx(save(model_with("weights/w.bin", "16")));
  Inputs inputs{{"x", Tensor::from<float>({1, 2}, {2})}};
  EXPECT_EQ(interpret(model.graph, model.weights, inputs).at(0).to_string(), "[11.0, 22.0]");
  EXPECT_EQ(error_of([&] { load_onnx(save(model_with("./weights//w.bin", "16", ""))); }),
            "no error");
}

TEST_F(OnnxExternalData, PathsThatLeaveTheFolderAreRefused) {
  for (const char* path : {"../outside.bin", "weights/../../outside.bin", "..", "weights/.."})
    EXPECT_THAT(error(model_with(path)), HasSubstr("has a .. in its path, which is not allowed"))
        << path;
  EXPECT_THAT(error(model_with(folder_.path("model/weights/w.bin"))),
              HasSubstr("is an absolute path"));
  EXPECT_THAT(error(model_with("")), HasSubstr("has no name"));
  EXPECT_THAT(error(model_with("weights/")), HasSubstr("is a folder"));
  EXPECT_THAT(error(model_with(std::string("weights/w.bin\0.txt", 18))), HasSubstr("zero byte"));
}

TEST_F(OnnxExternalData, LinksAreRefused) {
  namespace fs = std::filesystem;
  fs::create_symlink("../outside.bin", folder_.path("model/link.bin"));
  EXPECT_THAT(error(model_with("link.bin")), HasSubstr("symbolic link"));
  fs::create_symlink("weights/w.bin", folder_.path("model/inside.bin"));
  EXPECT_THAT(error(model_with("inside.bin")), HasSubstr("symbolic link"));
  fs::create_directory_symlink("..", folder_.path("model/up"));
  EXPECT_THAT(error(model_with("up/outside.bin")), HasSubstr("symbolic link"));
  fs::create_hard_link(folder_.path("outside.bin"), folder_.path("model/hard.bin"));
  EXPECT_THAT(error(model_with("hard.bin")), HasSubstr("hard link"));
}

TEST_F(OnnxExternalData, WhatIsNoRegularFileIsRefused) {
  EXPECT_THAT(error(model_with("weights")), HasSubstr("not a regular file"));
  ASSERT_EQ(::mkfifo(folder_.path("model/pipe").c_str(), 0600), 0);
  EXPECT_THAT(error(model_with("pipe")), HasSubstr("not a regular file"));
  EXPECT_THAT(error(model_with("none.bin")), HasSubstr("cannot be opened: No such file"));
}

TEST_F(OnnxExternalData, OffsetsAndLengthsThatLie) {
  EXPECT_THAT(error(model_with("weights/w.bin", "20")),
              HasSubstr("f32[2] at byte 20 needs 8 bytes; the file has 24"));
  EXPECT_THAT(error(model_with("weights/w.bin", "400")),
              HasSubstr("f32[2] at byte 400 needs 8 bytes; the file has 24"));
  EXPECT_THAT(error(model_with("weights/w.bin", "18446744073709551615")),
              HasSubstr("needs 8 bytes"));
  EXPECT_THAT(error(model_with("weights/w.bin", "-1")), HasSubstr("must be a number of bytes"));
  EXPECT_THAT(error(model_with("weights/w.bin", "0", "9")), HasSubstr("takes 8 bytes"));
}

TEST_F(OnnxExternalData, IsForInitializersOnly) {
  OnnxModel model;
  model.output("y");
  auto& node = model.node("Constant", {}, {"y"});
  *attribute(node, "value", onnx::AttributeProto::TENSOR).mutable_t() =
      model_with("weights/w.bin").graph().initializer(0);
  EXPECT_THAT(error(std::move(model)), HasSubstr("for initializers of a model only"));
}

}  // namespace
}  // namespace weir::test
