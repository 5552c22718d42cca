#include "compiler/frontend/npy.h"

#include <random>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.h"

namespace weir {
namespace {

using test::error_of;
using ::testing::HasSubstr;

std::string npy(std::string_view header, std::string_view data, char version = 1) {
  std::string text("\x93NUMPY", 6);
  text += {version, '\0'};
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i)
    text += static_cast<char>((header.size() >> (8 * i)) & 0xFF);
  text += header;
  text += data;
  return text;
}

Tensor read(std::string content) { return read_npy(memory_file(std::move(content), "x.npy")); }
std::string message(std::string content) {
  return error_of([&] { read(std::move(content)); });
}
std::string message_for_header(std::string_view header) {
  return message(npy(header, std::string(16, '\0')));
}

const std::vector<Tensor>& samples() {
  static const std::vector<Tensor> tensors{
      Tensor::from<float>({1, -2.5f, NAN, 0}, {2, 2}),
      Tensor::from<double>({1e300}, {}),
      Tensor::from<std::int32_t>({-1, 2, 3}, {3}),
      Tensor::from<std::int64_t>({INT64_MIN, INT64_MAX}, {1, 2, 1}),
      Tensor::from<bool>({true, false}, {2}),
      Tensor(DType::f16, {3}),
      Tensor(DType::i8, {3}),
      Tensor(DType::u8, {2, 2}),
      Tensor(DType::f32, {0, 4})};
  return tensors;
}

std::string written(const Tensor& tensor) {
  return npy_header(tensor) + std::string(bytes_of(tensor));
}

TEST(Npy, round_trip) {
  test::TemporaryFolder folder;
  for (const Tensor& tensor : samples()) {
    EXPECT_EQ(npy_header(tensor).size() % 64, 0u);
    write_npy(folder.path("x.npy"), tensor);
    Tensor back = read_npy(folder.path("x.npy"));
    EXPECT_EQ(back.type(), tensor.type());
    EXPECT_EQ(bytes_of(back), bytes_of(tensor));
  }
  EXPECT_THAT(error_of([] { npy_header(Tensor(DType::bf16, {1})); }), HasSubstr("have no bf16"));
  EXPECT_THAT(error_of([] { npy_header(Tensor(DType::f32, Tensor::Sizes(65, 1))); }),
              HasSubstr("rank 65"));
}

TEST(Npy, header_is_what_numpy_writes) {
  EXPECT_EQ(
      npy_header(Tensor(DType::f32, {360, 64})).substr(0, 70),
      std::string(
          "\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (360, 64), }",
          70));
  EXPECT_THAT(npy_header(Tensor(DType::boolean, {3})),
              HasSubstr("{'descr': '|b1', 'fortran_order': False, 'shape': (3,), }"));
  EXPECT_THAT(npy_header(Tensor(DType::i64, {})), HasSubstr("'shape': (), }"));
}

TEST(Npy, files_of_numpy) {
  std::string folder = WEIR_SOURCE_DIR "/examples/digits/";
  EXPECT_EQ(to_string(read_npy(folder + "x_test.npy").type()), "f32[360, 64]");
  EXPECT_EQ(to_string(read_npy(folder + "labels.npy").type()), "i64[360]");
  for (std::string name : {"x_test.npy", "labels.npy", "logits.npy", "gradient_x.npy"})
    EXPECT_EQ(written(read_npy(folder + name)), read_file(folder + name));
}

TEST(Npy, versions_and_spellings) {
  std::string header = R"({"shape":(2,),"fortran_order" : False,'descr':'|i1'})";
  for (char version : {1, 2, 3})
    EXPECT_EQ(to_string(read(npy(header, "\1\2", version)).type()), "i8[2]");
  EXPECT_EQ(
      read(npy("{'descr': '>b1', 'fortran_order': True, 'shape': (2,)}", std::string("\1\0", 2)))
          .to_string(),
      "[true, false]");
}

TEST(Npy, fortran_order_is_transposed) {
  std::string data;
  for (int i = 0; i < 24; ++i) data += {static_cast<char>(i), '\0', '\0', '\0'};
  Tensor tensor = read(npy("{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3, 4)}", data));
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 3; ++j)
      for (int k = 0; k < 4; ++k)
        EXPECT_EQ(tensor.elements<std::int32_t>()[static_cast<std::size_t>((i * 3 + j) * 4 + k)],
                  i + 2 * j + 6 * k);
  EXPECT_EQ(read(npy("{'descr': '<i4', 'fortran_order': True, 'shape': (2, 0)}", "")).to_string(),
            "[[], []]");
}

TEST(Npy, unaligned_data_is_copied) {
  EXPECT_EQ(read(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}  ",
                     std::string("\0\0\x80\x3f", 4)))
                .to_string(),
            "[1.0]");
  EXPECT_EQ(read(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}   ",
                     std::string("\0\0\x80\x3f", 4)))
                .to_string(),
            "[1.0]");
}

// An array in Fortran order is copied, and one more time if its elements lie where none can be read
// from.
TEST(Npy, memory_is_at_most_twice_the_file) {
  constexpr std::size_t kSize = 1 << 20, kOverhead = 64 << 10;
  for (bool fortran : {false, true})
    for (int misplaced : {0, 1}) {
      std::string header =
          fmt::format("{{'descr': '<f4', 'fortran_order': {}, 'shape': (512, 512)}}",
                      fortran ? "True" : "False");
      FileBytes file =
          memory_file(npy(header + std::string(static_cast<std::size_t>(misplaced), ' '),
                          std::string(kSize, '\1')),
                      "x.npy");
      std::size_t peak = test::peak_memory_of([&] { read_npy(file); });
      EXPECT_LE(peak, 2 * file.bytes.size() + kOverhead) << header;
    }
  std::string long_header = "{'descr': '<f4', 'shape': (" + std::string(60'000, '1') + ",)}";
  FileBytes file = memory_file(npy(long_header, ""), "x.npy");
  EXPECT_LE(test::peak_memory_of([&] { error_of([&] { read_npy(file); }); }),
            file.bytes.size() + kOverhead);
}

TEST(Npy, cut_anywhere_is_an_error) {
  for (const Tensor& tensor : samples()) {
    std::string whole = written(tensor);
    for (std::size_t size = 0; size < whole.size(); ++size)
      EXPECT_THAT(message(whole.substr(0, size)), HasSubstr("x.npy: error: ")) << size;
    EXPECT_THAT(message(whole + "x"), HasSubstr("bytes, and the file holds"));
  }
}

TEST(Npy, headers_that_lie) {
  EXPECT_THAT(message("PK\3\4"), HasSubstr("does not begin with"));
  EXPECT_THAT(message(std::string("\x93NUMPY\4\0\0\0", 10)),
              HasSubstr("version 4.0 is not supported"));
  EXPECT_THAT(message(std::string("\x93NUMPY\1\1\0\0", 10)),
              HasSubstr("version 1.1 is not supported"));
  EXPECT_THAT(message(std::string("\x93NUMPY\1\0\xff\0{}", 12)),
              HasSubstr("claims 255 bytes; only 2 follow"));
  EXPECT_THAT(message(std::string("\x93NUMPY\2\0\xff\xff\xff\xff{}", 14)),
              HasSubstr("claims 4294967295 bytes; at most"));
  EXPECT_THAT(message_for_header(""), HasSubstr("has no '{'"));
  EXPECT_THAT(message_for_header("{"), HasSubstr("has no string"));
  EXPECT_THAT(message_for_header("{'descr"), HasSubstr("string without an end"));
  EXPECT_THAT(message_for_header("{'descr': '<f4'}"), HasSubstr("lacks the key 'fortran_order'"));
  EXPECT_THAT(message_for_header("{'descr': '<f4', 'descr': '<f4'}"),
              HasSubstr("has the key 'descr' twice"));
  EXPECT_THAT(message_for_header("{'code': 1}"), HasSubstr("unknown key 'code'"));
  EXPECT_THAT(message_for_header("{'fortran_order': 0}"), HasSubstr("neither True nor False"));
  EXPECT_THAT(message_for_header("{'shape': (1 2)}"), HasSubstr("has no ')'"));
  EXPECT_THAT(message_for_header("{'shape': (-1,)}"), HasSubstr("negative size"));
  EXPECT_THAT(message_for_header("{'shape': (99999999999999999999,)}"),
              HasSubstr("does not fit in 64 bits"));
  EXPECT_THAT(message_for_header("{'shape': (1.5,)}"), HasSubstr("has no ')'"));
  std::string many = "{'shape': (";
  for (int i = 0; i < 10000; ++i) many += "1,";
  EXPECT_THAT(message_for_header(many + ")}"), HasSubstr("more than 64 dimensions"));
  std::string rest = "', 'fortran_order': False, 'shape': (4,)}";
  EXPECT_THAT(message_for_header("{'descr': '<f4" + rest + " x"), HasSubstr("goes on after"));
  EXPECT_THAT(message_for_header("{'descr': '<f8" + rest),
              HasSubstr("f64[4] needs 32 bytes, and the file holds 16"));
  EXPECT_THAT(message_for_header(
                  "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}"),
              HasSubstr("too many elements"));
  EXPECT_THAT(message_for_header(
                  "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4294967296, 4294967296)}"),
              HasSubstr("too many elements"));
  EXPECT_THAT(message_for_header("{'descr': '|b1', 'fortran_order': False, 'shape': (16,)}\7"),
              HasSubstr("goes on after"));
  EXPECT_THAT(message(npy("{'descr': '|b1', 'fortran_order': False, 'shape': (2,)}", "\1\7")),
              HasSubstr("a bool is 0 or 1"));
}

TEST(Npy, unsupported_types_are_named) {
  auto with = [](std::string descr) {
    return message_for_header("{'descr': " + descr + ", 'fortran_order': False, 'shape': (4,)}");
  };
  EXPECT_THAT(
      with("'>f4'"),
      HasSubstr(
          "big-endian (dtype '>f4'); save it as little-endian, in NumPy by array.astype('<f4')"));
  EXPECT_THAT(with("'|O'"), HasSubstr("holds Python objects"));
  EXPECT_THAT(
      with("'<c8'"),
      HasSubstr("dtype '<c8', which is not supported; supported are f2 f4 f8 i1 i4 i8 u1 b1"));
  EXPECT_THAT(with("'<U3'"), HasSubstr("not supported"));
  EXPECT_THAT(with("''"), HasSubstr("not supported"));
  EXPECT_THAT(with("[('a', '<f4')]"), HasSubstr("structured dtype"));
}

TEST(Npy, mutated_files_give_a_tensor_or_an_error) {
  std::mt19937 generator(1);
  std::string whole = written(samples()[0]);
  for (int i = 0; i < 20000; ++i) {
    std::string mutated = whole;
    for (unsigned n = 1 + generator() % 3; n > 0; --n)
      mutated[generator() % mutated.size()] = static_cast<char>(generator());
    error_of([&] { read(std::move(mutated)).to_string(); });
  }
}

}  // namespace
}  // namespace weir
