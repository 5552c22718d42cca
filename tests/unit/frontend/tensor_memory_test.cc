// Compressed tensor files that stand for much: what they are is known, and refused, before memory
// is taken for it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/frontend/input_value.h"
#include "compiler/frontend/model_file.h"
#include "compiler/frontend/npy.h"
#include "compiler/frontend/npz.h"
#include "compiler/frontend/tensor_file.h"
#include "support.h"

namespace weir {
namespace {

using test::error_of;
using test::peak_memory_of;
using ::testing::HasSubstr;

constexpr std::int64_t kElements = 4 << 20;
constexpr std::size_t kLittle = 400'000;

std::string little_endian(std::uint64_t number, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(number >> (8 * i) & 0xFF);
  return text;
}

// An archive of one deflated member.
std::string deflated_zip(const std::string& name, const std::string& content) {
  constexpr std::size_t kHead = 10, kTail = 8;
  std::string compressed = test::gzip(content);
  std::string data = compressed.substr(kHead, compressed.size() - kHead - kTail);
  std::string fields = little_endian(20, 2) + little_endian(0, 2) + little_endian(8, 2) +
                       little_endian(0, 2) + little_endian(33, 2) +
                       compressed.substr(compressed.size() - kTail, 4) +
                       little_endian(data.size(), 4) + little_endian(content.size(), 4) +
                       little_endian(name.size(), 2) + little_endian(0, 2);
  std::string local = "PK\3\4" + fields + name + data;
  std::string entry = "PK\1\2" + little_endian(20, 2) + fields + std::string(14, '\0') + name;
  return local + entry + "PK\5\6" + std::string(4, '\0') + little_endian(1, 2) +
         little_endian(1, 2) + little_endian(entry.size(), 4) + little_endian(local.size(), 4) +
         little_endian(0, 2);
}

// Zeros in few bytes: `.npz` of one tensor w, and `.gz` of IDX.
class TensorMemory : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    Tensor zeros(DType::f32, {kElements});
    std::string bytes(bytes_of(zeros));
    npz_ = deflated_zip("w.npy", npy_header(zeros) + bytes);
    idx_ = test::gzip(std::string("\0\0\15\1\0\100\0\0", 8) + bytes);
  }

  TensorMemory() {
    write_file(folder_ / "w.npz", {npz_});
    write_file(folder_ / "w.gz", {idx_});
  }

  // What is said of the file as the value of an input of this type, and within this limit.
  std::string refusal(const std::string& file, const TensorType& type, std::int64_t most) {
    std::string message;
    std::size_t memory = peak_memory_of([&] {
      message = error_of([&] {
        input_value(folder_ / file, type, {}, "x", [&](const TensorHeader& header) {
          EXPECT_EQ(header.type.dtype, DType::f32);
          if (header.memory > most) throw Error("too much");
        });
      });
    });
    EXPECT_LT(memory, kLittle) << file;
    return message;
  }

  test::TemporaryFolder folder_;
  static std::string npz_, idx_;
};
std::string TensorMemory::npz_, TensorMemory::idx_;

TEST_F(TensorMemory, WhatDoesNotFitIsNotInflated) {
  EXPECT_EQ(read_tensor(folder_ / "w.npz:w").element_count(), kElements);
  EXPECT_EQ(read_tensor(folder_ / "w.gz").element_count(), kElements);
  for (std::string file : {"w.npz", "w.gz"}) {
    EXPECT_THAT(refusal(file, {DType::f32, {7}}, INT64_MAX),
                HasSubstr("holds f32[4194304], and f32[7] is expected"));
    EXPECT_THAT(refusal(file, {DType::f64, {kElements}}, INT64_MAX), HasSubstr("is expected"));
    EXPECT_EQ(refusal(file, {DType::f32, {Dim::symbol("N")}}, 4 * kElements - 1), "too much");
  }
}

TEST_F(TensorMemory, WeightsAreInflatedWithinTheLimit) {
  auto load = [&](const std::string& params, std::int64_t memory) {
    write_file(folder_ / "m.weir", {"graph @m(%x: f32[N]) -> (f32[N]) {\n", params,
                                    "  %y = neg(%x)\n  return %y\n}\n"});
    LoadLimits limits;
    limits.memory = memory;
    load_model(folder_ / "m.weir", folder_ / "w.npz", limits);
  };
  const std::string right = "  param %w: f32[4194304]\n", wrong = "  param %w: f32[7]\n";
  std::string message;
  std::size_t memory =
      peak_memory_of([&] { message = error_of([&] { load(right, 4 * kElements); }); });
  EXPECT_THAT(message, HasSubstr("w.npz: error: reading the model takes about"));
  EXPECT_THAT(message, HasSubstr("and at most 16777216 are allowed"));
  EXPECT_LT(memory, kLittle);
  memory = peak_memory_of([&] { message = error_of([&] { load(wrong, INT64_MAX); }); });
  EXPECT_THAT(message, HasSubstr("w is declared as f32[7] and is f32[4194304] there"));
  EXPECT_LT(memory, kLittle);
  // What is no param is not inflated.
  memory = peak_memory_of([&] { load("", 1'000'000); });
  EXPECT_LT(memory, kLittle);
  EXPECT_EQ(error_of([&] { load(right, 5 * kElements); }), "no error");
}

}  // namespace
}  // namespace weir
