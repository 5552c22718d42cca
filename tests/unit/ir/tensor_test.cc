// Tensors of the narrow types, from C++ values and back.
#include "ir/tensor.h"

#include <gtest/gtest.h>

#include "ir/float16.h"

namespace weir {
namespace {

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
