// Pictures, as Graphviz's own parser reads them: of random programs at every stage, and of names
// that hold whatever a name can hold.
#include <cgraph.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compiler/autodiff/gradient.h"
#include "compiler/drawing/drawing.h"
#include "compiler/drawing/svg.h"
#include "ir/builder_ops.h"
#include "ir/escape.h"
#include "ir/op.h"
#include "ir/text.h"
#include "tests/unit/pipeline/random_program.h"

namespace weir::test {
namespace {

std::string complaint;

int note_complaint(char* text) {
  complaint += text;
  return 0;
}

struct Close {
  void operator()(Agraph_t* graph) const { agclose(graph); }
};

// What libcgraph reads from DOT text.
class Parsed {
 public:
  explicit Parsed(const std::string& dot) {
    complaint.clear();
    agseterrf(note_complaint);
    graph_.reset(agmemread(dot.c_str()));
    if (graph_ == nullptr) complaint += "(no graph)";
  }

  Agraph_t* get() const { return graph_.get(); }
  bool good() const { return complaint.empty(); }

 private:
  std::unique_ptr<Agraph_t, Close> graph_;
};

std::string attribute(void* object, const char* name) {
  std::string copy = name;
  const char* value = agget(object, copy.data());
  return value == nullptr ? "" : value;
}

std::size_t count_of(Agraph_t* graph, const std::string& title) {
  std::size_t count = 0;
  for (Agnode_t* node = agfstnode(graph); node != nullptr; node = agnxtnode(graph, node))
    count += attribute(node, "label").starts_with("<B>" + title + "</B>") ? 1 : 0;
  return count;
}

std::map<std::string, std::size_t> count_ops(const Graph& graph, std::span<const NodeId> nodes) {
  std::map<std::string, std::size_t> counts;
  for (NodeId id : nodes)
    if (!graph.node(id).op->data) ++counts[graph.node(id).op->name];
  return counts;
}

std::vector<NodeId> all_nodes(const Graph& graph) {
  std::vector<NodeId> nodes;
  for (std::uint32_t i = 0; i < graph.nodes().size(); ++i) nodes.push_back(NodeId{i});
  return nodes;
}

// Every node is drawn once, with an edge for each of its operands, and every output has one.
void expect_drawn(const Graph& graph, const std::string& dot) {
  Parsed parsed(dot);
  ASSERT_TRUE(parsed.good()) << complaint << "\n" << dot;
  std::size_t edges = graph.outputs().size();
  for (const Node& node : graph.nodes())
    if (!node.op->data) edges += node.operands.size();
  EXPECT_EQ(static_cast<std::size_t>(agnedges(parsed.get())), edges) << dot;
  for (auto [op, count] : count_ops(graph, all_nodes(graph)))
    EXPECT_EQ(count_of(parsed.get(), op), count) << dot;
}

// Every call is a box around the nodes that it computes.
void expect_drawn(const Graph& graph, const weir::Program& program, const std::string& dot) {
  Parsed parsed(dot);
  ASSERT_TRUE(parsed.good()) << complaint << "\n" << dot;
  std::size_t boxes = 0;
  for (Agraph_t* box = agfstsubg(parsed.get()); box != nullptr; box = agnxtsubg(box)) {
    // Not in the order of the text.
    std::size_t number =
        std::stoul(std::string(agnameof(box)).substr(std::string("cluster_").size()));
    ASSERT_LT(number, program.calls.size());
    ++boxes;
    const KernelCall& call = program.calls[number];
    std::string name = fmt::format("k{}_{}", call.kernel, program.kernels[call.kernel].name);
    EXPECT_NE(attribute(box, "label").find(name), std::string::npos) << dot;
    for (auto [op, count] : count_ops(graph, call.nodes))
      EXPECT_EQ(count_of(box, op), count) << dot;
  }
  EXPECT_EQ(boxes, program.calls.size()) << dot;
  for (const Graph::Output& output : graph.outputs())
    EXPECT_GE(count_of(parsed.get(), "%" + output.name), 1u) << dot;
}

TEST(Drawing, RandomPrograms) {
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Graph graph = random_program(seed).graph;
    expect_drawn(graph, draw(graph, InspectStage::graph));
    Graph optimized = optimize(graph);
    expect_drawn(optimized, draw(graph, InspectStage::optimized));
    CompileOptions options;
    options.fuse = seed % 4 != 0;
    expect_drawn(optimized, lower_graph(graph, options),
                 draw(graph, InspectStage::kernels, options));
    if (seed % 20 == 0) {
      EXPECT_TRUE(svg(draw(graph, InspectStage::kernels, options)).ends_with("</svg>\n"));
    }
    if (HasFailure()) break;
  }
}

// What is written around a copy of an image has a place of its own, on the way to the copy.
TEST(Drawing, FramesOfWindows) {
  Graph graph = parse_graph(
      "graph @f(%x: f32[3, 32, 3]) -> (f32[3, 32, 2]) { "
      "%y = max_pool(%x) {kernel = [3], low = [1]} return %y }",
      "frames");
  weir::Program program = lower_graph(graph, {});
  std::string dot = draw(graph, InspectStage::kernels);
  expect_drawn(optimize(graph), program, dot);
  Parsed parsed(dot);
  std::size_t frames = 0;
  for (const KernelCall& call : program.calls)
    frames += call.nodes.empty() && call.buffers.size() == 1 ? 1 : 0;
  EXPECT_GT(frames, 0u) << dot;
  EXPECT_EQ(count_of(parsed.get(), "frame"), frames) << dot;
  for (Agnode_t* node = agfstnode(parsed.get()); node != nullptr;
       node = agnxtnode(parsed.get(), node)) {
    if (!attribute(node, "label").starts_with("<B>frame</B>")) continue;
    EXPECT_NE(agfstout(parsed.get(), node), nullptr) << dot;
  }
}

TEST(Drawing, IsTheSameTextEveryTime) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Graph graph = random_program(seed).graph;
    std::string text = draw(graph, InspectStage::kernels);
    EXPECT_EQ(draw(graph, InspectStage::kernels), text);
    EXPECT_EQ(svg(text), svg(text));
  }
}

// Names hold any bytes: markup, quotes, control characters, what is no UTF-8.
TEST(Drawing, NamesAreEscaped) {
  std::string all;
  for (int byte = 1; byte < 256; ++byte) all += static_cast<char>(byte);
  for (const std::string& name :
       {all, std::string("</B><script>&amp;"), std::string("\\N\\G\\l\\\""),
        std::string("\"];}\n n0 -> n1"), std::string("a\0b", 3),
        std::string("\xF0\x9F\x98\x80\xC3\xA9\xC3"), std::string(5000, '>')}) {
    GraphBuilder builder(name);
    Var x = builder.input(name, DType::f32, {Dim::symbol("N"), 4});
    Var w = builder.param(name + "w", DType::f32, {4, 4});
    builder.output(name, leaky_relu(matmul(x, w)));
    Graph graph = builder.finish().graph;
    for (InspectStage stage : {InspectStage::graph, InspectStage::kernels}) {
      std::string dot = draw(graph, stage);
      std::string flat = dot;
      std::replace(flat.begin(), flat.end(), '\n', ' ');
      EXPECT_EQ(printable(flat), flat) << "control characters, or no UTF-8";
      Parsed parsed(dot);
      ASSERT_TRUE(parsed.good()) << complaint << "\n" << dot;
      EXPECT_EQ(agnnodes(parsed.get()), 5) << dot;
      EXPECT_EQ(svg(dot).find("<script>"), std::string::npos);
    }
  }
}

TEST(Drawing, GradientsAreToldApart) {
  Graph graph = gradient(parse_graph("graph @g(%x: f32[N, 4]) -> (f32[N, 4]) {\n"
                                     "  %y = leaky_relu(%x)\n  return %y\n}\n",
                                     "g.weir"),
                         std::vector<std::string>{"x"});
  Parsed parsed(draw(graph, InspectStage::graph));
  ASSERT_TRUE(parsed.good());
  std::map<std::string, std::string> colors;
  for (Agnode_t* node = agfstnode(parsed.get()); node != nullptr;
       node = agnxtnode(parsed.get(), node)) {
    std::string tooltip = attribute(node, "tooltip");
    if (attribute(node, "label").starts_with("<B>leaky_relu"))
      colors[tooltip.find("gradient of g.weir:2") == std::string::npos ? "forward" : "backward"] =
          attribute(node, "fillcolor");
  }
  ASSERT_EQ(colors.size(), 2u);
  EXPECT_NE(colors["forward"], colors["backward"]);
}

TEST(Drawing, TextStagesHaveNone) {
  Graph graph = random_program(1).graph;
  for (auto [stage, name] :
       {std::pair(InspectStage::llvm, "llvm"), std::pair(InspectStage::assembly, "asm")}) {
    try {
      draw(graph, stage);
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()),
                fmt::format("there is no picture of the stage {}; there is one of graph, "
                            "optimized and kernels",
                            name));
    }
  }
}

TEST(Svg, RefusesWhatIsNoPicture) {
  EXPECT_THROW(svg("no graph"), Error);
  EXPECT_THROW(svg(""), Error);
  EXPECT_THROW(svg("digraph { a [label=<<B>unclosed>]; }"), Error);
}

}  // namespace
}  // namespace weir::test
