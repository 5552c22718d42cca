// Indices out of range: the interpreter and compiled code throw the same Error, which names the op,
// and the C side gets a status and the place; what is known before is refused before. No memory out
// of range is touched: the sanitizers' runs see it.
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/pipeline.h"
#include "ir/interpreter.h"
#include "ir/text.h"
#include "tests/unit/pipeline/compiled.h"
#include "tests/unit/pipeline/faults.h"

namespace weir::test {
namespace {

using ::testing::HasSubstr;

constexpr const char* kGather = R"(graph @lookup(%x: f32[V, 4], %at: i64[N]) -> (f32[N, 4]) {
  %y = gather(%x, %at)
  return %y
})";

Tensor indices(std::vector<std::int64_t> values) {
  auto count = static_cast<std::int64_t>(values.size());
  return Tensor::from(std::span<const std::int64_t>(values), {count});
}

TEST(DataFault, NamesTheOpAndTheIndex) {
  Tensor x(DType::f32, {5, 4});
  EXPECT_EQ(fault_of(kGather, {{"x", x}, {"at", indices({0, -5, 4})}}), "no error");
  EXPECT_EQ(fault_of(kGather, {{"x", x}, {"at", indices({0, 12, -6})}}),
            "model.weir:2:8: error: gather: index 12 is out of range [-5, 5)");
  EXPECT_EQ(fault_of(kGather, {{"x", x}, {"at", indices({0, -6, 12})}}),
            "model.weir:2:8: error: gather: index -6 is out of range [-5, 5)");
  EXPECT_EQ(
      fault_of(kGather, {{"x", x}, {"at", indices({std::numeric_limits<std::int64_t>::min()})}}),
      "model.weir:2:8: error: gather: index -9223372036854775808 is out of range [-5, 5)");
}

TEST(DataFault, OfNothing) {
  Tensor none(DType::f32, {0, 4});
  EXPECT_EQ(fault_of(kGather, {{"x", none}, {"at", indices({})}}), "no error");
  EXPECT_EQ(fault_of(kGather, {{"x", none}, {"at", indices({0})}}),
            "model.weir:2:8: error: gather: index 0 is out of range [0, 0)");
}

TEST(DataFault, IsTheFirstOfMany) {
  std::vector<std::int64_t> many(100'000, 2);
  many[70'001] = 7;
  many[90'000] = 8;
  EXPECT_EQ(fault_of(kGather, {{"x", Tensor(DType::f32, {5, 4})}, {"at", indices(many)}}),
            "model.weir:2:8: error: gather: index 7 is out of range [-5, 5)");
}

TEST(DataFault, OfTuplesAndUnsignedIndices) {
  std::string tuples = R"(graph @g(%x: f32[3, 7], %at: i64[N, 2]) -> (f32[N]) {
  %y = gather_nd(%x, %at)
  return %y
})";
  Tensor at = Tensor::from<std::int64_t>({2, 6, -3, -7, 1, 7}, {3, 2});
  EXPECT_EQ(fault_of(tuples, {{"x", Tensor(DType::f32, {3, 7})}, {"at", at}}),
            "model.weir:2:8: error: gather_nd: index 7 is out of range [-7, 7)");
  std::string bytes = R"(graph @g(%x: f32[3], %at: u8[N]) -> (f32[N]) {
  %y = gather_elements(%x, %at)
  return %y
})";
  EXPECT_EQ(fault_of(bytes, {{"x", Tensor(DType::f32, {3})},
                             {"at", Tensor::from<std::uint8_t>({2, 255}, {2})}}),
            "model.weir:2:8: error: gather_elements: index 255 is out of range [0, 3)");
}

TEST(DataFault, OfComputedIndicesThatAreFused) {
  std::string text = R"(graph @g(%x: f32[4], %at: f32[N], %u: f32[N]) -> (f32[4], f32[N]) {
  %i = cast(%at) {dtype = i64}
  %0 = gather(%x, %i)
  %y = leaky_relu(%0)
  %z = scatter_elements(%x, %i, %u) {reduction = "add"}
  return %z, %y
})";
  auto inputs = [](float index) {
    return Inputs{{"x", Tensor::from<float>({1, -2, 3, 4}, {4})},
                  {"at", Tensor::from<float>({0.5f, index}, {2})},
                  {"u", Tensor::from<float>({1, 1}, {2})}};
  };
  EXPECT_EQ(fault_of(text, inputs(3)), "no error");
  EXPECT_EQ(fault_of(text, inputs(4)),
            "model.weir:3:8: error: gather: index 4 is out of range [-4, 4)");
  EXPECT_THAT(fault_of(text, inputs(1e30f)), HasSubstr("index 9223372036854775807"));
}

// Labels do not count from the end.
TEST(DataFault, OfLabels) {
  std::string text = R"(graph @g(%x: f32[N, 3], %t: i64[N]) -> (f32[], f32[N, 3]) {
  %loss = cross_entropy(%x, %t) {label_smoothing = 0.1}
  %y = softmax(%x)
  return %loss, %y
})";
  auto inputs = [](std::int64_t label) {
    return Inputs{{"x", Tensor(DType::f32, {2, 3})}, {"t", indices({2, label})}};
  };
  EXPECT_EQ(fault_of(text, inputs(0)), "no error");
  EXPECT_EQ(fault_of(text, inputs(3)),
            "model.weir:2:11: error: cross_entropy: index 3 is out of range [0, 3)");
  EXPECT_EQ(fault_of(text, inputs(-1)),
            "model.weir:2:11: error: cross_entropy: index -1 is out of range [0, 3)");
  std::string places = R"(graph @g(%t: u8[N, 2]) -> (u8[N, 2]) {
  %y = in_range(%t) {sizes = [5, 7]}
  return %y
})";
  EXPECT_EQ(fault_of(places, {{"t", Tensor::from<std::uint8_t>({4, 6, 6, 4}, {2, 2})}}),
            "model.weir:2:8: error: in_range: index 6 is out of range [0, 5)");
}

// Nothing is read by an index into an axis of one element, and it is checked all the same.
TEST(DataFault, OfIndicesThatNoKernelReads) {
  std::string text = R"(graph @g(%x: i32[1], %a: i32[], %b: i32[]) -> (i32[]) {
  %i = remainder(%x, %a)
  %0 = gather_nd(%x, %i)
  %y = fmod(%0, %b)
  return %y
})";
  auto inputs = [](std::int32_t x) {
    return Inputs{{"x", Tensor::from<std::int32_t>({x}, {1})},
                  {"a", Tensor::from<std::int32_t>({9}, {})},
                  {"b", Tensor::from<std::int32_t>({3}, {})}};
  };
  EXPECT_EQ(fault_of(text, inputs(9)), "no error");
  EXPECT_EQ(fault_of(text, inputs(10)),
            "model.weir:3:8: error: gather_nd: index 1 is out of range [-1, 1)");
}

TEST(DataFault, OfRepeatedIndicesIsOneCheck) {
  Graph graph =
      parse_graph(R"(graph @g(%x: f32[5, 4], %at: i64[N], %u: f32[N, 4]) -> (f32[5, 4], f32[N, 4]) {
  %y = gather(%x, %at)
  %0 = reshape(%at) {shape = [N, 1]}
  %i = broadcast(%0) {shape = [N, 4]}
  %z = scatter_elements(%x, %i, %u) {reduction = "add"}
  return %z, %y
})",
                  "model.weir");
  EXPECT_EQ(lower_graph(graph).checks.size(), 1u);
}

TEST(DataFault, OfConstantsIsFoundBefore) {
  auto text = [](const char* index) {
    return std::string("graph @g(%x: f32[5]) -> (f32[]) {\n  %i = constant() {value = i64[] ") +
           index + "}\n  %y = gather(%x, %i)\n  return %y\n}";
  };
  Graph good = parse_graph(text("-5"), "model.weir"), bad = parse_graph(text("5"), "model.weir");
  EXPECT_TRUE(lower_graph(good).checks.empty());
  EXPECT_EQ(message_of([&] { lower_graph(bad); }),
            "model.weir:3:8: error: gather: index 5 is out of range [-5, 5)");
}

TEST(DataFault, OnTheCSide) {
  Executable executable = weir::compile(Model{parse_graph(kGather, "model.weir"), {}});
  std::vector<float> x(20, 1.0f), y(8, 7.0f);
  std::vector<std::int64_t> at{3, 9};
  const ptrdiff_t dims[] = {5, 2};
  const void* inputs[] = {x.data(), at.data()};
  void* outputs[] = {y.data()};
  std::vector<std::byte> memory(executable.workspace_bytes(dims) + WEIR_ALIGNMENT);
  void* workspace = memory.data();
  std::size_t space = memory.size();
  ASSERT_NE(std::align(WEIR_ALIGNMENT, executable.workspace_bytes(dims), workspace, space),
            nullptr);
  weir_call call{inputs, outputs, executable.weights(), workspace, dims, nullptr, nullptr};
  ASSERT_EQ(executable.program()(&call), WEIR_DATA_FAULT);
  weir_fault fault;
  std::memcpy(&fault, workspace, sizeof fault);
  EXPECT_EQ(fault.check, 0);
  EXPECT_EQ(fault.position, 1);
  EXPECT_EQ(fault.index, 9);
  at[1] = -1;
  EXPECT_EQ(executable.program()(&call), WEIR_OK);
  EXPECT_EQ(y, std::vector<float>(8, 1.0f));
}

}  // namespace
}  // namespace weir::test
