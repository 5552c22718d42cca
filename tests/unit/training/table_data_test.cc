// A data set from the columns of a table.
#include "compiler/training/table_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/error_of.h"

namespace weir {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

DataSet read(std::string content, std::vector<std::string> targets) {
  return read_table(memory_file(std::move(content), "x.csv"), targets);
}
std::string message(std::string content, std::vector<std::string> targets) {
  return test::error_of([&] { read(std::move(content), std::move(targets)); });
}

TEST(TableData, TargetsAreColumnsByNameOrNumber) {
  DataSet set = read("a,kind,b\n1,0,2\n3,1,4\n", {"kind"});
  EXPECT_EQ(set.data.sizes(), (Tensor::Sizes{2, 2}));
  EXPECT_THAT(set.data.elements<std::int64_t>(), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(set.targets.sizes(), (Tensor::Sizes{2}));
  EXPECT_THAT(set.targets.elements<std::int64_t>(), ElementsAre(0, 1));
  DataSet two = read("1.5,2,3\n4,5,6\n", {"3", "1"});
  EXPECT_EQ(two.targets.sizes(), (Tensor::Sizes{2, 2}));
  EXPECT_THAT(two.targets.elements<double>(), ElementsAre(3, 1.5, 6, 4));
  EXPECT_THAT(two.data.elements<double>(), ElementsAre(2, 5));
}

TEST(TableData, ASecondTableIsReadInTheOrderOfTheFirst) {
  std::vector<std::string> kind{"kind"}, order;
  auto next = [&](std::string content) {
    return read_table(memory_file(std::move(content), "y.csv"), kind, &order);
  };
  next("a,kind,b\n1,0,2\n");
  EXPECT_THAT(order, ElementsAre("a", "b"));
  EXPECT_THAT(next("b,a,kind\n2,1,0\n").data.elements<std::int64_t>(), ElementsAre(1, 2));
  EXPECT_THAT(test::error_of([&] { next("c,a,kind\n2,1,0\n"); }),
              HasSubstr("the file has no column 'b', and the data that are trained on have one"));
  EXPECT_THAT(test::error_of([&] { next("b,a,kind,c\n2,1,0,0\n"); }),
              HasSubstr("the column 'c' is none of the data that are trained on"));
}

TEST(TableData, RefusesWhatIsNotThere) {
  EXPECT_EQ(message("a,b\n1,2\n", {"c"}),
            "x.csv: error: the file has no column 'c'; it has 'a', 'b'");
  EXPECT_THAT(message("1,2\n", {"a"}), HasSubstr("it has no header, and columns 1 to 2"));
  EXPECT_THAT(message("1,2\n", {"0"}), HasSubstr("the file has no column '0'"));
  EXPECT_THAT(message("a,b\n1,2\n", {"a", "1"}), HasSubstr("the column '1' is named twice"));
  EXPECT_THAT(message("b,a,a\n1,2,3\n", {"a"}),
              HasSubstr("the columns 2 and 3 are both named 'a'; say by the number which one"));
  EXPECT_THAT(message("a,b\n1,2\n", {"a", "b"}), HasSubstr("none is left for the data"));
  EXPECT_THAT(message("a,b\n1,two\n", {"a"}), HasSubstr("x.csv:2:3: error: 'two' is not a number"));
}

}  // namespace
}  // namespace weir
