// Memory of tensors, and tensors of the narrow types, from C++ values and back.
#include "ir/tensor.h"

#include <algorithm>
#include <cstdint>

#include <gtest/gtest.h>

#include "ir/float16.h"
#include "runtime/abi.h"
#include "runtime/workspace.h"

namespace weir {
namespace {

TEST(TensorMemory, IsZerosWhereOthersHadValues) {
  for (std::int64_t count : {0, 1, 1000, 1 << 20, (1 << 20) + 1}) {
    for (int round = 0; round < 2; ++round) {
      Tensor x(DType::f32, {count});
      std::span<float> elements = x.mutable_elements<float>();
      EXPECT_TRUE(std::ranges::all_of(elements, [](float value) { return value == 0; })) << count;
      std::ranges::fill(elements, 1.0f);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(x.data()) % WEIR_ALIGNMENT, 0u);
    }
  }
}

TEST(TensorMemory, BeginsWithAHugePageWhereItHasSeveral) {
#ifndef __linux__
  GTEST_SKIP() << "only Linux maps pages";
#endif
  Tensor x(DType::f32, {2048, 2048});
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(x.data()) % Workspace::huge_page, 0u);
}

TEST(NarrowTensor, HoldsFloat16) {
  Tensor x = Tensor::from<Float16>({Float16(0.1), Float16(-65504.0), Float16(1e6)}, {3});
  EXPECT_EQ(x.dtype(), DType::f16);
  EXPECT_EQ(x.to_string(), "[0.1, -65500.0, inf]");
  EXPECT_EQ(static_cast<float>(x.elements<Float16>()[0]), 0.0999755859375f);
  EXPECT_THROW(static_cast<void>(x.elements<BFloat16>()), Error);
}

TEST(NarrowTensor, HoldsBFloat16) {
  Tensor x = Tensor::from<BFloat16>({BFloat16(0.1), BFloat16(1e38)}, {2});
  EXPECT_EQ(x.dtype(), DType::bf16);
  x.mutable_elements<BFloat16>()[1] = BFloat16(-2.0);
  EXPECT_EQ(static_cast<float>(x.elements<BFloat16>()[0]), 0.10009765625f);
  EXPECT_EQ(static_cast<float>(x.elements<BFloat16>()[1]), -2.0f);
}

TEST(NarrowTensor, HoldsBytes) {
  Tensor x = Tensor::from<std::int8_t>({-128, 127}, {2});
  Tensor y = Tensor::from<std::uint8_t>({0, 255}, {2});
  EXPECT_EQ(x.dtype(), DType::i8);
  EXPECT_EQ(y.dtype(), DType::u8);
  EXPECT_EQ(x.to_string(), "[-128, 127]");
  EXPECT_EQ(y.to_string(), "[0, 255]");
}

}  // namespace
}  // namespace weir
