#include "compiler/frontend/csv.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/frontend/input_value.h"
#include "support.h"

namespace weir {
namespace {

using test::error_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Dim kN = Dim::symbol("N");

Tensor csv_of(std::string content, std::optional<TensorType> expected = {}) {
  return read_csv(memory_file(std::move(content), "x.csv"), expected ? &*expected : nullptr);
}
std::string typed(std::string content, std::optional<TensorType> expected = {}) {
  Tensor tensor = csv_of(std::move(content), std::move(expected));
  return to_string(tensor.type()) + " " + tensor.to_string();
}
std::string csv_error(std::string content, std::optional<TensorType> expected = {}) {
  return error_of([&] { csv_of(std::move(content), std::move(expected)); });
}
TensorType f32(Shape shape) { return {DType::f32, std::move(shape)}; }

TEST(Csv, types_follow_from_the_cells) {
  EXPECT_EQ(typed("1,2\n3,-4\n"), "i64[2, 2] [[1, 2], [3, -4]]");
  EXPECT_EQ(typed("1,2.5\n3,4\n"), "f64[2, 2] [[1.0, 2.5], [3.0, 4.0]]");
  EXPECT_EQ(typed("true,false\nFalse,TRUE\n"), "bool[2, 2] [[true, false], [false, true]]");
  EXPECT_EQ(typed("9223372036854775808"), "f64[1, 1] [[9223372036854775808.0]]");
  EXPECT_EQ(typed("nan\n-inf\n"), "f64[2, 1] [[nan], [-inf]]");
}

TEST(Csv, expected_types_say_how_cells_are_read) {
  EXPECT_EQ(typed("1,2\n3,4", f32({kN, 2})), "f32[2, 2] [[1.0, 2.0], [3.0, 4.0]]");
  EXPECT_EQ(typed("1,2\n3,4", f32({kN, Dim::symbol("M")})), "f32[2, 2] [[1.0, 2.0], [3.0, 4.0]]");
  EXPECT_EQ(typed("1\n2\n3\n", f32({kN})), "f32[3] [1.0, 2.0, 3.0]");
  EXPECT_EQ(typed("1,2,3\n", f32({3})), "f32[3] [1.0, 2.0, 3.0]");
  EXPECT_EQ(typed("7", f32({})), "f32[] 7.0");
  EXPECT_EQ(typed("1,2,3,4\n5,6,7,8\n", f32({kN, 2, 2})),
            "f32[2, 2, 2] [[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]]");
  EXPECT_EQ(typed("1,0,True", TensorType{DType::boolean, {3}}), "bool[3] [true, false, true]");
  EXPECT_EQ(typed("-2147483648", TensorType{DType::i32, {}}), "i32[] -2147483648");
}

TEST(Csv, headers_are_rows_without_a_number) {
  EXPECT_EQ(typed("a,b\n1,2\n"), "i64[1, 2] [[1, 2]]");
  EXPECT_EQ(typed(",\"b, in \"\"m\"\"\"\r\n1,2\r\n"), "i64[1, 2] [[1, 2]]");
  EXPECT_EQ(typed("a,b\n", f32({kN, 2})), "f32[0, 2] []");
  EXPECT_EQ(typed("x\ntrue\n"), "bool[1, 1] [[true]]");
  EXPECT_EQ(csv_error("1,two\n3,4\n"),
            "x.csv:1:3: error: 'two' is not a number, and '1' in the same row is one: the first "
            "row is a header of names alone, or numbers\n  1,two\n    ^");
  EXPECT_EQ(csv_error("a,b,c\n1,2\n"),
            "x.csv:2:1: error: the row has 2 cells, and the header has 3\n  1,2\n  ^");
}

TEST(Csv, quotes_spaces_and_line_ends) {
  EXPECT_EQ(typed("\xEF\xBB\xBF 1 ,\t2\r\n\"3\" , \" 4 \"\r\n\r\n \n"),
            "i64[2, 2] [[1, 2], [3, 4]]");
  EXPECT_EQ(typed("\"a\nname\",b\n+1,2."), "f64[1, 2] [[1.0, 2.0]]");
  EXPECT_THAT(
      csv_error("1,\"2\n3,4\n"),
      HasSubstr("x.csv:1:3: error: the cell begins with a quote, and there is none at its"));
  EXPECT_THAT(csv_error("1,\"2\"3\n"),
              HasSubstr("x.csv:1:6: error: a comma or the end of the row"));
  EXPECT_THAT(csv_error("1,\"2\"\r3\n"), HasSubstr("x.csv:1:6: error: a comma or the end"));
}

TEST(Csv, bad_cells_are_shown) {
  EXPECT_EQ(csv_error("1,2\n3,x4\n"), "x.csv:2:3: error: 'x4' is not a number\n  3,x4\n    ^");
  EXPECT_EQ(csv_error("\"first\nname\",b\n1,2\n3,ten\n"),
            "x.csv:4:3: error: 'ten' is not a number\n  3,ten\n    ^");
  EXPECT_THAT(csv_error("1,2\n,3\n"),
              HasSubstr("x.csv:2:1: error: the cell is empty; write nan for a number that is "
                        "missing"));
  EXPECT_THAT(csv_error("1\n\n2\n", TensorType{DType::i32, {kN}}),
              HasSubstr("x.csv:2:1: error: the cell is empty, and the element type is i32"));
  EXPECT_THAT(csv_error("1,2\n1;2,3\n"),
              HasSubstr("'1;2' is not a number; commas separate the cells"));
  EXPECT_THAT(csv_error("1.5,2\n", TensorType{DType::i64, {1, 2}}),
              HasSubstr("x.csv:1:1: error: '1.5' is not an integer, and the element type is i64"));
  EXPECT_THAT(csv_error("2\n", TensorType{DType::boolean, {1}}),
              HasSubstr("'2' is not a bool; write true or false"));
  EXPECT_THAT(csv_error("1\n1e39\n", f32({kN})), HasSubstr("x.csv:2:1: error: '1e39' is out of"));
  EXPECT_THAT(csv_error("1\n0x10\n"), HasSubstr("'0x10' is not a number"));
  EXPECT_THAT(csv_error("1\n\x01\n"), HasSubstr("'\\x01' is not a number"));
}

TEST(Csv, shapes_that_do_not_fit) {
  EXPECT_EQ(csv_error("1,2\n3\n"),
            "x.csv:2:1: error: the row has 1 cell, and the rows before it have 2\n  3\n  ^");
  EXPECT_THAT(csv_error("1,2,3\n", f32({kN, 2})),
              HasSubstr("x.csv:1:5: error: the row has more than 2 cells; f32[N, 2] is expected"));
  EXPECT_THAT(csv_error("1\n", f32({kN, 2})),
              HasSubstr("the row has 1 cell; f32[N, 2] is expected, with 2 in a row"));
  EXPECT_THAT(csv_error("1,2\n3,4\n", f32({3, 2})),
              HasSubstr("the file has 2 rows of 2 cells, and f32[3, 2] is expected"));
  EXPECT_THAT(csv_error("1,2\n3,4\n", f32({4})),
              HasSubstr("the file has 2 rows of 2 cells, and f32[4] is expected"));
  EXPECT_THAT(csv_error("1\n2\n", f32({})), HasSubstr("the file has 2 rows of 1 cell, and f32[]"));
  EXPECT_THAT(csv_error("1\n", f32({kN, kN, 1})), HasSubstr("CSV cannot tell the size N"));
  EXPECT_EQ(csv_error(""), "x.csv: error: the file has no text; rows of numbers are expected");
  EXPECT_THAT(csv_error(" \r\n\n"), HasSubstr("the file has no text"));
  EXPECT_THAT(csv_error("1", f32({1, INT64_MAX, INT64_MAX})), HasSubstr("too many elements"));
  EXPECT_THAT(csv_error("1\n", f32({INT64_MAX, 1})), HasSubstr("1 row of 1 cell, and f32[9223"));
  EXPECT_THAT(csv_error("1\n", f32({1, INT64_MAX})), HasSubstr("the row has 1 cell; f32[1, 9223"));
}

TEST(Csv, a_million_columns) {
  std::string row = "1";
  for (int i = 1; i < 1'000'000; ++i) row += ",1";
  EXPECT_THAT(csv_error(row),
              HasSubstr("error: the row has more than 262144 cells; tensors as wide"));
  EXPECT_THAT(csv_error(row, f32({kN, 4})), HasSubstr("the row has more than 4 cells"));
  EXPECT_LT(csv_error(row).size(), 300u);
  // Wide rows that are expected are no fault, and cost what the tensor costs.
  FileBytes file = memory_file(row, "x.csv");
  TensorType type = f32({1, 1'000'000});
  Tensor tensor;
  EXPECT_LT(test::peak_memory_of([&] { tensor = read_csv(file, &type); }), 4'100'000u);
  EXPECT_EQ(tensor.element_count(), 1'000'000);
}

TEST(Csv, files_of_numpy) {
  TensorType type = f32({kN, 5});
  Tensor tensor = read_csv(map_file(test::made_by_numpy + "header.csv"), &type);
  EXPECT_TRUE(compare(tensor, test::by_formula(DType::f32, {3, 5})).identical);
  Tensor integers = read_csv(map_file(test::made_by_numpy + "integers.csv"));
  EXPECT_TRUE(compare(integers, test::by_formula(DType::i64, {2, 3})).identical);
}

TEST(Csv, what_is_written_reads_back) {
  for (DType dtype : {DType::f32, DType::f64, DType::i32, DType::i64, DType::boolean})
    for (Tensor::Sizes sizes : {Tensor::Sizes{}, Tensor::Sizes{5}, Tensor::Sizes{3, 4},
                                Tensor::Sizes{1, 6}, Tensor::Sizes{2, 3, 4}}) {
      Tensor tensor = random_tensor(dtype, sizes, 5);
      EXPECT_TRUE(compare(csv_of(csv_text(tensor), tensor.type()), tensor).identical);
    }
  EXPECT_EQ(csv_text(Tensor::from<float>({0.1f, -2, NAN, -INFINITY}, {2, 2})),
            "0.1,-2.0\nnan,-inf\n");
  EXPECT_THAT(error_of([] { csv_text(Tensor(DType::f32, {0, 4})); }),
              HasSubstr("f32[0, 4] has no elements, and CSV cannot say so"));
}

TEST(Csv, mutated_files_give_a_tensor_or_an_error) {
  std::mt19937 generator(1);
  std::string whole = "a,\"b\"\r\n1.5,-2\n\"nan\",0\n";
  for (int i = 0; i < 20000; ++i) {
    std::string mutated = whole;
    for (unsigned n = 1 + generator() % 3; n > 0; --n)
      mutated[generator() % mutated.size()] = "\",1.-e \r\nx\xEF"[generator() % 12];
    error_of([&] { csv_of(mutated).to_string(); });
    error_of([&] { csv_of(mutated, f32({kN, 2})).to_string(); });
  }
}

TEST(Csv, ATableHasTheNamesOfItsHeader) {
  CsvTable table =
      read_csv_table(memory_file("width, \"a \"\"b\"\", c\" ,label\n1.5,2,3\n4,5,6\n", "x.csv"));
  EXPECT_THAT(table.names, ElementsAre("width", "a \"b\", c", "label"));
  EXPECT_THAT(table.cells.elements<double>(), ElementsAre(1.5, 2, 3, 4, 5, 6));
  CsvTable plain = read_csv_table(memory_file("1,2\n", "x.csv"));
  EXPECT_TRUE(plain.names.empty());
  EXPECT_EQ(plain.cells.sizes(), (Tensor::Sizes{1, 2}));
}

}  // namespace
}  // namespace weir
