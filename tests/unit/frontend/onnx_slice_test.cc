// ONNX's Slice along an axis of symbolic size, forwards and backwards: what is read takes the
// elements that ONNX's rules take, whatever the size turns out to be.
#include <gtest/gtest.h>

#include "ir/interpreter.h"
#include "onnx_models.h"
#include "support.h"

namespace weir::test {
namespace {

constexpr std::int64_t kFirst = INT64_MIN, kLast = INT64_MAX;

// The places that are taken of an axis of `size`, by the text of the operator.
std::vector<float> taken(std::int64_t size, std::int64_t start, std::int64_t end,
                         std::int64_t step) {
  auto place = [&](std::int64_t given, std::int64_t low, std::int64_t high) {
    if (given < 0 && given != kFirst) given += size;
    return given < low ? low : given > high ? high : given;
  };
  std::vector<float> places;
  if (step > 0) {
    for (std::int64_t i = place(start, 0, size); i < place(end, 0, size); i += step)
      places.push_back(static_cast<float>(i));
  } else if (size > 0) {
    for (std::int64_t i = place(start, 0, size - 1); i > place(end, -1, size - 1); i += step)
      places.push_back(static_cast<float>(i));
  }
  return places;
}

TEST(OnnxSlice, AlongASymbolicAxis) {
  const struct {
    std::int64_t start, end, step;
  } cuts[] = {
      {0, kLast, 2},       {1, kLast, 3},    {0, -1, 2},       {-3, kLast, 2}, {kFirst, kLast, 4},
      {kLast, kFirst, -1}, {-1, kFirst, -2}, {-1, kFirst, -3}, {-2, 0, -2},    {-2, 1, -1},
      {2, kFirst, -1},     {2, kFirst, -2},  {-1, -4, -2},     {kLast, 0, -4}, {0, kFirst, -1},
      {-1, -1, -1},        {1, 1, 2},
  };
  for (const auto& cut : cuts) {
    OnnxModel model(13);
    model.input("x", {"N", 2}).output("y");
    auto list = [](std::int64_t value) { return Tensor::from<std::int64_t>({value}, {1}); };
    model.initializer("starts", list(cut.start)).initializer("ends", list(cut.end));
    model.initializer("axes", list(0)).initializer("steps", list(cut.step));
    model.node("Slice", {"x", "starts", "ends", "axes", "steps"}, {"y"});
    Model loaded = model.load();
    for (std::int64_t size = 5; size < 12; ++size) {
      Tensor x(DType::f32, {size, 2});
      for (std::int64_t i = 0; i < size; ++i)
        x.mutable_elements<float>()[static_cast<std::size_t>(2 * i)] = static_cast<float>(i);
      Tensor y = interpret(loaded.graph, loaded.weights, {{"x", x}})[0];
      std::vector<float> found;
      for (std::int64_t i = 0; i < y.sizes()[0]; ++i)
        found.push_back(y.elements<float>()[static_cast<std::size_t>(2 * i)]);
      EXPECT_EQ(found, taken(size, cut.start, cut.end, cut.step))
          << size << ": [" << cut.start << ":" << cut.end << ":" << cut.step << "]";
    }
  }
}

}  // namespace
}  // namespace weir::test
