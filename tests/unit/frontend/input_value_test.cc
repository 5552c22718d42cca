#include "compiler/frontend/input_value.h"

#include <cmath>
#include <random>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/frontend/literal.h"
#include "compiler/frontend/npy.h"
#include "support.h"

namespace weir {
namespace {

using test::error_of;
using ::testing::HasSubstr;

const Dim kDimN = Dim::symbol("N");

std::string literal_error(std::string_view text, DType dtype = DType::f32,
                          std::optional<Shape> expected = {}) {
  return error_of([&] { parse_literal(text, dtype, expected ? &*expected : nullptr); });
}

TEST(Literal, sizes_follow_from_the_text) {
  auto type = [](std::string_view text) {
    return to_string(parse_literal(text, DType::f32).type());
  };
  EXPECT_EQ(type("3"), "f32[]");
  EXPECT_EQ(type(" [1,2 , 3,]\n"), "f32[3]");
  EXPECT_EQ(type("[[-1.0, 2.0]]"), "f32[1, 2]");
  EXPECT_EQ(type("[[[1],[2]],[[3],[4]],[[5],[6]]]"), "f32[3, 2, 1]");
  EXPECT_EQ(type("[]"), "f32[0]");
  EXPECT_EQ(type("[[], []]"), "f32[2, 0]");
}

TEST(Literal, expected_shapes_complete_and_check) {
  Shape shape{kDimN, 4};
  EXPECT_EQ(to_string(parse_literal("[[1,2,3,4]]", DType::f32, &shape).type()), "f32[1, 4]");
  EXPECT_EQ(to_string(parse_literal("[]", DType::f32, &shape).type()), "f32[0, 4]");
  EXPECT_THAT(literal_error("[1, 2]", DType::f32, shape),
              HasSubstr("this is f32[2], and f32[N, 4] is expected"));
  EXPECT_THAT(literal_error("[[1, 2]]", DType::f32, shape),
              HasSubstr("this is f32[1, 2], and f32[N, 4] is expected"));
  EXPECT_THAT(literal_error("[]", DType::f32, Shape{4, kDimN}), HasSubstr("this is f32[0], and"));
}

TEST(Literal, numbers_are_rounded_once) {
  auto one = [](std::string_view text, DType dtype) {
    return parse_literal(text, dtype).to_string();
  };
  EXPECT_EQ(one("0.1", DType::f32), "0.1");
  // Halfway between two floats only when rounded to double first.
  EXPECT_EQ(parse_literal("1.00000017881393432617187499", DType::f32).elements<float>()[0],
            0x1.000002p0f);
  EXPECT_EQ(one("1e-45", DType::f32), "1e-45");
  EXPECT_EQ(one("-0", DType::f32), "-0.0");
  EXPECT_EQ(one("+2.", DType::f64), "2.0");
  EXPECT_EQ(one("[nan, inf, -inf, +inf]", DType::f64), "[nan, inf, -inf, inf]");
  EXPECT_EQ(one("-9223372036854775808", DType::i64), "-9223372036854775808");
  EXPECT_EQ(one("[true, false]", DType::boolean), "[true, false]");
  EXPECT_THAT(literal_error("1e39"), HasSubstr("'1e39' is out of range"));
  EXPECT_THAT(literal_error("1e-50"), HasSubstr("'1e-50' is out of range"));
  EXPECT_THAT(literal_error("1e99999", DType::f64), HasSubstr("is out of range"));
  EXPECT_THAT(literal_error("2147483648", DType::i32),
              HasSubstr("'2147483648' does not fit in i32"));
  EXPECT_THAT(literal_error("9223372036854775808", DType::i64), HasSubstr("does not fit in i64"));
  EXPECT_THAT(literal_error("1.5", DType::i32), HasSubstr("'1.5' is not an integer"));
  EXPECT_THAT(literal_error("1", DType::boolean),
              HasSubstr("'1' is not a bool; write true or false"));
  EXPECT_THAT(literal_error("0x10"), HasSubstr("'0x10' is not a number"));
  EXPECT_THAT(literal_error("+-1"), HasSubstr("'+-1' is not a number"));
  EXPECT_THAT(
      literal_error("65520", DType::f16),
      HasSubstr("'65520' is out of range: the magnitudes of f16 are 5.9604645e-08 to 65504.0"));
  EXPECT_THAT(literal_error("-129", DType::i8),
              HasSubstr("'-129' does not fit in i8: the range is -128 to 127"));
}

TEST(Literal, errors_show_the_place) {
  EXPECT_EQ(literal_error("[[1, 2], [3]]"),
            "literal:1:10: error: the lists are ragged: this one has 1 element, the ones before it "
            "have 2\n"
            "  [[1, 2], [3]]\n"
            "           ^");
  EXPECT_EQ(literal_error("[[1, 2],\n [3, x]]"),
            "literal:2:6: error: 'x' is not a number\n   [3, x]]\n       ^");
  // The column is that in the line, of which a part is shown.
  for (std::size_t before : {60, 61, 1000})
    EXPECT_THAT(literal_error("[" + std::string(before - 1, ' ') + "x]"),
                testing::StartsWith(fmt::format("literal:1:{}: error: 'x'", before + 1)));
  EXPECT_THAT(literal_error(""), HasSubstr("a number or a list is missing"));
  EXPECT_THAT(literal_error("[1, 2"), HasSubstr("']' is missing"));
  EXPECT_THAT(literal_error("[1,"), HasSubstr("']' is missing"));
  EXPECT_THAT(literal_error("[1 2]"), HasSubstr("',' or ']' is missing here"));
  EXPECT_THAT(literal_error("[, 1]"), HasSubstr("a number is missing before ','"));
  EXPECT_THAT(literal_error("[1,, 2]"), HasSubstr("a number is missing before ','"));
  EXPECT_THAT(literal_error("]"), HasSubstr("a number is missing before ']'"));
  EXPECT_THAT(literal_error("[1]]"), HasSubstr("the tensor ends here"));
  EXPECT_THAT(literal_error("1 2"), HasSubstr("the tensor ends here"));
  EXPECT_THAT(literal_error("[1, [2]]"),
              HasSubstr("a list stands where its neighbours are numbers"));
  EXPECT_THAT(literal_error("[[1], 2]"),
              HasSubstr("a number stands where its neighbours are lists"));
  EXPECT_THAT(literal_error("[[], [1]]"), HasSubstr("ragged"));
  EXPECT_THAT(literal_error("[[], [[]]]"), HasSubstr("a list stands where"));
  EXPECT_THAT(literal_error("[[[]], []]"), HasSubstr("ragged"));
  EXPECT_THAT(literal_error(std::string(100000, '[')), HasSubstr("nested more than 64 deep"));
  EXPECT_LT(literal_error("[" + std::string(100000, '1') + "x").size(), 500u);
}

TEST(Literal, printed_tensors_read_back) {
  for (DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i8, DType::u8,
                      DType::i32, DType::i64, DType::boolean}) {
    Tensor tensor = random_tensor(dtype, {3, 1, 5}, 7);
    EXPECT_TRUE(compare(parse_literal(tensor.to_string(), dtype), tensor).identical);
  }
}

TEST(Literal, cut_and_mutated_text_gives_a_tensor_or_an_error) {
  std::string whole = "[[[1.5, -2], [nan, 0]], [[1e3, inf], [.5, 3]]]";
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_NE(literal_error(whole.substr(0, size)), "no error");
  std::mt19937 generator(1);
  for (int i = 0; i < 20000; ++i) {
    std::string mutated = whole;
    for (unsigned n = 1 + generator() % 3; n > 0; --n)
      mutated[generator() % mutated.size()] = "[],1.-e \nnx"[generator() % 11];
    literal_error(mutated);
  }
}

TEST(InputValue, forms) {
  TensorType type{DType::f32, {kDimN, 2}};
  Dim::Bindings three{{"N", 3}};
  EXPECT_EQ(input_value("zeros", type, three).to_string(), "[[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]");
  EXPECT_EQ(input_value("ones", {DType::boolean, {2}}, {}).to_string(), "[true, true]");
  EXPECT_EQ(input_value("ones", {DType::i64, {}}, {}).to_string(), "1");
  EXPECT_EQ(input_value("[[1, 2]]", type, {}).to_string(), "[[1.0, 2.0]]");
  EXPECT_EQ(input_value("-0.5", {DType::f32, {}}, {}).to_string(), "-0.5");
  EXPECT_EQ(input_value("true", {DType::boolean, {}}, {}).to_string(), "true");
  EXPECT_EQ(to_string(input_value("random:1", type, three).type()), "f32[3, 2]");
  test::TemporaryFolder folder;
  write_npy(folder.path("x.npy"), Tensor(DType::f32, {4, 2}));
  EXPECT_EQ(to_string(input_value(folder.path("x.npy"), type, {}).type()), "f32[4, 2]");
}

TEST(InputValue, errors) {
  TensorType type{DType::f32, {kDimN, 2}};
  auto message = [&](std::string_view value, Dim::Bindings bindings = {}) {
    return error_of([&] { input_value(value, type, bindings); });
  };
  EXPECT_EQ(message("zeros"),
            "'zeros' needs every size of f32[N, 2], and N is not known; give it with --dim");
  EXPECT_THAT(message("random:x", {{"N", 1}}), HasSubstr("the seed 'x' is not an integer"));
  EXPECT_THAT(message("random:-1", {{"N", 1}}), HasSubstr("the seed '-1' is not an integer"));
  EXPECT_THAT(message("one"), HasSubstr("'one' is not a value; a value is a file (.npy, .npz"));
  EXPECT_THAT(message(""), HasSubstr("is not a value"));
  EXPECT_THAT(message("missing.npy"), HasSubstr("there is no such file"));
  EXPECT_THAT(message("[[1, 2]]", {{"N", 3}}),
              HasSubstr("this is f32[1, 2], and f32[3, 2] is expected"));
  test::TemporaryFolder folder;
  write_npy(folder.path("x.npy"), Tensor(DType::i64, {4, 2}));
  EXPECT_THAT(message(folder.path("x.npy")),
              HasSubstr("x.npy holds i64[4, 2], and f32[N, 2] is expected"));
}

TEST(RandomTensor, depends_on_seed_and_place_alone) {
  Tensor a = random_tensor(DType::f32, {100}, 1), b = random_tensor(DType::f32, {10, 20}, 1);
  for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(a.elements<float>()[i], b.elements<float>()[i]);
  EXPECT_FALSE(compare(a, random_tensor(DType::f32, {100}, 2)).identical);
  // The published finalizer: mix(0), mix(0x9E3779B97F4A7C15) are the first outputs of SplitMix64
  // from 0.
  Tensor first = random_tensor(DType::f64, {1}, 0);
  EXPECT_EQ(first.elements<double>()[0],
            static_cast<double>(0xA706DD2F4D197E6Fu >> 11) * 0x1p-52 - 1);
}

TEST(RandomTensor, is_uniform) {
  for (DType dtype : {DType::f32, DType::f64}) {
    Tensor x = random_tensor(dtype, {100000}, 3);
    double sum = 0, squares = 0, smallest = 1, largest = -1;
    for (std::int64_t i = 0; i < x.element_count(); ++i) {
      double value = scalar::to_double(dtype, x.bits(i));
      sum += value;
      squares += value * value;
      smallest = std::min(smallest, value);
      largest = std::max(largest, value);
    }
    EXPECT_NEAR(sum / 1e5, 0, 0.01);
    EXPECT_NEAR(squares / 1e5, 1.0 / 3, 0.01);
    EXPECT_GE(smallest, -1);
    EXPECT_LT(largest, 1);
  }
  Tensor digits = random_tensor(DType::i32, {10000}, 4);
  std::array<int, 10> counts{};
  for (std::int32_t digit : digits.elements<std::int32_t>())
    ++counts.at(static_cast<std::size_t>(digit));
  for (int count : counts) EXPECT_NEAR(count, 1000, 150);
}

}  // namespace
}  // namespace weir
