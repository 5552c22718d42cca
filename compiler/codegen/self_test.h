// Self tests: a function in the object that fills inputs with numbers that are easy to make, runs
// every program on them, and compares a digest of each output with the one that was recorded when
// the object was compiled. Numbers and digest are defined here, for the recording;
// self_test_emitter.h has them as code. Both are exact on every machine.
//
// Element i of an input comes from step i + 1 of state = state * 1664525 + 1013904223 (mod 2^32),
// whose first value is the input's number. With u = state >> 8:
//   f32, f64  u / 2^23 - 1, from -1 up to 1
//   f16       (u >> 13) / 2^10 - 1
//   bf16      (u >> 16) / 2^7 - 1
//   integers  (u >> 8) * range >> 16, from 0 up to range
//   bool      u >> 23
// The digest of an output goes over its elements as words of 32 bits, the low one of two first, all
// NaNs being one:
//   a = (a ^ word) * 16777619;  b = (b + word) * 2654435761, rotated left by 13;  both begin as
//   2166136261
#pragma once

#include <cstdint>
#include <vector>

#include "ir/tensor.h"

namespace weir {

struct SelfTestDigest {
  std::uint32_t a = 2166136261u, b = 2166136261u;
};

// What one program does in the test, from the first values of its state on.
struct SelfTest {
  std::vector<std::int64_t> dims;  // of each symbol
  std::uint32_t range = 10;        // of integer inputs
  // For every variant of the code, those of the program's outputs in order, and then of the state
  // that it updates, in order.
  std::vector<std::vector<SelfTestDigest>> digests;
};

Tensor self_test_input(DType type, Tensor::Sizes sizes, std::uint32_t number, std::uint32_t range);
SelfTestDigest self_test_digest(const Tensor& tensor);

}  // namespace weir
