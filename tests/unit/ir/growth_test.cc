// Time grows with the size of a graph, not with its square, whatever the graph is full of: a file
// of a few megabytes must not keep its reader busy for hours.

#include "tests/support/growth.h"

#include <string>

#include <gtest/gtest.h>

#include "ir/builder.h"
#include "ir/registry.h"
#include "ir/text.h"
#include "ir/verifier.h"

namespace weir {
namespace {

using test::growth;
using test::kLinearGrowth;

// graph @g(%x: f32[N]) with a statement for each number below `count`.
template <class Statement>
std::string graph_of(int count, Statement statement) {
  std::string text = "graph @g(%x: f32[N]) {";
  for (int i = 0; i < count; ++i) text += statement(std::to_string(i)) + "\n";
  return text + "return %x }";
}

void round_trip(const std::string& text) {
  Graph graph = parse_graph(text, "g.weir");
  verify(graph);
  parse_graph(print(graph, {.types = true, .locations = true}), "printed.weir");
}

TEST(Growth, OfNodes) {
  EXPECT_LT(growth(
                [](int count) {
                  round_trip(graph_of(count, [](const std::string& i) {
                    return "%y" + i + " = leaky_relu(%x) {negative_slope = 0.5}";
                  }));
                },
                500),
            kLinearGrowth);
}

TEST(Growth, OfSymbols) {
  EXPECT_LT(growth(
                [](int count) {
                  std::string text = "graph @g(%x: f32[1]";
                  for (int i = 0; i < count; ++i)
                    text += ", %x" + std::to_string(i) + ": f32[A" + std::to_string(i) + ", B" +
                            std::to_string(i) + "]";
                  text += ") { return %x }";
                  Graph graph = parse_graph(text, "g.weir");
                  EXPECT_EQ(graph.symbols().size(), static_cast<std::size_t>(2 * count));
                  round_trip(text);
                },
                1000),
            kLinearGrowth);
}

TEST(Growth, OfValuesOfOneName) {
  EXPECT_LT(growth(
                [](int count) {
                  Graph graph("g");
                  ValueId value = graph.add_input("x", {DType::f32, {Dim(2)}});
                  const std::string name = "y";
                  for (int i = 0; i < count; ++i)
                    value = graph.result(
                        graph.add_node(get_op("neg"), {value}, {}, {}, std::span(&name, 1)));
                  EXPECT_EQ(graph.value(value).name, "y_" + std::to_string(count - 1));
                },
                1000),
            kLinearGrowth);
}

TEST(Growth, OfAnError) {
  EXPECT_LT(growth(
                [](int count) {
                  std::string text =
                      graph_of(count, [](const std::string& i) { return "%y" + i + " = neg(%x)"; });
                  text.insert(text.rfind("return"), "%z = add(%later, %x)");
                  EXPECT_THROW(parse_graph(text, "g.weir"), Error);
                },
                2000),
            kLinearGrowth);
}

}  // namespace
}  // namespace weir
