// Which ops are one node of ONNX's when they are written, and with which attributes.
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include "compiler/frontend/file.h"
#include "compiler/frontend/onnx/export.h"
#include "compiler/frontend/onnx/onnx_file.h"
#include "ir/text.h"
#include "tests/support/graphs.h"

namespace weir::test {
namespace {

using testing::HasSubstr;

// The types of the nodes.
std::vector<std::string> nodes_of(std::string_view text) {
  onnx::ModelProto model;
  EXPECT_TRUE(model.ParseFromString(export_onnx({parse(text), {}})));
  std::vector<std::string> types;
  for (const onnx::NodeProto& node : model.graph().node()) types.push_back(node.op_type());
  return types;
}

std::string normalization(const char* attributes) {
  return fmt::format(
      "graph @g(%x: f32[N, 3, 5], %s: f32[3], %b: f32[3], %m: f32[3], %v: f32[3]) {{\n"
      "  %y, %rm, %rv = batch_norm_training(%x, %s, %b, %m, %v) {{{}}}\n"
      "  return %y, %rm, %rv\n}}",
      attributes);
}

// Both forms of running statistics are mean * momentum + m * (1 - momentum); PyTorch's variance is
// not ONNX's.
TEST(OnnxWrittenNodes, NormalizationInTrainingIsOneNode) {
  const std::string text = normalization("epsilon = 0.001, momentum = 0.85");
  EXPECT_THAT(nodes_of(text), testing::ElementsAre("BatchNormalization"));
  onnx::ModelProto model;
  ASSERT_TRUE(model.ParseFromString(export_onnx({parse(text), {}})));
  const onnx::NodeProto& node = model.graph().node(0);
  EXPECT_EQ(node.input_size(), 5);
  EXPECT_EQ(node.output_size(), 3);
  std::map<std::string, double> attributes;
  for (const onnx::AttributeProto& attribute : node.attribute())
    attributes[attribute.name()] =
        attribute.name() == "training_mode" ? static_cast<double>(attribute.i()) : attribute.f();
  EXPECT_EQ(attributes, (std::map<std::string, double>{
                            {"epsilon", 0.001F}, {"momentum", 0.85F}, {"training_mode", 1}}));
  const Graph read = read_onnx(memory_file(export_onnx({parse(text), {}}), "read.onnx"), ".").graph;
  EXPECT_THAT(print(read),
              HasSubstr("batch_norm_training(%x, %s, %b, %m, %v) {epsilon = 0.001, momentum = "
                        "0.85}"));
  EXPECT_THAT(nodes_of(normalization("unbiased = true")),
              testing::Not(testing::Contains("BatchNormalization")));
}

// What its places are where maxima are equal is Weir's own.
TEST(OnnxWrittenNodes, PlacesOfMaximaAreWrittenOut) {
  EXPECT_THAT(nodes_of("graph @g(%x: f32[1, 2, 6]) {\n  %y, %t = arg_max_pool(%x) {kernel = [2]}\n"
                       "  return %y, %t\n}"),
              testing::Not(testing::Contains("MaxPool")));
}

}  // namespace
}  // namespace weir::test
