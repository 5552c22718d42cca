// The text form: what is read equals what was printed, and no file whatever does harm.

#include "ir/text.h"

#include <malloc.h>

#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/escape.h"
#include "ir/op.h"
#include "ir/registry.h"
#include "tests/unit/ir/random_graph.h"

namespace weir {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string read(const std::string& path) {
  std::ifstream file(std::filesystem::path(WEIR_SOURCE_DIR) / path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_FALSE(text.str().empty()) << path;
  return text.str();
}

std::string sample() { return read("tests/unit/ir/every_feature.weir"); }

std::string error_of(std::string_view text) {
  try {
    parse_graphs(text, "test.weir");
  } catch (const Error& error) {
    EXPECT_TRUE(error.diagnostic().location.known());
    EXPECT_FALSE(error.diagnostic().message.empty());
    return error.what();
  }
  return "no error";
}

// What a graph is, without locations and ids.
void expect_same(const Graph& a, const Graph& b) {
  ASSERT_EQ(a.name(), b.name());
  auto same_values = [&](std::span<const ValueId> x, std::span<const ValueId> y) {
    ASSERT_EQ(x.size(), y.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      EXPECT_EQ(a.value(x[i]).name, b.value(y[i]).name);
      EXPECT_EQ(a.value(x[i]).kind, b.value(y[i]).kind);
      EXPECT_EQ(a.value(x[i]).producer, b.value(y[i]).producer);
      EXPECT_EQ(a.value(x[i]).result_index, b.value(y[i]).result_index);
      EXPECT_EQ(a.type(x[i]), b.type(y[i]));
    }
  };
  same_values(a.inputs(), b.inputs());
  same_values(a.params(), b.params());
  ASSERT_EQ(a.nodes().size(), b.nodes().size());
  for (std::size_t i = 0; i < a.nodes().size(); ++i) {
    EXPECT_EQ(a.nodes()[i].op, b.nodes()[i].op);
    EXPECT_EQ(a.nodes()[i].attributes, b.nodes()[i].attributes);
    same_values(a.nodes()[i].operands, b.nodes()[i].operands);
    same_values(a.nodes()[i].results, b.nodes()[i].results);
  }
  ASSERT_EQ(a.outputs().size(), b.outputs().size());
  for (std::size_t i = 0; i < a.outputs().size(); ++i) {
    EXPECT_EQ(a.outputs()[i].name, b.outputs()[i].name);
    same_values(std::span(&a.outputs()[i].value, 1), std::span(&b.outputs()[i].value, 1));
  }
}

void expect_round_trip(const Graph& graph) {
  std::string text = print(graph);
  SCOPED_TRACE(text);
  Graph again = parse_graph(text, "printed.weir");
  EXPECT_EQ(print(again), text);
  expect_same(graph, again);
}

TEST(Text, PrintsEveryFeature) {
  std::vector<Graph> graphs = parse_graphs(sample(), "every_feature.weir");
  ASSERT_EQ(graphs.size(), 2u);
  EXPECT_EQ(
      print(graphs[0]),
      R"(graph @every_feature(%x: f32[N, 4], %"layer/0:w\n\x01\xff é": f64[4*N + 1, -2*M*N + 3*K - 7, 0], %flags.a-b: bool[], %"7": i32[M*M, K], %labels: i64[N]) -> (f32[N, 4], f32[N, 4], f32[2, 3], f32[N, 4], bool[2], i64[], f64[1, 0, 3]) {
  param %w: f32[4, 4]
  param %b: f32[4]
  %0 = linear(%x, %w)
  %1 = add(%0, %b)
  %2 = leaky_relu(%1) {negative_slope = -0.05}
  %h = leaky_relu(%2) {negative_slope = 3.0}
  %3 = leaky_relu(%h) {negative_slope = 1e-300}
  %lr.grad = leaky_relu.grad(%3, %h) {negative_slope = 0.25}
  %s = softmax(%lr.grad)
  %c = constant() {value = f32[2, 3] [[1.0, -0.0, inf], [nan, 1e-45, -3.4028235e+38]]}
  %truth = constant() {value = bool[2] [true, false]}
  %least = constant() {value = i64[] -9223372036854775808}
  %none = constant() {value = f64[1, 0, 3] []}
  %wide = broadcast(%b) {shape = [N, 4]}
  %total = reduce_sum(%wide) {axes = [0, -1], keep_dims = true}
  %as_i64 = cast(%total) {dtype = i64}
  return %s as "probabilities é \"\\\t", %lr.grad, %c, %wide as "7", %truth, %least, %none
}
)");
  EXPECT_EQ(print(graphs[1]), "graph @\"another graph\"() -> () {\n  return\n}\n");
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
    graph.add_output(graph.add_input("x", {DType::f32, {dim}}), "y");
    expect_round_trip(graph);
  }
  Graph graph =
      parse_graph("graph @m(%x: f32[2*3*N - N*2 + 1 - 1, 7 - 3, - 2 + N, --0 ]) { return }", "m");
  EXPECT_EQ(to_string(graph.type(graph.find("x"))), "f32[4*N, 4, N - 2, 0]");
}

// Graphs of all ops, with attributes and names at random.
TEST(Text, RandomGraphs) {
  std::set<std::string> missing;
  for (const auto& op : all_ops()) missing.insert(op->name);
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Graph graph = random_graph(seed, 30);
    for (const Node& node : graph.nodes()) missing.erase(node.op->name);
    expect_round_trip(graph);
    if (HasFailure()) return;
  }
  EXPECT_THAT(missing, ::testing::IsEmpty());
}

TEST(TextRobustness, TruncationAtEveryByte) {
  std::string text = sample();
  std::size_t graph_ends = 0;
  std::size_t content = text.find_last_not_of(" \n") + 1;
  for (std::size_t length = 0; length < content; ++length) {
    SCOPED_TRACE(length);
    std::string message = error_of(std::string_view(text).substr(0, length));
    if (message == "no error") {
      // Only after the first of the two graphs.
      EXPECT_EQ(text.substr(0, length).find("another graph"), std::string::npos);
      ++graph_ends;
    }
  }
  EXPECT_EQ(graph_ends, 3u);  // after the brace, and after each line break behind it
}

TEST(TextRobustness, NulBytesAndStrayUtf8) {
  std::string text = sample();
  for (std::size_t position = 0; position < text.size(); position += 7) {
    for (char byte : {'\0', '\x80', '\xC3', '\xFF', '\x1B'}) {
      std::string damaged = text;
      damaged.insert(position, 1, byte);
      std::string message = error_of(damaged);
      // Any byte may stand in a comment, but a NUL nowhere.
      bool comment =
          text.rfind("//", position) != std::string::npos &&
          text.substr(text.rfind("//", position), position).find('\n') == std::string::npos;
      if (!comment && byte == '\0') {
        EXPECT_THAT(message, Not(HasSubstr("no error")));
      }
      EXPECT_EQ(message.find('\0'), std::string::npos);
      EXPECT_EQ(message.find('\x1B'), std::string::npos);
    }
  }
  EXPECT_THAT(error_of(std::string_view("// a\0b\ngraph @m() { return }", 27)),
              HasSubstr("a NUL byte"));
  EXPECT_THAT(error_of("graph @m() { return \xFF }"), HasSubstr("byte 0xff is not UTF-8"));
  EXPECT_THAT(error_of("graph @\"\xC3(\"() { return }"), HasSubstr("byte 0xc3 is not UTF-8"));
  EXPECT_THAT(error_of("graph @\"a\x1B[2J\"() { return }"), HasSubstr("a control character"));
  EXPECT_EQ(error_of("\xEF\xBB\xBFgraph @m() { return }"), "no error");
}

TEST(TextRobustness, DeepNesting) {
  std::string open(100'000, '['), close(100'000, ']');
  auto constant = [](const std::string& value) {
    return "graph @m() { %c = constant {value = " + value + "} return %c }";
  };
  EXPECT_THAT(error_of(constant(open)), HasSubstr("a list holds integers or dimensions, not '['"));
  EXPECT_THAT(error_of(constant("f32[1, 1] " + open)), HasSubstr("nested more than 2 deep"));
  EXPECT_THAT(error_of(constant("f32" + open)), HasSubstr("expected the size of a dimension"));
  std::string ones = "1";
  for (int i = 1; i < 100'000; ++i) ones += ",1";
  EXPECT_THAT(error_of(constant("f32[" + ones + "] " + open + "1" + close)),
              HasSubstr("at most 64 dimensions"));
  EXPECT_THAT(error_of("graph @m(%x: f32[" + ones + "]) { return }"),
              HasSubstr("at most 64 dimensions"));
  EXPECT_THAT(error_of("graph @m(%x: f32[1]) { %y = reshape(%x) {shape = [" + ones + "]} return }"),
              HasSubstr("64"));
  EXPECT_THAT(error_of("graph @m() { " + std::string(100'000, '{')),
              HasSubstr("expected a statement"));
  EXPECT_THAT(error_of("graph @m" + std::string(100'000, '(')), HasSubstr("expected an input"));
  std::string minus(100'000, '-');
  EXPECT_THAT(error_of("graph @m(%x: f32[" + minus + "1]) { return }"), HasSubstr("found '-'"));
  std::string derivative = "graph @m(%x: f32[1]) { %y = leaky_relu";
  for (int i = 0; i < 100'000; ++i) derivative += ".grad";
  EXPECT_THAT(error_of(derivative + "(%x) return }"), HasSubstr("beyond 4"));
}

// Input that would be slow if anything were quadratic; 100,000 of everything.
TEST(TextRobustness, LongLists) {
  auto repeat = [](auto item) {
    std::string text;
    for (int i = 0; i < 100'000; ++i) text += item(i);
    return text;
  };
  auto number = [](int i) { return std::to_string(i); };
  EXPECT_THAT(error_of("graph @m(%x: f32[N" + repeat([&](int i) { return "+A" + number(i); }) +
                       "]) { return }"),
              HasSubstr("more than 64 terms"));
  EXPECT_THAT(error_of("graph @m(%x: f32[N" + repeat([&](int) { return "*N"; }) + "]) { return }"),
              HasSubstr("more than 64 symbols"));
  EXPECT_EQ(error_of("graph @m(%x: f32[0" + repeat([&](int) { return "+N"; }) + "]) { return }"),
            "no error");
  EXPECT_EQ(error_of("graph @m(%x: f32[N]" + repeat([&](int i) {
                       return ",%" + number(i) + "x: f32[A" + number(i) + "]";
                     }) +
                     ") { return }"),
            "no error");
  EXPECT_EQ(error_of("graph @m(%x: f32[2]) { return %x" +
                     repeat([&](int i) { return ", %x as \"" + number(i) + "\""; }) + "}"),
            "no error");
  EXPECT_EQ(error_of("graph @m(%x: f32[2]) { %y = concat(%x" + repeat([](int) { return ", %x"; }) +
                     ") {axis = 0} return }"),
            "no error");
  EXPECT_THAT(error_of("graph @m(%x: f32[2]) { %y" +
                       repeat([&](int i) { return ", %" + number(i); }) + " = relu(%x) return }"),
              HasSubstr("relu has 1 result, and 100001 are named"));
  EXPECT_EQ(error_of(repeat([&](int i) { return "graph @g" + number(i) + "() { return }\n"; })),
            "no error");
  EXPECT_EQ(error_of("graph @m(%x: f32[2]) { %0 = relu(%x)" + repeat([&](int i) {
                       return "%" + number(i + 1) + " = relu(%" + number(i) + ")\n";
                     }) +
                     " return %100000 }"),
            "no error");
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(__GLIBC__)
// What the allocator has handed out. Sanitizers have their own.
std::size_t allocated() {
  struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

TEST(TextRobustness, MemoryIsAMultipleOfTheFile) {
  // Long types with short statements cost most: a byte of text is many dimensions.
  std::string dims = "1";
  for (std::size_t i = 1; i < kMaximumRank; ++i) dims += ",1";
  std::string text = "graph @m(%x:f32[" + dims + "]){";
  for (int i = 0; i < 20'000; ++i) text += "%" + std::to_string(i) + "=neg(%x)";
  text += "return}";
  parse_graph("graph @m(%x: f32[1]) { %y = neg(%x) return %y }", "m.weir");
  std::size_t before = allocated();
  Graph graph = parse_graph(text, "m.weir");
  EXPECT_LT(allocated() - before, kMemoryPerByte * text.size());

  std::string tensor = "graph @m() { %c = constant {value = f64[200000] [1";
  for (int i = 1; i < 200'000; ++i) tensor += ",1";
  before = allocated();
  Graph constant = parse_graph(tensor + "]} return }", "m.weir");
  EXPECT_LT(allocated() - before, 4 * tensor.size() + 100'000);
}
#endif

// A few bytes that ask for much are refused before anything is allocated.
TEST(TextRobustness, SizesThatTheFileDoesNotHold) {
  for (std::string_view sizes :
       {"1000000000", "9223372036854775807", "4294967296, 4294967296", "1000, 1000, 1000"})
    EXPECT_THAT(error_of("graph @m() { %c = constant {value = f32[" + std::string(sizes) +
                         "] [0.0]} return }"),
                HasSubstr("elements"));
  EXPECT_EQ(error_of("graph @m() { %c = constant {value = f32[1000000000, 0] []} return }"),
            "no error");
  EXPECT_THAT(error_of("graph @m() { %c = constant {value = f32[1000000000, 0] [[], []]} return }"),
              HasSubstr("holds 2 of the 1000000000 entries"));
}

// Every example of the documentation is a file that can be read.
TEST(TextDocumentation, Examples) {
  std::istringstream page(read("docs/text-form.md"));
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

// Bytes flipped, removed, doubled; words of the language put anywhere. Whatever comes out, it is a
// graph that prints and reads back, or an Error.
TEST(TextRobustness, Mutations) {
  const std::string_view words[] = {"%x",
                                    "%0",
                                    "@g",
                                    "\"",
                                    "\\",
                                    "//",
                                    "\n",
                                    "{",
                                    "}",
                                    "(",
                                    ")",
                                    "[",
                                    "]",
                                    "[[",
                                    ",",
                                    ":",
                                    "=",
                                    "->",
                                    "-",
                                    "+",
                                    "*",
                                    "0",
                                    "1",
                                    "-1",
                                    "2",
                                    "4",
                                    "9223372036854775807",
                                    "-9223372036854775808",
                                    "4294967296",
                                    "1e999",
                                    "1e-999",
                                    "0.5",
                                    "inf",
                                    "nan",
                                    "true",
                                    "f32",
                                    "f64",
                                    "i32",
                                    "i64",
                                    "bool",
                                    "bf16",
                                    "N",
                                    "M",
                                    "graph ",
                                    "param ",
                                    "return ",
                                    "as ",
                                    "value",
                                    "axis",
                                    "axes",
                                    "shape",
                                    "relu",
                                    "softmax",
                                    "matmul",
                                    "reshape",
                                    "broadcast",
                                    "transpose",
                                    "slice",
                                    "pad",
                                    "concat",
                                    "reduce_max",
                                    "iota",
                                    "layer_norm",
                                    ".grad",
                                    "select",
                                    "constant",
                                    "{axis = 9}",
                                    "{shape = [N, -1]}",
                                    "f32[0] []"};
  std::string original = sample();
  std::mt19937_64 random(2026);
  auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random() % bound); };
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text = original;
    for (std::size_t edits = 1 + below(3); edits > 0; --edits) {
      std::size_t position = below(text.size());
      switch (below(5)) {
        case 0:
          text[position] = static_cast<char>(text[position] ^ (1 << below(8)));
          break;
        case 1:
          text.erase(position, 1 + below(8));
          break;
        case 2:
          text.insert(position, text.substr(below(text.size()), below(40)));
          break;
        default:
          text.replace(position, below(6), words[below(std::size(words))]);
      }
      if (text.empty()) text = " ";
    }
    SCOPED_TRACE(text);
    std::vector<Graph> graphs;
    try {
      graphs = parse_graphs(text, "damaged.weir");
    } catch (const Error& error) {
      ASSERT_TRUE(error.diagnostic().location.known());
      continue;
    }
    ++accepted;
    for (const Graph& graph : graphs) expect_round_trip(graph);
    if (HasFailure()) return;
  }
  EXPECT_GT(accepted, 100);
}

}  // namespace
}  // namespace weir
