// The text form: what is read equals what was printed.

#include "ir/text.h"

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/notes.h"
#include "ir/op.h"
#include "ir/registry.h"
#include "tests/support/sanitized.h"
#include "tests/unit/ir/random_graph.h"
#include "tests/unit/ir/text_testing.h"

namespace weir {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Text, PrintsEveryFeature) {
  std::vector<Graph> graphs = parse_graphs(every_feature(), "every_feature.weir");
  ASSERT_EQ(graphs.size(), 2u);
  EXPECT_EQ(
      print(graphs[0]),
      R"(graph @every_feature(%x: f32[N, 4], %"layer/0:w\n\x01\xff é": f64[4*N + 1, -2*M*N + 3*K - 7, 0], %flags.a-b: bool[], %"7": i32[M*M, K], %labels: i64[N]) -> (f32[N, 4], f32[N, 4], f32[2, 3], f32[N, 4], bool[2], i64[], f64[1, 0, 3]) {
  param %w: f32[4, 4]
  param %b: f32[4]
  %0 = linear(%x, %w)
recomputation of gradient:
  %1 = add(%0, %b)
  %2 = leaky_relu(%1) {negative_slope = -0.05}
forward:
  %h = leaky_relu(%2) {negative_slope = 3.0}
  %3 = leaky_relu(%h) {negative_slope = 1e-300}
  %lr.grad = leaky_relu.grad(%3, %h) {negative_slope = 0.25}
update:
  %s = softmax(%lr.grad)
  %c = constant() {value = f32[2, 3] [[1.0, -0.0, inf], [nan, 1e-45, -3.4028235e+38]]}
  %truth = constant() {value = bool[2] [true, false]}
  %least = constant() {value = i64[] -9223372036854775808}
  %half = constant() {value = f16[2, 3] [[0.1, -0.0, inf], [nan, 6e-08, -65500.0]]}
  %brain = constant() {value = bf16[4] [0.1, 9e-41, -3.39e+38, 1.0]}
  %narrow = constant() {value = i8[2] [-128, 127]}
  %bytes = constant() {value = u8[2] [0, 255]}
  %none = constant() {value = f64[1, 0, 3] []}
  %wide = broadcast(%b) {shape = [N, 4]}
  %total = reduce_sum(%wide) {axes = [0, -1], keep_dims = true}
  %as_i64 = cast(%total) {dtype = i64}
  return %s as "probabilities é \"\\\t", %lr.grad, %c, %wide as "7", %truth, %least, %none
}
)");
  EXPECT_EQ(print(graphs[1]),
            R"(graph @"another graph"(%x: f32[2]) -> (f32[2], f32[2], f32[2]) {
  param %w: f32[2]
  param %"v 2": f32[2] = zeros
  param %filters: f32[8, 4, 3] = he {negative_slope = -0.25, distribution = "normal", transposed = true}
  param %bias: f16[8] = constant {value = 0.1}
  param %even: f64[2, 2] = uniform {low = -0.5}
  param %matrix: f32[4, 4] = xavier
  %y = relu(%x)
  return %y updates %w, %w updates %"v 2" as "next", %y
}
)");
  EXPECT_EQ(print(parse_graph("graph @g() { return }", "g.weir")),
            "graph @g() -> () {\n  return\n}\n");
  for (const Graph& graph : graphs) expect_round_trip(graph);
}

TEST(Text, OneLine) {
  Graph graph = parse_graph(
      "graph @m(%x: f32[N, 4]) -> (f32[N, 4]) { %y = leaky_relu(%x) {negative_slope = 0.01} return "
      "%y }",
      "m.weir");
  ASSERT_EQ(graph.nodes().size(), 1u);
  EXPECT_EQ(graph.nodes()[0].attributes.real("negative_slope"), 0.01);
  EXPECT_EQ(graph.outputs()[0].name, "y");
}

TEST(Text, Locations) {
  Graph graph = parse_graph(
      "graph @m(%x: f32[N]) {\n  param %w: f32[N]\n\n  // a comment\r\n\t%y = add(%x, %w)\n  "
      "return %y }",
      "folder/m.weir");
  EXPECT_EQ(graph.nodes()[0].location.to_string(), "folder/m.weir:5:7");
  EXPECT_EQ(graph.value(graph.find("x")).location.to_string(), "folder/m.weir:1:10");
  EXPECT_EQ(graph.value(graph.find("w")).location.to_string(), "folder/m.weir:2:9");
}

// Sections are what the notes of nodes begin with: passes know by them what a node belongs to.
TEST(Text, SectionsAreTheMarksOfNodes) {
  const char* text =
      "graph @m(%x: f32[]) -> (f32[]) {\n  %a = relu(%x)\ngradient of gradient:\n  %b = neg(%a)\n"
      "  %c = neg(%b)\nrecomputation:\n  %d = neg(%c)\nforward:\n  %e = neg(%d)\nupdate:\n"
      "  %f = neg(%e)\n  return %f\n}\n";
  Graph graph = parse_graph(text, "m.weir");
  std::vector<std::string> notes;
  for (const Node& node : graph.nodes()) notes.push_back(node.location.note);
  EXPECT_EQ(notes,
            (std::vector<std::string>{"", "gradient of gradient of", "gradient of gradient of",
                                      "recomputation of", "", "update of"}));
  EXPECT_EQ(graph.nodes()[1].location.to_string(), "gradient of gradient of m.weir:4:8");
  EXPECT_EQ(print(graph), text);
}

TEST(Text, OnlyMarksAtTheBeginningOfANote) {
  EXPECT_EQ(marks_of(""), "");
  EXPECT_EQ(marks_of("h in"), "");
  EXPECT_EQ(marks_of("gradient of"), "gradient of");
  EXPECT_EQ(marks_of("gradient ofh in"), "");
  EXPECT_EQ(marks_of("gradient of loss of gradient of h in"), "gradient of");
  EXPECT_EQ(marks_of("recomputation of gradient of h in"), "recomputation of gradient of");
  // No more than the parser takes.
  std::string many = "gradient of";
  for (int i = 1; i < kMostMarks; ++i) many += " gradient of";
  EXPECT_EQ(marks_of(many + " gradient of"), many);
}

TEST(Text, Comments) {
  Graph graph = parse_graph("graph @m(%x: f32[N, 4]) {\n  %y = relu(%x)\n  return %y\n}", "m.weir");
  EXPECT_THAT(print(graph, {.types = true}), HasSubstr("  %y = relu(%x)  // f32[N, 4]\n"));
  EXPECT_THAT(print(graph, {.locations = true}), HasSubstr("  %y = relu(%x)  // m.weir:2:8\n"));
  std::string both = print(graph, {.types = true, .locations = true});
  EXPECT_THAT(both, HasSubstr("  %y = relu(%x)  // f32[N, 4]  m.weir:2:8\n"));
  EXPECT_EQ(print(parse_graph(both, "again.weir")), print(graph));
  EXPECT_EQ(print(graph, NodeId{0}), "%y = relu(%x)");
}

// A location may hold the name of a node in an imported file, which may be anything.
TEST(Text, CommentsStayOnTheirLine) {
  Graph graph("main");
  ValueId x = graph.add_input("x", {DType::f32, {}});
  Location location(std::make_shared<const std::string>("model.onnx"), 0, 0);
  location.note = "node\n} graph @evil() {";
  NodeId y =
      graph.add_node(*parse_graph("graph @m(%x: f32[]) { %y = relu(%x) return }", "").nodes()[0].op,
                     {x}, {}, location);
  graph.add_output(graph.result(y), "y");
  std::string text = print(graph, {.types = true, .locations = true});
  EXPECT_EQ(print(parse_graph(text, "again.weir")), print(graph));
}

TEST(Text, ElidesLargeTensors) {
  std::string text = "graph @m() { %c = constant {value = i32[100] [0";
  for (int i = 1; i < 100; ++i) text += ", " + std::to_string(i);
  Graph graph = parse_graph(text + "]} return %c }", "m.weir");
  EXPECT_THAT(print(graph, {.elide = true}), HasSubstr("[0, 1, 2, ..., 97, 98, 99]"));
  EXPECT_THAT(print(graph), Not(HasSubstr("...")));
}

TEST(Text, NamesOfAnyBytes) {
  for (int byte = 0; byte < 256; ++byte) {
    Graph graph(std::string("graph") + static_cast<char>(byte));
    std::string name(1, static_cast<char>(byte));
    graph.add_output(graph.add_input(name, {DType::f32, {}}), name + name);
    expect_round_trip(graph);
  }
  for (const char* name :
       {"0", "12", "1x", "a.b-c", "layer/conv:0", "größe", "\xC3", "\xED\xA0\x80",
        "\xF0\x9F\x98\x80", "\xC2\x85", "\\n", "as", "return", "%x", "a\"b", "output0"}) {
    Graph graph(name);
    graph.add_output(graph.add_input(name, {DType::f32, {}}));
    expect_round_trip(graph);
  }
}

TEST(Text, NumberedValuesDoNotClash) {
  Graph graph = parse_graph(
      R"(graph @m(%"0": f32[]) { %1 = relu(%"0") %"1" = relu(%1) %5 = relu(%"1") return %1, %"1", %5 })",
      "m");
  EXPECT_EQ(print(graph), R"(graph @m(%"0": f32[]) -> (f32[], f32[], f32[]) {
  %0 = relu(%"0")
  %"1" = relu(%0)
  %1 = relu(%"1")
  return %0, %"1", %1
}
)");
  EXPECT_EQ(graph.outputs()[0].name, "output0");
  EXPECT_EQ(graph.outputs()[1].name, "1");
  EXPECT_EQ(graph.outputs()[2].name, "output2");
  expect_round_trip(graph);
}

template <class Float, class Bits>
void expect_floats_round_trip(DType dtype, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  constexpr int kCount = 20000;
  auto tensor = std::make_shared<Tensor>(dtype, Tensor::Sizes{kCount});
  auto elements = tensor->mutable_elements<Float>();
  for (Float& element : elements) element = std::bit_cast<Float>(static_cast<Bits>(random()));
  using Limits = std::numeric_limits<Float>;
  const Float special[] = {0,
                           -Float{0},
                           Limits::infinity(),
                           -Limits::infinity(),
                           Limits::quiet_NaN(),
                           Limits::denorm_min(),
                           -Limits::denorm_min(),
                           Limits::min(),
                           std::nextafter(Limits::min(), Float{0}),
                           Limits::max(),
                           Limits::lowest(),
                           1,
                           Float{1} / 3};
  std::copy(std::begin(special), std::end(special), elements.begin());
  Attribute attribute = std::shared_ptr<const Tensor>(tensor);
  Graph graph = parse_graph(
      "graph @m() { %c = constant {value = " + to_string(attribute) + "} return %c }", "m.weir");
  EXPECT_TRUE(same(*graph.nodes()[0].attributes.find("value"), attribute));
  expect_round_trip(graph);
}

TEST(Text, FloatsToTheLastBit) {
  expect_floats_round_trip<float, std::uint32_t>(DType::f32, 1);
  expect_floats_round_trip<double, std::uint64_t>(DType::f64, 2);
}

TEST(Text, RealAttributesToTheLastBit) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 2000; ++i) {
    double value = std::bit_cast<double>(random());
    if (!std::isfinite(value)) continue;
    std::string text = "graph @m(%x: f64[]) { %y = leaky_relu(%x) {negative_slope = " +
                       to_string(Attribute(value)) + "} return %y }";
    double again = parse_graph(text, "m.weir").nodes()[0].attributes.real("negative_slope");
    EXPECT_EQ(std::bit_cast<std::uint64_t>(again), std::bit_cast<std::uint64_t>(value)) << text;
  }
}

TEST(Text, DimensionsAsPrinted) {
  Dim n = Dim::symbol("N"), m = Dim::symbol("batch_size.1");
  const Dim dims[] = {n,
                      4 * n + 1,
                      n * n * m - 3 * n * m,
                      -1 * n,
                      2 - n * m,
                      n * Dim(INT64_MIN),
                      n + Dim(INT64_MIN),
                      n * m + n * Dim(INT64_MIN),
                      n * Dim(INT64_MAX) - Dim(INT64_MAX)};
  for (const Dim& dim : dims) {
    Graph graph("main");
    graph.add_output(graph.add_input("x", {DType::i8, {dim}}), "y");
    graph.add_input("sizes", {DType::i8, {n, m}});
    expect_round_trip(graph);
  }
  Graph graph =
      parse_graph("graph @m(%x: f32[2*3*N - N*2 + 1 - 1, 7 - 3, - 2 + N, --0 ]) { return }", "m");
  EXPECT_EQ(to_string(graph.type(graph.find("x"))), "f32[4*N, 4, N - 2, 0]");
  // A symbol may be called as the quotient is.
  graph = parse_graph("graph @m(%x: f32[floordiv, 2*floordiv(floordiv + 3, 2)]) { return }", "m");
  EXPECT_EQ(to_string(graph.type(graph.find("x"))),
            "f32[floordiv, 2*floordiv(floordiv + 1, 2) + 2]");
}

// Graphs of nearly all ops, with attributes and names at random. The few whose operands do not fit
// by chance are in their files of graphs, whose text is kept, too.
TEST(Text, RandomGraphs) {
  std::set<std::string> missing;
  for (const auto& op : all_ops()) missing.insert(op->name);
  constexpr std::uint64_t kGraphs = test::kSanitized ? 60 : 300;
  for (std::uint64_t seed = 0; seed < kGraphs; ++seed) {
    SCOPED_TRACE(seed);
    Graph graph = random_graph(seed, 30);
    for (const Node& node : graph.nodes()) missing.erase(node.op->name);
    expect_round_trip(graph);
    if (HasFailure()) return;
  }
  if (test::kSanitized) return;  // so few use half of the ops
  EXPECT_LE(missing.size(), all_ops().size() / 10) << ::testing::PrintToString(missing);
}

// Every example of the documentation is a file that can be read.
TEST(TextDocumentation, Examples) {
  std::istringstream page(read_source_file("docs/text-form.md"));
  std::string example;
  int examples = 0;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    if (inside && line == "```") {
      SCOPED_TRACE(example);
      for (const Graph& graph : parse_graphs(example, "text-form.md")) expect_round_trip(graph);
      ++examples;
      inside = false;
    } else if (line == "```weir") {
      inside = true;
      example.clear();
    } else if (inside) {
      example += line + "\n";
    }
  }
  EXPECT_GE(examples, 5);
}

}  // namespace
}  // namespace weir
