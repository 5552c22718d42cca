// No file whatever does harm: truncated, damaged, deeply nested, or asking for more than it holds,
// it gives an Error with a place, in time and memory that its size bounds.

#include <malloc.h>

#include <random>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/text.h"
#include "tests/support/sanitized.h"
#include "tests/unit/ir/text_testing.h"

namespace weir {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(TextRobustness, TruncationAtEveryByte) {
  std::string text = every_feature();
  std::size_t graph_ends = 0;
  std::size_t content = text.find_last_not_of(" \n") + 1;
  for (std::size_t length = 0; length < content; ++length) {
    SCOPED_TRACE(length);
    std::string message = text_error(std::string_view(text).substr(0, length));
    if (message == "no error") {
      // Only after the first of the two graphs.
      EXPECT_EQ(text.substr(0, length).find("another graph"), std::string::npos);
      ++graph_ends;
    }
  }
  EXPECT_EQ(graph_ends, 3u);  // after the brace, and after each line break behind it
}

TEST(TextRobustness, NulBytesAndStrayUtf8) {
  std::string text = every_feature();
  for (std::size_t position = 0; position < text.size(); position += 7) {
    for (char byte : {'\0', '\x80', '\xC3', '\xFF', '\x1B'}) {
      std::string damaged = text;
      damaged.insert(position, 1, byte);
      std::string message = text_error(damaged);
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
  EXPECT_THAT(text_error(std::string_view("// a\0b\ngraph @m() { return }", 27)),
              HasSubstr("a NUL byte"));
  EXPECT_THAT(text_error("graph @m() { return \xFF }"), HasSubstr("byte 0xff is not UTF-8"));
  EXPECT_THAT(text_error("graph @\"\xC3(\"() { return }"), HasSubstr("byte 0xc3 is not UTF-8"));
  EXPECT_THAT(text_error("graph @\"a\x1B[2J\"() { return }"), HasSubstr("a control character"));
  EXPECT_EQ(text_error("\xEF\xBB\xBFgraph @m() { return }"), "no error");
}

TEST(TextRobustness, DeepNesting) {
  std::string open(100'000, '['), close(100'000, ']');
  auto constant = [](const std::string& value) {
    return "graph @m() { %c = constant {value = " + value + "} return %c }";
  };
  EXPECT_THAT(text_error(constant(open)),
              HasSubstr("a list holds integers or dimensions, not '['"));
  EXPECT_THAT(text_error(constant("f32[1, 1] " + open)), HasSubstr("nested more than 2 deep"));
  EXPECT_THAT(text_error(constant("f32" + open)), HasSubstr("expected the size of a dimension"));
  std::string ones = "1";
  for (int i = 1; i < 100'000; ++i) ones += ",1";
  EXPECT_THAT(text_error(constant("f32[" + ones + "] " + open + "1" + close)),
              HasSubstr("at most 64 dimensions"));
  EXPECT_THAT(text_error("graph @m(%x: f32[" + ones + "]) { return }"),
              HasSubstr("at most 64 dimensions"));
  EXPECT_THAT(
      text_error("graph @m(%x: f32[1]) { %y = reshape(%x) {shape = [" + ones + "]} return }"),
      HasSubstr("64"));
  EXPECT_THAT(text_error("graph @m() { " + std::string(100'000, '{')),
              HasSubstr("expected a statement"));
  EXPECT_THAT(text_error("graph @m" + std::string(100'000, '(')), HasSubstr("expected an input"));
  std::string quotients;
  for (int i = 0; i < 100'000; ++i) quotients += "floordiv(";
  EXPECT_THAT(text_error("graph @m(%x: f32[" + quotients), HasSubstr("at most 64 quotients"));
  std::string minus(100'000, '-');
  EXPECT_THAT(text_error("graph @m(%x: f32[" + minus + "1]) { return }"), HasSubstr("found '-'"));
  std::string derivative = "graph @m(%x: f32[1]) { %y = leaky_relu";
  for (int i = 0; i < 100'000; ++i) derivative += ".grad";
  EXPECT_THAT(text_error(derivative + "(%x) return }"), HasSubstr("beyond 4"));
}

// Input that would be slow if anything were quadratic; 100,000 of everything.
TEST(TextRobustness, LongLists) {
  constexpr int kItems = test::kSanitized ? 30'000 : 100'000;
  auto repeat = [](auto item) {
    std::string text;
    for (int i = 0; i < kItems; ++i) text += item(i);
    return text;
  };
  auto number = [](int i) { return std::to_string(i); };
  EXPECT_THAT(text_error("graph @m(%x: f32[N" + repeat([&](int i) { return "+A" + number(i); }) +
                         "]) { return }"),
              HasSubstr("more than 64 symbols"));
  EXPECT_THAT(
      text_error("graph @m(%x: f32[N" + repeat([&](int) { return "*N"; }) + "]) { return }"),
      HasSubstr("more than 64 symbols"));
  EXPECT_EQ(text_error("graph @m(%x: f32[0" + repeat([&](int) { return "+N"; }) + "]) { return }"),
            "no error");
  EXPECT_EQ(text_error("graph @m(%x: f32[N]" + repeat([&](int i) {
                         return ",%" + number(i) + "x: f32[A" + number(i) + "]";
                       }) +
                       ") { return }"),
            "no error");
  EXPECT_EQ(text_error("graph @m(%x: f32[2]) { return %x" +
                       repeat([&](int i) { return ", %x as \"" + number(i) + "\""; }) + "}"),
            "no error");
  EXPECT_EQ(text_error("graph @m(%x: f32[2]) { %y = concat(%x" +
                       repeat([](int) { return ", %x"; }) + ") {axis = 0} return }"),
            "no error");
  EXPECT_THAT(text_error("graph @m(%x: f32[2]) { %y" +
                         repeat([&](int i) { return ", %" + number(i); }) + " = relu(%x) return }"),
              HasSubstr(fmt::format("relu has 1 result, and {} are named", kItems + 1)));
  EXPECT_EQ(text_error(repeat([&](int i) { return "graph @g" + number(i) + "() { return }\n"; })),
            "no error");
  EXPECT_EQ(text_error("graph @m(%x: f32[2]) { %0 = relu(%x)" + repeat([&](int i) {
                         return "%" + number(i + 1) + " = relu(%" + number(i) + ")\n";
                       }) +
                       " return %" + number(kItems) + " }"),
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

  // Likewise the sizes in a type, of as many symbols with as long names as there may be.
  std::string polynomial = "1", plain;
  for (int i = 10; i < 74; ++i) {
    std::string symbol = std::string(78, 'N') + std::to_string(i);
    polynomial += " + " + symbol;
    plain += ",%p" + std::to_string(i) + ":i8[" + symbol + "]";
  }
  std::string sizes = "graph @m(%x:f32[" + polynomial + "],%z:f32[1]" + plain + "){%0=neg(%x)";
  for (int i = 1; i < 3'000; ++i)
    sizes += "%" + std::to_string(i) + "=concat(%" + std::to_string(i - 1) + ",%z){axis=0}";
  sizes += "return}";
  before = allocated();
  Graph joined = parse_graph(sizes, "m.weir");
  EXPECT_LT(allocated() - before, kMemoryPerByte * sizes.size());
  EXPECT_GT(allocated() - before, kMemoryPerByte / 2 * sizes.size()) << "no harder case";
  EXPECT_THAT(text_error("graph @m(%x: f32[" + std::string(81, 'N') + "]) { return }"),
              HasSubstr("has 81 characters; 80 are the most"));

  std::string tensor = "graph @m() { %c = constant {value = f64[200000] [1";
  for (int i = 1; i < 200'000; ++i) tensor += ",1";
  before = allocated();
  Graph constant = parse_graph(tensor + "]} return }", "m.weir");
  // What it keeps beside the text, and the text; the rest is what any graph takes.
  EXPECT_LT(allocated() - before, 4 * tensor.size() + tensor.size() + 10'000);
}
#endif

// A few bytes that ask for much are refused before anything is allocated.
TEST(TextRobustness, SizesThatTheFileDoesNotHold) {
  for (std::string_view sizes :
       {"1000000000", "9223372036854775807", "4294967296, 4294967296", "1000, 1000, 1000"})
    EXPECT_THAT(text_error("graph @m() { %c = constant {value = f32[" + std::string(sizes) +
                           "] [0.0]} return }"),
                HasSubstr("elements"));
  EXPECT_EQ(text_error("graph @m() { %c = constant {value = f32[1000000000, 0] []} return }"),
            "no error");
  EXPECT_THAT(
      text_error("graph @m() { %c = constant {value = f32[1000000000, 0] [[], []]} return }"),
      HasSubstr("holds 2 of the 1000000000 entries"));
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
                                    "f16",
                                    "i8",
                                    "u8",
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
  std::string original = every_feature();
  std::mt19937_64 random(2026);
  auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random() % bound); };
  int accepted = 0;
  // The fuzzer makes up more of them under the sanitizers.
  constexpr int kFiles = test::kSanitized ? 2'000 : 20'000;
  for (int i = 0; i < kFiles; ++i) {
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
  EXPECT_GT(accepted, kFiles / 200);
}

}  // namespace
}  // namespace weir
