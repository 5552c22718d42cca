#include "compiler/frontend/safetensors.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.h"

namespace weir {
namespace {

using test::error_of;
using ::testing::HasSubstr;

std::string file_of(std::string_view header, std::string_view data = {}) {
  std::string text;
  for (int i = 0; i < 8; ++i) text += static_cast<char>((header.size() >> (8 * i)) & 0xFF);
  return text + std::string(header) + std::string(data);
}

Weights safetensors_of(std::string content) {
  return read_safetensors(memory_file(std::move(content), "w.safetensors"));
}
std::string safetensors_error(std::string content) {
  return error_of([&] { safetensors_of(std::move(content)); });
}
// The message for a header with 8 bytes of data behind it.
std::string message_for_header(std::string_view header) {
  return safetensors_error(file_of(header, "12345678"));
}
std::string entry(std::string_view dtype, std::string_view shape, std::string_view offsets) {
  return std::string(R"({"dtype":")") + std::string(dtype) + R"(","shape":)" + std::string(shape) +
         R"(,"data_offsets":)" + std::string(offsets) + "}";
}

Weights samples() {
  return {{"w", Tensor::from<float>({1, -2.5f, NAN, 0}, {2, 2})},
          {"double", Tensor::from<double>({1e300}, {})},
          {"i32", Tensor::from<std::int32_t>({-1, 2, 3}, {3})},
          {"i64", Tensor::from<std::int64_t>({INT64_MIN}, {1})},
          {"bool", Tensor::from<bool>({true, false, true}, {3})},
          {"half", Tensor(DType::f16, {3})},
          {"brain", Tensor(DType::bf16, {1})},
          {"i8", Tensor(DType::i8, {3})},
          {"u8", Tensor(DType::u8, {1})},
          {"empty", Tensor(DType::f32, {0, 4})},
          {"\"quoted\" \n \u00e9", Tensor::from<float>({7}, {1})}};
}

void expect_same(const Weights& a, const Weights& b) {
  ASSERT_EQ(a.size(), b.size());
  for (auto left = a.begin(), right = b.begin(); left != a.end(); ++left, ++right) {
    EXPECT_EQ(left->first, right->first);
    EXPECT_EQ(left->second.type(), right->second.type());
    EXPECT_EQ(bytes_of(left->second), bytes_of(right->second));
  }
}

std::string written(const Weights& weights) {
  test::TemporaryFolder folder;
  write_safetensors(folder.path("w"), weights);
  return read_file(folder.path("w"));
}

TEST(Safetensors, round_trip) {
  test::TemporaryFolder folder;
  for (const Weights& weights : {samples(), Weights{}}) {
    write_safetensors(folder.path("w"), weights);
    Weights back = read_safetensors(folder.path("w"));
    expect_same(back, weights);
  }
  std::string file = written(samples());
  std::size_t header =
      static_cast<unsigned char>(file[0]) + 256u * static_cast<unsigned char>(file[1]);
  EXPECT_EQ((header + 8) % 64, 0u);
}

TEST(Safetensors, file_of_another_writer) {
  std::string path = WEIR_SOURCE_DIR "/examples/digits/digits.safetensors";
  Weights weights = read_safetensors(path);
  std::string types;
  for (const auto& [name, tensor] : weights) types += name + " " + to_string(tensor.type()) + " ";
  EXPECT_EQ(types,
            "b1 f32[64] b2 f32[32] b3 f32[10] w1 f32[64, 64] w2 f32[32, 64] w3 f32[10, 32] ");
  expect_same(safetensors_of(written(weights)), weights);
}

TEST(Safetensors, tensors_refer_to_the_file) {
  std::string header = R"({"w":)" + entry("F32", "[2]", "[0,8]") + "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  FileBytes aligned = memory_file(file_of(header, "12345678"), "f");
  Weights weights = read_safetensors(aligned);
  const void* in_file = aligned.bytes.data() + aligned.bytes.size() - 8;
  EXPECT_EQ(weights.at("w").data(), in_file);
  EXPECT_EQ(bytes_of(weights.at("w")), "12345678");
  FileBytes shifted = memory_file(file_of(header + " ", "12345678"), "f");
  weights = read_safetensors(shifted);
  in_file = shifted.bytes.data() + shifted.bytes.size() - 8;
  EXPECT_NE(weights.at("w").data(), in_file);
  EXPECT_EQ(bytes_of(weights.at("w")), "12345678");
}

TEST(Safetensors, metadata_is_skipped) {
  EXPECT_EQ(safetensors_of(file_of(R"({"__metadata__":{"format":"pt","x":"{}"},"w":)" +
                                       entry("U8", "[8]", "[0,8]") + "}",
                                   "12345678"))
                .size(),
            1u);
  EXPECT_THAT(message_for_header(R"({"__metadata__":{"a":1}})"),
              HasSubstr("the metadata holds a number"));
  EXPECT_THAT(message_for_header(R"({"__metadata__":{"a":{}}})"),
              HasSubstr("the metadata holds an object"));
  EXPECT_THAT(message_for_header(R"({"__metadata__":[]})"), HasSubstr("the metadata holds a list"));
  EXPECT_THAT(message_for_header(R"({"__metadata__":{},"__metadata__":{}})"),
              HasSubstr("stands twice"));
}

TEST(Safetensors, cut_anywhere_is_an_error) {
  std::string whole = written(samples());
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_THAT(safetensors_error(whole.substr(0, size)), HasSubstr("w.safetensors: error: "))
        << size;
  EXPECT_THAT(safetensors_error(whole + "x"), HasSubstr("belong to no tensor"));
}

TEST(Safetensors, lengths_that_lie) {
  EXPECT_THAT(safetensors_error(""), HasSubstr("has only 0 bytes"));
  EXPECT_THAT(safetensors_error("{"), testing::EndsWith("has only 1 byte"));
  EXPECT_THAT(safetensors_error(std::string(8, '\0')), HasSubstr("does not begin with '{'"));
  EXPECT_THAT(safetensors_error(std::string(8, '\xff') + "{}"),
              HasSubstr("claims 18446744073709551615 bytes, and only 2 follow"));
  EXPECT_THAT(safetensors_error(std::string("\3\0\0\0\0\0\0\0{}", 10)),
              HasSubstr("claims 3 bytes, and only 2 follow"));
  EXPECT_THAT(safetensors_error(file_of(std::string(100'000'001, ' '))),
              HasSubstr("at most 100000000"));
  EXPECT_TRUE(safetensors_of(file_of("{}")).empty());
  EXPECT_THAT(safetensors_error(file_of("{}", "x")),
              HasSubstr("bytes 0 to 1 of the data belong to no tensor"));
}

TEST(Safetensors, offsets_that_lie) {
  auto one = [](std::string_view dtype, std::string_view shape, std::string_view offsets) {
    return message_for_header(R"({"w":)" + entry(dtype, shape, offsets) + "}");
  };
  EXPECT_EQ(one("F32", "[2]", "[0,8]"), "no error");
  EXPECT_THAT(one("F32", "[2]", "[0,9]"), HasSubstr("the tensor 'w' lies at bytes 0 to 9 of 8"));
  EXPECT_THAT(one("F32", "[2]", "[8,0]"), HasSubstr("lies at bytes 8 to 0 of 8"));
  EXPECT_THAT(one("F32", "[2]", "[18446744073709551608,18446744073709551615]"),
              HasSubstr("lies at bytes"));
  EXPECT_THAT(one("F32", "[3]", "[0,8]"), HasSubstr("is f32[3], which takes 12 bytes, and has 8"));
  EXPECT_THAT(one("F32", "[1]", "[4,8]"),
              HasSubstr("bytes 0 to 4 of the data belong to no tensor"));
  EXPECT_THAT(one("F32", "[1]", "[0,4]"),
              HasSubstr("bytes 4 to 8 of the data belong to no tensor"));
  EXPECT_THAT(one("F32", "[4294967296,4294967296]", "[0,8]"), HasSubstr("too many elements"));
  EXPECT_THAT(one("F32", "[0,4294967296,4294967296]", "[0,0]"), HasSubstr("too many elements"));
  EXPECT_THAT(one("F32", "[9223372036854775808]", "[0,8]"), HasSubstr("does not fit in 64 bits"));
  EXPECT_THAT(one("F32", "[18446744073709551616]", "[0,8]"),
              HasSubstr("fractional or beyond 64 bits"));
  EXPECT_THAT(one("F32", "[-1]", "[0,8]"), HasSubstr("a negative number"));
  EXPECT_THAT(one("F32", "[2.0]", "[0,8]"), HasSubstr("fractional"));
  EXPECT_THAT(one("F32", "[2]", "[0]"), HasSubstr("are not two numbers"));
  EXPECT_THAT(one("F32", "[2]", "[0,4,8]"), HasSubstr("are not two numbers"));
  EXPECT_THAT(one("BOOL", "[8]", "[0,8]"), HasSubstr("a bool is 0 or 1"));
  EXPECT_THAT(one("F8_E4M3", "[8]", "[0,8]"),
              HasSubstr("the tensor 'w' has dtype 'F8_E4M3', which is not supported"));
  EXPECT_THAT(message_for_header(R"({"a":)" + entry("F32", "[1]", "[0,4]") + R"(,"b":)" +
                                 entry("U8", "[5]", "[3,8]") + "}"),
              HasSubstr("the tensor 'b' overlaps another one at byte 3"));
  EXPECT_THAT(message_for_header(R"({"a":)" + entry("F32", "[2]", "[0,8]") + R"(,"b":)" +
                                 entry("F32", "[2]", "[0,8]") + "}"),
              HasSubstr("overlaps"));
  EXPECT_EQ(message_for_header(R"({"a":)" + entry("F32", "[2]", "[0,8]") + R"(,"b":)" +
                               entry("F32", "[0]", "[8,8]") + R"(,"c":)" +
                               entry("F32", "[0]", "[0,0]") + "}"),
            "no error");
}

TEST(Safetensors, headers_that_are_not_as_they_should_be) {
  std::string good = entry("F32", "[2]", "[0,8]");
  EXPECT_THAT(message_for_header("[]"), HasSubstr("does not begin with '{'"));
  EXPECT_THAT(message_for_header("{]"), HasSubstr("it is not JSON at byte 9 of the file"));
  EXPECT_THAT(message_for_header("{} x"), HasSubstr("it is not JSON"));
  EXPECT_THAT(message_for_header("{\"\xff\":1}"), HasSubstr("it is not JSON"));
  EXPECT_THAT(message_for_header(R"({"w":)" + good + R"(,"w":)" + good + "}"),
              HasSubstr("the tensor 'w' stands twice"));
  EXPECT_THAT(message_for_header(R"({"w":1})"),
              HasSubstr("the tensor 'w' has a number where it does not belong"));
  EXPECT_THAT(message_for_header(R"({"w":null})"), HasSubstr("has null"));
  EXPECT_THAT(message_for_header(R"({"w":[]})"), HasSubstr("has a list"));
  EXPECT_THAT(message_for_header(R"({"w":{}})"), HasSubstr("the tensor 'w' has no dtype"));
  EXPECT_THAT(message_for_header(R"({"w":{"dtype":"F32","shape":[]}})"),
              HasSubstr("has no data_offsets"));
  EXPECT_THAT(message_for_header(R"({"w":{"dtype":"F32","dtype":"F32"}})"),
              HasSubstr("has the key dtype twice"));
  EXPECT_THAT(message_for_header(R"({"w":{"kind":1}})"), HasSubstr("has an unknown key 'kind'"));
  EXPECT_THAT(message_for_header(R"({"w":{"dtype":true}})"), HasSubstr("has true or false"));
  EXPECT_THAT(message_for_header(R"({"w":{"dtype":{}}})"), HasSubstr("has an object"));
  EXPECT_THAT(message_for_header(R"({"w":{"shape":"2"}})"), HasSubstr("has a string"));
  EXPECT_THAT(message_for_header(R"({"w":{"shape":[[2]]}})"), HasSubstr("has a list"));
  EXPECT_THAT(message_for_header(R"({"w":{"data_offsets":{"a":1}}})"), HasSubstr("has an object"));
  std::string deep = R"({"w":{"shape":)" + std::string(100000, '[');
  EXPECT_THAT(message_for_header(deep), HasSubstr("has a list"));
  std::string deep_objects = "{";
  for (int i = 0; i < 100000; ++i) deep_objects += R"("a":{)";
  EXPECT_THAT(message_for_header(deep_objects), HasSubstr("unknown key"));
  std::string many = R"({"w":{"shape":[1)";
  for (int i = 0; i < 100000; ++i) many += ",1";
  EXPECT_THAT(message_for_header(many), HasSubstr("more than 64 dimensions"));
  std::string long_name = std::string(R"({")") + std::string(1'000'000, 'n') + R"(":1})";
  EXPECT_LT(message_for_header(long_name).size(), 300u);
}

TEST(Safetensors, mutated_headers_give_weights_or_an_error) {
  std::mt19937 generator(1);
  std::string whole = written(samples());
  for (int i = 0; i < 5000; ++i) {
    std::string mutated = whole;
    for (unsigned n = 1 + generator() % 3; n > 0; --n)
      mutated[generator() % mutated.size()] = static_cast<char>(generator());
    error_of([&] {
      for (const auto& [name, tensor] : safetensors_of(std::move(mutated))) bytes_of(tensor);
    });
  }
}

TEST(Safetensors, memory_is_bounded_by_the_header) {
  auto check = [](const std::string& header, bool accepted) {
    FileBytes file = memory_file(file_of(header), "w");
    std::string text;
    std::size_t peak =
        test::peak_memory_of([&] { text = error_of([&] { read_safetensors(file); }); });
    EXPECT_EQ(text == "no error", accepted) << text;
    EXPECT_LE(peak, 16 * header.size() + 65536) << header.substr(0, 80);
  };
  std::string scalars = "{", shapes = "{";
  for (int i = 0; i < 5000; ++i) {
    scalars += (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\":" + entry("U8", "[0]", "[0,0]");
    std::string shape = "[0";
    for (int k = 0; k < 63; ++k) shape += ",1";
    shapes +=
        (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\":" + entry("U8", shape + "]", "[0,0]");
  }
  check(scalars + "}", true);
  check(shapes + "}", true);
  check(scalars, false);
  check(std::string(R"({")") + std::string(1'000'000, 'n') + R"(":1})", false);
  check("{" + std::string(1'000'000, '['), false);
  check(R"({"w":{"shape":)" + std::string(1'000'000, '9'), false);
}

TEST(Safetensors, names_that_cannot_be_written) {
  test::TemporaryFolder folder;
  EXPECT_THAT(error_of([&] { write_safetensors(folder.path("w"), {{"\xff", Tensor()}}); }),
              HasSubstr("is not UTF-8"));
  EXPECT_THAT(error_of([&] { write_safetensors(folder.path("w"), {{"__metadata__", Tensor()}}); }),
              HasSubstr("must not be named"));
  EXPECT_EQ(folder.names().size(), 0u);
}

}  // namespace
}  // namespace weir
