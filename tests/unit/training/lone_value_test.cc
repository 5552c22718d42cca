// Which normalizations by a batch's statistics have one value alone for each of them: that depends
// on the rows and, where sizes of images are symbols, on the images.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/training/data_set.h"
#include "compiler/training/lone_value.h"
#include "tests/support/graphs.h"

namespace weir {
namespace {

using test::parse;
using testing::Pair;
using testing::UnorderedElementsAre;

// A convolution of images of any sizes, whose result has 7 rows and columns less.
Graph normalized_images() {
  return parse(R"(graph @g(%x: f32[N, 3, H, W], %t: f32[N]) -> (f32[]) {
  param %w: f32[4, 3, 8, 8]
  param %s: f32[4]
  param %b: f32[4]
  param %m: f32[4]
  param %v: f32[4]
  %h = conv(%x, %w)
  %n = batch_norm(%h, %s, %b, %m, %v)
  %e = mul(%n, %n)
  %loss = reduce_mean(%e)
  return %loss
})");
}

DataSet images(std::int64_t rows, std::int64_t height, std::int64_t width) {
  return {Tensor(DType::f32, {rows, 3, height, width}), Tensor(DType::f32, {rows})};
}

bool is_lone(const Graph& graph, const DataSet& set, std::int64_t rows) {
  return find_lone_value(graph, sizes_of_batch(graph, set, rows)).has_value();
}

TEST(LoneValue, SizesOfImagesAreThoseOfTheData) {
  const Graph graph = normalized_images();
  EXPECT_THAT(sizes_of_batch(graph, images(5, 9, 8), 2),
              UnorderedElementsAre(Pair("N", 2), Pair("H", 9), Pair("W", 8)));
  // One row of as many pixels, and one of more than one.
  EXPECT_FALSE(is_lone(graph, images(5, 32, 32), 1));
  EXPECT_FALSE(is_lone(graph, images(5, 9, 8), 1));
  EXPECT_FALSE(is_lone(graph, images(5, 8, 8), 2));
  EXPECT_TRUE(is_lone(graph, images(5, 8, 8), 1));
}

TEST(LoneValue, SizesFollowFromTheTargetsToo) {
  const Graph graph = parse(R"(graph @g(%x: f32[N, 4], %t: f32[N, 2*K + 1]) -> (f32[]) {
  %e = mul(%t, %t)
  %loss = reduce_mean(%e)
  return %loss
})");
  const DataSet set{Tensor(DType::f32, {3, 4}), Tensor(DType::f32, {3, 7})};
  EXPECT_THAT(sizes_of_batch(graph, set, 3), UnorderedElementsAre(Pair("N", 3), Pair("K", 3)));
}

TEST(LoneValue, WhatIsNotKnownIsPassedOver) {
  const Graph graph = normalized_images();
  EXPECT_FALSE(find_lone_value(graph, {}).has_value());
  EXPECT_FALSE(find_lone_value(graph, {{"N", 1}, {"H", 8}}).has_value());
  EXPECT_TRUE(find_lone_value(graph, {{"N", 1}, {"H", 8}, {"W", 8}}).has_value());
}

TEST(LoneValue, ItIsToldWithTheNormalizedType) {
  const std::optional<Diagnostic> fault =
      find_lone_value(normalized_images(), {{"N", 1}, {"H", 8}, {"W", 8}});
  ASSERT_TRUE(fault.has_value());
  EXPECT_EQ(fault->message, "one value for each channel of f32[N, 4, H - 7, W - 7]");
}

}  // namespace
}  // namespace weir
