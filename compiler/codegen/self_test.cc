#include "compiler/codegen/self_test.h"

#include <bit>
#include <cmath>

#include "ir/float16.h"

namespace weir {
namespace {

scalar::Bits element_of(DType type, std::uint32_t u, std::uint32_t range) {
  float exact = static_cast<float>(u) / 8388608.0f - 1.0f;
  std::uint32_t integer = static_cast<std::uint32_t>((std::uint64_t{u >> 8} * range) >> 16);
  switch (type) {
    case DType::f32:
      return scalar::from_f32(exact);
    case DType::f64:
      return scalar::from_f64(exact);
    case DType::f16:
      return scalar::from_f16(Float16(static_cast<double>(u >> 13) / 1024 - 1));
    case DType::bf16:
      return scalar::from_bf16(BFloat16(static_cast<double>(u >> 16) / 128 - 1));
    case DType::boolean:
      return scalar::from_bool((u >> 23) != 0);
    default:
      return {integer};
  }
}

std::uint64_t without_nan_payload(DType type, std::uint64_t bits) {
  auto canonical = [&](std::uint64_t magnitude, std::uint64_t infinity, std::uint64_t nan) {
    return (bits & magnitude) > infinity ? nan : bits;
  };
  switch (type) {
    case DType::f32:
      return canonical(0x7FFFFFFF, 0x7F800000, 0x7FC00000);
    case DType::f64:
      return canonical(0x7FFFFFFFFFFFFFFF, 0x7FF0000000000000, 0x7FF8000000000000);
    case DType::f16:
      return canonical(0x7FFF, 0x7C00, 0x7E00);
    case DType::bf16:
      return canonical(0x7FFF, 0x7F80, 0x7FC0);
    default:
      return bits;
  }
}

}  // namespace

Tensor self_test_input(DType type, Tensor::Sizes sizes, std::uint32_t number, std::uint32_t range) {
  Tensor tensor(type, std::move(sizes));
  std::uint32_t state = number;
  for (std::int64_t i = 0; i < tensor.element_count(); ++i) {
    state = state * 1664525u + 1013904223u;
    tensor.set_bits(i, element_of(type, state >> 8, range));
  }
  return tensor;
}

SelfTestDigest self_test_digest(const Tensor& tensor) {
  SelfTestDigest digest;
  auto add = [&](std::uint32_t word) {
    digest.a = (digest.a ^ word) * 16777619u;
    digest.b = std::rotl((digest.b + word) * 2654435761u, 13);
  };
  for (std::int64_t i = 0; i < tensor.element_count(); ++i) {
    std::uint64_t bits = without_nan_payload(tensor.dtype(), tensor.bits(i).value);
    add(static_cast<std::uint32_t>(bits));
    if (byte_size(tensor.dtype()) == 8) add(static_cast<std::uint32_t>(bits >> 32));
  }
  return digest;
}

}  // namespace weir
