// The verifier: one broken graph for each rule, and the checks of what a user may get wrong.
//
// Building through Graph keeps the rules, so the tests reach behind its interface.

#include "ir/verifier.h"

#include <functional>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/op.h"
#include "ir/registry.h"
#include "ir/text.h"
#include "tests/unit/ir/random_graph.h"

namespace weir {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Explicit instantiation may name private members; the friend functions hand them out.
struct NodesTag {};
struct ValuesTag {};
struct OutputsTag {};
struct InputsTag {};
auto& reach(Graph& graph, NodesTag);
auto& reach(Graph& graph, ValuesTag);
auto& reach(Graph& graph, OutputsTag);
auto& reach(Graph& graph, InputsTag);

template <auto Member, class Tag>
struct Access {
  friend auto& reach(Graph& graph, Tag) { return graph.*Member; }
};
template struct Access<&Graph::nodes_, NodesTag>;
template struct Access<&Graph::values_, ValuesTag>;
template struct Access<&Graph::outputs_, OutputsTag>;
template struct Access<&Graph::inputs_, InputsTag>;

Graph sample() {
  return parse_graph(R"(graph @sample(%x: f32[N, 4], %m: f32[M, 4]) -> (f32[N, 4]) {
  param %w: f32[4, 4]
  param %k: f32[4, 4] = he {negative_slope = 0.05}
  %h = linear(%x, %w)
  %y = leaky_relu(%h) {negative_slope = 0.05}
  %z = broadcast(%w) {shape = [4, 4]}
  return %y
}
)",
                     "sample.weir");
}

Node& node(Graph& graph, std::size_t index) { return reach(graph, NodesTag{})[index]; }
Value& value(Graph& graph, std::string_view name) {
  return reach(graph, ValuesTag{})[graph.find(name).index];
}

std::string violation_of(const Graph& graph, std::string_view stage = {}) {
  try {
    verify(graph, stage);
  } catch (const InternalError& error) {
    return error.what();
  }
  return "no error";
}

std::string message_of(const Graph& graph) {
  try {
    check_graph(graph);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Verifier, AcceptsWhatTheGraphBuilds) {
  EXPECT_EQ(violation_of(sample()), "no error");
  EXPECT_EQ(violation_of(Graph()), "no error");
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Graph graph = random_graph(seed, 30);
    EXPECT_EQ(violation_of(graph), "no error") << print(graph);
    EXPECT_EQ(message_of(graph), "no error") << print(graph);
  }
}

TEST(Verifier, NamesRuleStageNodeAndGraph) {
  Graph graph = sample();
  value(graph, "y").type.dtype = DType::f64;
  EXPECT_EQ(violation_of(graph, "pass fold"),
            R"(internal error: the graph is malformed after pass fold
rule inferred-types: the results have the types that the op's declaration infers
node 1, leaky_relu, declared at sample.weir:5:8: result 0 is f64[N, 4], and the op infers f32[N, 4]
%y = leaky_relu(%h) {negative_slope = 0.05}  // f64[N, 4]

graph @sample(%x: f32[N, 4], %m: f32[M, 4]) -> (f64[N, 4]) {
  param %w: f32[4, 4]
  param %k: f32[4, 4] = he {negative_slope = 0.05}
  %h = linear(%x, %w)  // f32[N, 4]
  %y = leaky_relu(%h) {negative_slope = 0.05}  // f64[N, 4]
  %z = broadcast(%w) {shape = [4, 4]}  // f32[4, 4]
  return %y
}
)");
}

// A rule and a graph that breaks it.
struct Breach {
  std::string rule;
  std::string message;
  std::function<void(Graph&)> break_it;
};

const std::vector<Breach>& breaches() {
  static const std::vector<Breach> all{
      {"ids-exist", "output y is or updates value 999",
       [](Graph& g) { reach(g, OutputsTag{})[0].value = ValueId{999}; }},
      {"ids-exist", "operand 0 is value 999",
       [](Graph& g) { node(g, 1).operands[0] = ValueId{999}; }},
      {"ids-exist", "result 0 is value", [](Graph& g) { node(g, 1).results[0] = ValueId{}; }},
      {"ids-exist", "input 4294967295 is no value",
       [](Graph& g) { reach(g, InputsTag{})[0] = ValueId{}; }},
      {"ids-exist", "it has no op", [](Graph& g) { node(g, 0).op = nullptr; }},
      {"one-origin", "does not say that it comes from here",
       [](Graph& g) { value(g, "y").producer = NodeId{0}; }},
      {"one-origin", "is listed as what it is not",
       [](Graph& g) { value(g, "x").kind = Value::Kind::param; }},
      {"one-origin", "(%x) is declared 2 times",
       [](Graph& g) { reach(g, InputsTag{}).push_back(reach(g, InputsTag{})[0]); }},
      {"one-origin", "(%m) is declared 0 times",
       [](Graph& g) { reach(g, InputsTag{}).pop_back(); }},
      {"operands-first", "operand 0 is a result of this node",
       [](Graph& g) { node(g, 1).operands[0] = g.find("y"); }},
      {"operands-first", "operand 0 is a result of a later node",
       [](Graph& g) { node(g, 0).operands[0] = g.find("y"); }},
      {"complete-attributes", "the attribute negative_slope is missing",
       [](Graph& g) { node(g, 1).attributes = {}; }},
      {"complete-attributes", "the attribute negative_slope is an integer and not a number",
       [](Graph& g) { node(g, 1).attributes.set("negative_slope", std::int64_t{1}); }},
      {"complete-attributes", "attributes that its op does not declare",
       [](Graph& g) { node(g, 1).attributes.set("slope", 0.5); }},
      {"inferred-types", "takes 1 operand",
       [](Graph& g) { node(g, 1).operands.push_back(g.find("x")); }},
      {"inferred-types", "result 0 is f32[N, 5]",
       [](Graph& g) { value(g, "h").type.shape[1] = 5; }},
      {"unique-names", "two values are named %h", [](Graph& g) { value(g, "y").name = "h"; }},
      {"unique-names", "an input or param has no name",
       [](Graph& g) { value(g, "x").name.clear(); }},
      {"unique-names", "the output name \"y\" is empty or given twice",
       [](Graph& g) { reach(g, OutputsTag{}).push_back(g.outputs()[0]); }},
      {"updates-fit", "the output y of type f32[N, 4] updates %w, f32[4, 4]",
       [](Graph& g) { reach(g, OutputsTag{})[0].updates = g.find("w"); }},
      {"initializers-fit", "the initializer of %k, f32[4]: he: wants a matrix or filters",
       [](Graph& g) { value(g, "k").type.shape = {4}; }},
      {"bound-symbols", "the symbol N of [N, 4] occurs in no input or param",
       [](Graph& g) {
         node(g, 2).attributes.set("shape", Shape{Dim::symbol("N"), 4});
         node(g, 2).operands[0] = g.find("m");
         value(g, "z").type.shape = {Dim::symbol("N"), 4};
         value(g, "m").type.shape = {1, 4};
         value(g, "x").type.shape = {8, 4};
         value(g, "h").type.shape = {8, 4};
         value(g, "y").type.shape = {8, 4};
       }},
  };
  return all;
}

TEST(Verifier, FindsEveryBreach) {
  for (const Breach& breach : breaches()) {
    SCOPED_TRACE(breach.rule + ": " + breach.message);
    Graph graph = sample();
    breach.break_it(graph);
    EXPECT_THAT(violation_of(graph),
                AllOf(HasSubstr("rule " + breach.rule + ": "), HasSubstr(breach.message)));
  }
}

TEST(Verifier, EveryRuleHasABreach) {
  std::set<std::string_view> tested;
  for (const Breach& breach : breaches()) tested.insert(breach.rule);
  for (const VerifierRule& rule : verifier_rules())
    EXPECT_TRUE(tested.contains(rule.name)) << rule.name;
}

Location location(int number) {
  return {std::make_shared<const std::string>("model.cc"), number, 0};
}

TEST(CheckGraph, SymbolsComeFromInputsAndParams) {
  Graph graph("main");
  ValueId x = graph.add_input("x", {DType::f32, {4}});
  graph.add_node(get_op("broadcast"), {x}, {{"shape", Shape{Dim::symbol("N"), 4}}}, location(12));
  EXPECT_EQ(message_of(graph),
            "model.cc:12: error: broadcast: the symbol N of [N, 4] occurs in no input or param");
  EXPECT_THAT(violation_of(graph), HasSubstr("rule bound-symbols"));
  graph.add_param("n", {DType::f32, {Dim::symbol("N")}});
  EXPECT_EQ(message_of(graph), "no error");
}

TEST(CheckGraph, SymbolsHaveIdentifiers) {
  for (std::string_view name : {"batch size", "2N", "", "N-1", "größe"}) {
    Graph graph("main");
    graph.add_input("x", {DType::f32, {Dim::symbol(name)}}, location(3));
    EXPECT_THAT(message_of(graph),
                AllOf(HasSubstr("model.cc:3: error: "), HasSubstr("is no name for a symbol")));
  }
}

// What is printed is read back: no graph has a name that the text form does not take.
TEST(CheckGraph, SymbolsAreNoLongerThanInTheTextForm) {
  for (std::size_t length : {std::size_t{80}, std::size_t{81}}) {
    const std::string name(length, 'N');
    Graph graph("main");
    graph.add_input("x", {DType::f32, {Dim::symbol(name) * Dim(2) + Dim(1)}}, location(3));
    const std::string printed = print(graph);
    if (length == 80) {
      EXPECT_EQ(message_of(graph), "no error");
      EXPECT_EQ(print(parse_graph(printed, "model.weir")), printed);
    } else {
      EXPECT_THAT(message_of(graph), HasSubstr("model.cc:3: error: the symbol NNN"));
      EXPECT_THAT(message_of(graph), HasSubstr(" has 81 characters; 80 are the most"));
      EXPECT_THROW(parse_graph(printed, "model.weir"), Error);
    }
  }
}

}  // namespace
}  // namespace weir
