// Graphs that are exported and read back: the graphs of every op, forward and gradient, have to
// give the same numbers in the interpreter, and types of the same sizes. What comes back as the
// same ops gives the same bits.
#include <algorithm>

#include <gtest/gtest.h>

#include "compiler/frontend/onnx/export.h"
#include "compiler/frontend/onnx/onnx_file.h"
#include "ir/interpreter.h"
#include "tests/support/exported_graphs.h"

namespace weir::test {
namespace {

// The ops that compute something, by name and in order of names.
std::vector<std::string> computing_ops(const Graph& graph) {
  std::vector<std::string> names;
  for (const Node& node : graph.nodes())
    if (!node.op->data) names.push_back(node.op->name);
  std::sort(names.begin(), names.end());
  return names;
}

// Relative to the largest element: a few units in the last place, for an op may come back as the
// ops of its expression, and types of 16 bits round after each of these.
double tolerance_of(DType type) {
  switch (type) {
    case DType::f64:
      return 1e-13;
    case DType::f32:
      return 2e-6;
    case DType::f16:
      return 0x1p-8;
    case DType::bf16:
      return 0x1p-5;
    default:
      return 0;
  }
}

void expect_round_trip(const Graph& graph) {
  Generator weight_generator(1);
  Weights weights = random_values(graph, graph.params(), weight_generator);
  Model read;
  try {
    read = read_onnx(memory_file(export_onnx({graph, weights}), "exported.onnx"), ".");
  } catch (const Error& error) {
    ADD_FAILURE() << error.what() << "\n" << print(graph);
    return;
  }
  ASSERT_EQ(read.graph.outputs().size(), graph.outputs().size());
  bool same_ops = computing_ops(read.graph) == computing_ops(graph);
  for (std::int64_t size : {1, 5, 16}) {
    Generator generator(static_cast<std::uint64_t>(size) + 7);
    Dim::Bindings bindings;
    for (const std::string& symbol : graph.symbols()) bindings.emplace(symbol, size);
    Inputs inputs = random_values(graph, graph.inputs(), generator, false, bindings);
    std::vector<Tensor> expected = interpret(graph, weights, inputs);
    std::vector<Tensor> actual = interpret(read.graph, read.weights, inputs);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(read.graph.outputs()[i].name, graph.outputs()[i].name);
      ASSERT_EQ(to_string(actual[i].type()), to_string(expected[i].type()));
      EXPECT_LE(compare(actual[i], expected[i]).relative(),
                same_ops ? 0 : tolerance_of(expected[i].dtype()))
          << "output " << graph.outputs()[i].name << ", symbols " << size << ": "
          << actual[i].to_string(20) << " for " << expected[i].to_string(20) << "\n"
          << print(graph) << "was read as\n"
          << print(read.graph);
    }
  }
}

class OnnxRoundTrip : public testing::TestWithParam<std::string> {};

TEST_P(OnnxRoundTrip, Forward) {
  for (const Graph& graph : graphs_of(GetParam()))
    if (!draws(graph)) expect_round_trip(graph);
}

TEST_P(OnnxRoundTrip, Gradient) {
  for (const Graph& graph : graphs_of(GetParam()))
    if (std::optional<Graph> backward = gradient_graph(graph); backward && !draws(graph))
      expect_round_trip(*backward);
}

INSTANTIATE_TEST_SUITE_P(Registry, OnnxRoundTrip, testing::ValuesIn(op_names()),
                         [](const auto& instance) { return instance.param; });

}  // namespace
}  // namespace weir::test
