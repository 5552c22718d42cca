#include "tests/unit/ir/text_testing.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "ir/notes.h"
#include "ir/text.h"

namespace weir {
namespace {

// What a graph is, without ids, and of locations the marks alone.
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
  for (std::size_t i = 0; i < a.params().size(); ++i) {
    const Initializer* x = a.initializer(a.params()[i]);
    const Initializer* y = b.initializer(b.params()[i]);
    ASSERT_EQ(x != nullptr, y != nullptr) << a.value(a.params()[i]).name;
    if (!x) continue;
    EXPECT_EQ(x->name, y->name);
    EXPECT_EQ(x->attributes, y->attributes);
  }
  ASSERT_EQ(a.nodes().size(), b.nodes().size());
  for (std::size_t i = 0; i < a.nodes().size(); ++i) {
    EXPECT_EQ(a.nodes()[i].op, b.nodes()[i].op);
    EXPECT_EQ(marks_of(a.nodes()[i].location.note), marks_of(b.nodes()[i].location.note));
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

}  // namespace

std::string read_source_file(const std::string& path) {
  std::ifstream file(std::filesystem::path(WEIR_SOURCE_DIR) / path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_FALSE(text.str().empty()) << path;
  return text.str();
}

std::string every_feature() { return read_source_file("tests/unit/ir/every_feature.weir"); }

std::string text_error(std::string_view text) {
  try {
    parse_graphs(text, "test.weir");
  } catch (const Error& error) {
    EXPECT_TRUE(error.diagnostic().location.known());
    EXPECT_FALSE(error.diagnostic().message.empty());
    return error.what();
  }
  return "no error";
}

void expect_round_trip(const Graph& graph) {
  std::string text = print(graph);
  SCOPED_TRACE(text);
  Graph again = parse_graph(text, "printed.weir");
  EXPECT_EQ(print(again), text);
  expect_same(graph, again);
}

}  // namespace weir
