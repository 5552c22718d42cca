// The program of an Executable through the C ABI: a raw weir_call from C++, and a caller written in
// C.
#include "tests/unit/pipeline/c_call.h"

#include <vector>

#include <gtest/gtest.h>

#include "compiler/pipeline.h"
#include "ir/builder_ops.h"

namespace weir {
namespace {

constexpr std::int64_t kFeatures = 24;

// Two layers, so that there is a value to keep in the workspace, and weights.
Model layers() {
  GraphBuilder builder("layers");
  std::vector<float> weights;
  for (int i = 0; i < kFeatures * kFeatures; ++i)
    weights.push_back(0.01f * static_cast<float>(i % 37 - 18));
  Tensor values = Tensor::from<float>(weights, {kFeatures, kFeatures});
  Var x = builder.input("x", DType::f32, {Dim::symbol("N"), kFeatures});
  Var hidden = leaky_relu(linear(x, builder.param("w1", values)));
  builder.output("y", softmax(linear(hidden, builder.param("w2", values))));
  return builder.finish();
}

Tensor input(std::int64_t rows) {
  Tensor x(DType::f32, {rows, kFeatures});
  float value = 0;
  for (float& element : x.mutable_elements<float>())
    element = value = value < 2 ? value + 0.07f : -2;
  return x;
}

std::vector<float> elements(const Tensor& tensor) {
  return {tensor.elements<float>().begin(), tensor.elements<float>().end()};
}

TEST(CCall, FromCPlusPlus) {
  Executable executable = compile(layers());
  Tensor x = input(5);
  std::vector<float> expected = elements(executable.run(std::vector{x})[0]);
  const ptrdiff_t dims[] = {5};
  const void* inputs[] = {x.data()};
  std::vector<float> y(expected.size());
  void* outputs[] = {y.data()};
  std::vector<std::byte> memory(executable.workspace_bytes(dims) + WEIR_ALIGNMENT);
  void* workspace = memory.data();
  std::size_t space = memory.size();
  ASSERT_NE(std::align(WEIR_ALIGNMENT, executable.workspace_bytes(dims), workspace, space),
            nullptr);
  weir_call call{inputs, outputs, executable.weights(), workspace, dims, nullptr, nullptr};
  EXPECT_EQ(executable.program()(&call), WEIR_OK);
  EXPECT_EQ(y, expected);
}

TEST(CCall, FromC) {
  Executable executable = compile(layers());
  for (std::int64_t rows : {0, 1, 7, 3000}) {
    for (int threads : {1, 3}) {
      Tensor x = input(rows);
      std::vector<float> expected = elements(executable.run(std::vector{x})[0]);
      std::vector<float> y(expected.size() + 1);
      const ptrdiff_t dims[] = {rows};
      EXPECT_EQ(
          call_from_c(executable.program(), executable.weights(), executable.workspace_bytes(dims),
                      rows, x.elements<float>().data(), y.data(), threads),
          WEIR_OK);
      y.pop_back();
      EXPECT_EQ(y, expected) << rows << " rows, " << threads << " threads";
    }
  }
}

TEST(CCall, WrongCallsAreRefused) {
  Executable executable = compile(layers());
  weir_program program = executable.program();
  EXPECT_EQ(program(nullptr), WEIR_INVALID_CALL);
  weir_call empty{};
  EXPECT_EQ(program(&empty), WEIR_INVALID_CALL);
  float unused = 0;
  EXPECT_EQ(call_from_c(program, executable.weights(), 64, -1, &unused, &unused, 1),
            WEIR_INVALID_CALL);
  EXPECT_EQ(call_from_c(program, executable.weights(), 64, PTRDIFF_MAX, &unused, &unused, 1),
            WEIR_INVALID_CALL);
}

}  // namespace
}  // namespace weir
