// Programs of many kernel calls: the entry is several functions, in memory spread over several
// modules.

#include <algorithm>
#include <sstream>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compiler/pipeline.h"
#include "ir/text.h"
#include "tests/unit/pipeline/compiled.h"

namespace weir {
namespace {

// Sums of rows of their own lengths, each shared among threads by chunks or not, all in the
// workspace, and one output that reads all of them.
Graph graph_of(int calls) {
  std::string inputs, nodes;
  for (int i = 0; i < calls; ++i) {
    inputs += fmt::format("{}%x{}: f32[N, {}]", i == 0 ? "" : ", ", i, i * 37 + 1);
    nodes += fmt::format("  %s{0} = reduce_sum(%x{0}) {{axes = [1]}}\n", i);
    nodes += fmt::format("  %a{0} = {1}\n", i,
                         i == 0 ? "neg(%s0)" : fmt::format("sub(%s{}, %a{})", i, i - 1));
  }
  return parse_graph(fmt::format("graph @many({}) -> (f32[N]) {{\n{}  return %a{}\n}}\n", inputs,
                                 nodes, calls - 1),
                     "many.weir");
}

TEST(ManyCalls, NoFunctionOfTheEntryGrowsWithTheirNumber) {
  Graph graph = graph_of(120);
  std::size_t calls = lower_graph(graph).calls.size();
  ASSERT_GE(calls, 100u);
  std::istringstream text(inspect(graph, InspectStage::llvm));
  std::size_t all = 0, here = 0, most = 0;
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with("define")) here = 0;
    if (line.find("call void @weir.run(") == std::string::npos) continue;
    ++all;
    most = std::max(most, ++here);
  }
  EXPECT_GE(all, calls);
  EXPECT_LE(most, 64u);
}

TEST(ManyCalls, GiveTheBitsOfTheInterpreter) {
  Inputs inputs;
  for (int i = 0; i < 40; ++i) {
    Tensor x(DType::f32, {5, i * 37 + 1});
    std::span<float> elements = x.mutable_elements<float>();
    for (std::size_t j = 0; j < elements.size(); ++j)
      elements[j] = static_cast<float>(j % 29) * 0.37F - static_cast<float>(i % 7);
    inputs.emplace(fmt::format("x{}", i), std::move(x));
  }
  EXPECT_EQ(test::difference_on_levels(graph_of(40), {}, std::span(&inputs, 1)), std::nullopt);
}

}  // namespace
}  // namespace weir
