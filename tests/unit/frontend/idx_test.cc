// IDX files: what NumPy would write big-endian, gzip as Python writes it, and files that are not
// right.
#include "compiler/frontend/idx.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.h"

namespace weir {
namespace {

using test::error_of;
using test::gzip;
using testing::ElementsAre;
using testing::HasSubstr;

std::string bytes(std::initializer_list<int> values) {
  std::string text;
  for (int value : values) text += static_cast<char>(value);
  return text;
}
Tensor idx_of(std::string content) { return read_idx(memory_file(std::move(content), "x.idx")); }
std::string idx_error(std::string content) {
  return error_of([&] { idx_of(std::move(content)); });
}

TEST(Idx, HoldsNumbersInBigEndian) {
  Tensor images = idx_of(bytes({0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, 0, 7, 128, 255}));
  EXPECT_EQ(images.sizes(), (Tensor::Sizes{1, 2, 2}));
  EXPECT_THAT(images.elements<std::uint8_t>(), ElementsAre(0, 7, 128, 255));
  EXPECT_THAT(idx_of(bytes({0, 0, 9, 1, 0, 0, 0, 2, 255, 127})).elements<std::int8_t>(),
              ElementsAre(-1, 127));
  EXPECT_THAT(
      idx_of(bytes({0, 0, 11, 1, 0, 0, 0, 3, 1, 2, 255, 254, 128, 0})).elements<std::int32_t>(),
      ElementsAre(258, -2, -32768));
  EXPECT_THAT(idx_of(bytes({0, 0, 12, 1, 0, 0, 0, 1, 0, 1, 0, 2})).elements<std::int32_t>(),
              ElementsAre(65538));
  EXPECT_THAT(idx_of(bytes({0, 0, 13, 1, 0, 0, 0, 1, 0xC0, 0x20, 0, 0})).elements<float>(),
              ElementsAre(-2.5F));
  EXPECT_THAT(idx_of(bytes({0, 0, 14, 0, 0x3F, 0xF8, 0, 0, 0, 0, 0, 0})).elements<double>(),
              ElementsAre(1.5));
  EXPECT_EQ(idx_of(bytes({0, 0, 8, 2, 0, 0, 0, 0, 0, 0, 0, 5})).sizes(), (Tensor::Sizes{0, 5}));
}

TEST(Idx, ReadsBackWhatItWrites) {
  for (DType type : {DType::u8, DType::i8, DType::i32, DType::f32, DType::f64}) {
    Tensor tensor = test::by_formula(type, {3, 1, 5});
    for (const std::string& content : {idx_content(tensor), gzip(idx_content(tensor))}) {
      Tensor again = idx_of(content);
      EXPECT_EQ(again.type(), tensor.type());
      EXPECT_TRUE(compare(again, tensor).identical);
    }
  }
  EXPECT_THAT(error_of([] { idx_content(Tensor(DType::i64, {2})); }),
              HasSubstr("IDX files have no i64; cast to i32, f32 or f64 first"));
  test::TemporaryFolder folder;
  Tensor large(DType::i32, {300, 1000});
  for (std::int64_t i = 0; i < large.element_count(); ++i)
    large.set_bits(i, scalar::bits_of(DType::i32, static_cast<double>(i * 7919 % 100003)));
  write_idx(folder / "x.gz", large);
  FileBytes file = map_file(folder / "x.gz");
  EXPECT_LT(file.bytes.size(), large.byte_count());
  EXPECT_TRUE(compare(read_idx(file), large).identical);
}

TEST(Idx, RefusesWhatIsNotRight) {
  std::string good = bytes({0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3});
  EXPECT_EQ(idx_error(good), "no error");
  EXPECT_THAT(idx_error(""), HasSubstr("x.idx: error: the IDX file ends within its first 4 bytes"));
  EXPECT_THAT(idx_error("text"), HasSubstr("this is not an IDX file: it does not begin with two"));
  EXPECT_THAT(idx_error(gzip("a,b\n1,2\n")),
              HasSubstr("what this file holds is not IDX, the format that is read compressed"));
  EXPECT_THAT(idx_error(bytes({0, 0, 10, 0})), HasSubstr("the element type 10 is none of IDX"));
  EXPECT_THAT(idx_error(good.substr(0, 7)), HasSubstr("the IDX file ends within its 1 sizes"));
  EXPECT_THAT(idx_error(good.substr(0, 10)),
              HasSubstr("u8[3] needs 3 bytes, and the file can hold 2"));
  EXPECT_THAT(idx_error(good + "x"), HasSubstr("something follows the 3 bytes of u8[3]"));
  std::string packed = gzip(good);
  EXPECT_THAT(idx_error(packed.substr(0, packed.size() - 4)), HasSubstr("ends too early"));
  EXPECT_THAT(idx_error(packed + "x"), HasSubstr("something follows the compressed data"));
  std::string damaged = packed;
  damaged[packed.size() - 5] ^= 1;  // of the checksum
  EXPECT_THAT(idx_error(damaged), HasSubstr("the compressed file is damaged"));
  EXPECT_THAT(idx_error(gzip(good.substr(0, 10))),
              HasSubstr("u8[3] needs 3 bytes, and the file holds 2"));
  EXPECT_THAT(idx_error(gzip(good + "x")), HasSubstr("something follows the 3 bytes"));
}

// Little that claims much is refused before memory is taken, and so are sizes that overflow.
TEST(Idx, BelievesNoSize) {
  std::string huge = bytes({0, 0, 14, 3, 0, 0, 255, 255, 0, 0, 255, 255, 0, 0, 0, 99, 1});
  std::string overflow =
      bytes({0, 0, 14, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255});
  EXPECT_THAT(idx_error(overflow), HasSubstr("too many elements"));
  for (const std::string& content : {huge, gzip(huge)}) {
    std::size_t taken = test::peak_memory_of(
        [&] { EXPECT_THAT(idx_error(content), HasSubstr("bytes, and the file can hold")); });
    EXPECT_LT(taken, 200000U);
  }
}

}  // namespace
}  // namespace weir
