// Sizes that only a call tells, and that an op has no result for: the interpreter and compiled code
// throw the same Error, at the op's place, whether or not kernels know the size at all.
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "compiler/autodiff/gradient.h"
#include "compiler/pipeline.h"
#include "ir/interpreter.h"
#include "ir/text.h"
#include "tests/support/graphs.h"
#include "tests/unit/pipeline/faults.h"

namespace weir::test {
namespace {

Inputs x_of(Tensor::Sizes sizes) { return {{"x", Tensor(DType::f32, std::move(sizes))}}; }
Inputs row(std::int64_t size) { return x_of({size}); }
Inputs image(std::int64_t width) { return x_of({1, 1, width}); }

TEST(SizeFault, OfAnExtremeOfNothing) {
  for (std::string op : {"arg_max", "arg_min"})
    for (std::string last : {"true", "false"}) {
      std::string text = "graph @g(%x: f32[A, B]) -> (i64[A]) {\n  %y = " + op +
                         "(%x) {select_last = " + last + "}\n  return %y\n}";
      EXPECT_EQ(fault_of(text, x_of({2, 1})), "no error");
      EXPECT_EQ(fault_of(text, x_of({2, 0})),
                "model.weir:2:8: error: " + op + ": axis 1 of f32[A, B] has no elements for B = 0");
      EXPECT_EQ(fault_of(text, x_of({0, 0})),
                "model.weir:2:8: error: " + op + ": axis 1 of f32[A, B] has no elements for B = 0");
    }
}

// The result of the window lies in the workspace, or nowhere.
TEST(SizeFault, OfWindowsThatDoNotFit) {
  const std::string sum = R"(graph @g(%x: f32[1, 1, W]) -> (f32[]) {
  %y = max_pool(%x) {kernel = [3]}
  %sum = reduce_sum(%y)
  return %sum
})";
  EXPECT_EQ(fault_of(sum, image(2)), "no error");
  EXPECT_EQ(fault_of(sum, image(1)),
            "model.weir:2:8: error: max_pool: the dimension W - 2 is -1 for W = 1");
  const std::string framed = R"(graph @g(%x: f32[1, 1, W]) -> (f32[1, 1, W]) {
  %part = slice(%x) {starts = [0, 0, 2], limits = [1, 1, W]}
  %y = pad(%part) {low = [0, 0, 1], high = [0, 0, 1]}
  return %y
})";
  EXPECT_EQ(fault_of(framed, image(2)), "no error");
  EXPECT_EQ(fault_of(framed, image(1)),
            "model.weir:2:11: error: slice: the dimension W - 2 is -1 for W = 1");
}

// Two elements before none are none in steps of two, but not in order.
TEST(SizeFault, OfPartsThatEndBeforeTheyBegin) {
  const std::string text = R"(graph @g(%x: f32[N]) -> (f32[floordiv(N, 2)]) {
  %y = slice(%x) {starts = [1], limits = [N], strides = [2]}
  return %y
})";
  EXPECT_EQ(fault_of(text, row(1)), "no error");
  EXPECT_EQ(fault_of(text, row(0)),
            "model.weir:2:8: error: slice: axis 0 of f32[N] is cut from 1 to N, which lies before "
            "it for N = 0");
}

// No buffer's size leaves 64 bits here, but that of a tile's panel, or all of them together.
TEST(SizeFault, OfWhatOnlyTheCompilerKnows) {
  const std::string panel = R"(graph @g(%x: f32[N, 2, 5, W], %w: f32[2, 2, 3, 3]) {
  %y = conv(%x, %w) {low = [1000000000, 1000000000]}
  return %y
})";
  const std::string together = R"(graph @g(%x: f32[1073741824, 1073741824]) {
  %y = reverse(%x) {axes = [0]}
  %z = cumsum(%y) {axis = 1}
  %sum = cumsum(%z) {axis = 0}
  %total = reduce_sum(%sum)
  return %total
})";
  for (const std::string& text : {panel, together}) {
    const Graph graph = parse_graph(text, "model.weir");
    for (const VectorLevel& level : vector_levels()) {
      CompileOptions options;
      options.target.cpu = level.cpu;
      const std::string message = message_of([&] { inspect(graph, InspectStage::llvm, options); });
      if (message == "no error") continue;
      EXPECT_EQ(message.substr(0, message.find(':')), "model.weir") << message;
    }
  }
}

// Whatever is done behind a window of an unknown size, its gradient, too.
TEST(SizeNeeds, AreThoseOfTheWholeGraph) {
  for (std::string behind :
       {"max_pool(%h) {kernel = [2], strides = [2]}", "concat(%h, %h) {axis = 1}",
        "pad(%h) {low = [0, 0, 1], high = [0, 0, 0]}", "dropout(%h, %k)",
        "average_pool(%h) {kernel = [3], strides = [2], low = [1], high = [1]}",
        "slice(%h) {starts = [0, 0, 0], limits = [1, 1, W - 2], strides = [1, 1, 2]}",
        "resize(%h) {axis = 2, size = [2*W - 4]}", "resize(%h) {axis = 2, size = [7]}",
        "conv(%h, %w) {strides = [2], low = [1]}"}) {
    SCOPED_TRACE(behind);
    const Graph graph = gradient(parse_graph(R"(graph @g(%x: f32[1, 1, W], %w: f32[1, 1, 3]) {
  %h = conv(%x, %w)
  %k = constant {value = i64[] 3}
  %y = )" + behind + "\n  return %y\n}",
                                             "model.weir"),
                                 std::vector<std::string>{"x", "w"});
    std::vector<Inputs> runs;
    Generator values(1);
    for (std::int64_t width : {2, 3, 4, 7, 8, 21})
      runs.push_back(random_values(graph, graph.inputs(), values, false, {{"W", width}}));
    EXPECT_EQ(difference_on_levels(graph, {}, runs), std::nullopt);
  }
}

}  // namespace
}  // namespace weir::test
