// Gradients of gradients.

#include "tests/unit/autodiff/gradients.h"

#include <gmock/gmock.h>

#include "ir/op.h"

namespace weir {
namespace {

using test::parse;
using Names = std::vector<std::string>;

// The gradient of the sum of the outputs; a graph with only the gradients as outputs, so that they
// can be compared with differences in turn.
Graph only_gradients(const Graph& graph, const Names& wrt) {
  Graph with = gradient(graph, wrt);
  Graph result(with.name());
  std::vector<ValueId> map(with.value_count());
  for (std::uint32_t i = 0; i < with.value_count(); ++i) {
    const Value& value = with.value({i});
    if (value.kind == Value::Kind::input) map[i] = result.add_input(value.name, value.type);
    if (value.kind == Value::Kind::param) map[i] = result.add_param(value.name, value.type);
  }
  for (const Node& node : with.nodes()) {
    std::vector<ValueId> operands;
    for (ValueId operand : node.operands) operands.push_back(map[operand.index]);
    NodeId id = result.add_node(*node.op, operands, node.attributes, node.location);
    for (std::size_t i = 0; i < node.results.size(); ++i)
      map[node.results[i].index] = result.node(id).results[i];
  }
  for (std::size_t i = graph.outputs().size(); i < with.outputs().size(); ++i)
    result.add_output(map[with.outputs()[i].value.index], with.outputs()[i].name);
  return result;
}

class SecondDerivative : public testing::TestWithParam<test::GraphText> {};

TEST_P(SecondDerivative, MatchesDifferencesOfTheFirst) {
  Graph graph = parse(GetParam().text);
  Names wrt;
  for (ValueId id : graph.inputs()) wrt.push_back(graph.value(id).name);
  Graph first = only_gradients(graph, wrt);
  for (std::uint64_t seed = 0; seed < 3; ++seed)
    test::expect_gradient_matches_differences(first, seed, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(
    Graphs, SecondDerivative,
    testing::ValuesIn(std::vector<test::GraphText>{
        R"(graph @pointwise(%x: f64[4], %y: f64[4]) -> (f64[4]) {
  %a = mul(%x, %y)
  %b = tanh(%a)
  %c = exp(%b)
  %d = div(%c, %y)
  %e = softplus(%d)
  %f = sin(%e)
  return %f
})",
        R"(graph @broadcasting(%x: f64[3, 4], %y: f64[4], %z: f64[3, 1]) -> (f64[3, 4]) {
  %a = mul(%x, %y)
  %b = sigmoid(%a)
  %c = mul(%b, %z)
  %d = mul(%c, %c)
  return %d
})",
        R"(graph @matmul(%x: f64[3, 4], %w: f64[2, 4]) -> (f64[3, 2]) {
  %h = linear(%x, %w)
  %a = tanh(%h)
  return %a
})",
        R"(graph @reduction(%x: f64[3, 4]) -> (f64[3], f64[]) {
  %a = mul(%x, %x)
  %b = reduce_mean(%a) {axes = [1]}
  %c = mul(%b, %b)
  %e = exp(%x)
  %f = reduce_sum(%e)
  return %c, %f
})",
        R"(graph @movement(%x: f64[2, 3], %y: f64[2, 3]) -> (f64[2, 2], f64[6]) {
  %t = transpose(%x)
  %c = concat(%x, %y) {axis = 0}
  %s = slice(%c) {starts = [1, 0], limits = [3, 3], strides = [1, 2]}
  %a = exp(%s)
  %r = reshape(%t) {shape = [6]}
  %b = sin(%r)
  return %a, %b
})",
        R"(graph @normalized(%x: f64[2, 4]) -> (f64[2, 4]) {
  %a = softmax(%x)
  %b = layer_norm(%a)
  %c = mul(%b, %b)
  %d = mul(%c, %a)
  return %d
})"}),
    [](const auto& instance) { return instance.param.name(); });

// The critic of a WGAN-GP: the penalty is a function of the gradient with respect to the input.
TEST(SecondDerivative, OfAGradientPenalty) {
  Graph critic = parse(R"(graph @critic(%x: f64[3, 4]) -> (f64[3, 1]) {
  param %w: f64[5, 4]
  param %v: f64[1, 5]
  %h = linear(%x, %w)
  %a = leaky_relu(%h) {negative_slope = 0.2}
  %y = linear(%a, %v)
  return %y
})");
  GraphBuilder builder(only_gradients(critic, {"x"}));
  Var slope(builder, builder.graph().outputs()[0].value);
  Var norm = builder.apply("sqrt", {builder.apply("reduce_sum", {slope * slope},
                                                  {{"axes", std::vector<std::int64_t>{1}}})});
  builder.output("penalty", (norm - 1.0) * (norm - 1.0));
  // Differences of the penalty alone: the first output is not of interest.
  Graph graph = builder.graph();
  test::Generator generator(5);
  Inputs inputs = test::random_values(graph, graph.inputs(), generator);
  Weights weights = test::random_values(graph, graph.params(), generator);
  Tensor analytic = test::gradient_of(graph, "w", inputs, weights, {{"penalty"}});
  auto penalty = [&](std::size_t i, double step) {
    Weights moved = weights;
    const Tensor& w = weights.at("w");
    Tensor copy = Tensor::from(w.elements<double>(), w.sizes());
    copy.mutable_elements<double>()[i] += step;
    moved.insert_or_assign("w", copy);
    std::vector<Tensor> results = interpret(graph, moved, inputs);
    double sum = 0;
    for (double each : results[1].elements<double>()) sum += each;
    return sum;
  };
  for (std::size_t i = 0; i < analytic.elements<double>().size(); ++i)
    EXPECT_NEAR(analytic.elements<double>()[i], (penalty(i, 1e-5) - penalty(i, -1e-5)) / 2e-5,
                1e-6);
}

TEST(SecondDerivative, OfLeakyReluUsesTheSameOpAgain) {
  Graph graph = parse(R"(graph @m(%x: f32[4], %g: f32[4]) -> (f32[4]) {
  %y = leaky_relu.grad(%x, %g)
  return %y
})");
  Graph after = gradient(graph, Names{"g"});
  EXPECT_EQ(after.nodes().back().op->name, "leaky_relu.grad");
  // The slope is constant on either side of 0.
  Inputs inputs{{"x", Tensor::from<float>({-1.0f, 0.0f, 1.0f, 2.0f}, {4})},
                {"g", Tensor::from<float>({1.0f, 2.0f, 3.0f, 4.0f}, {4})}};
  EXPECT_THAT(test::gradient_of(graph, "x", inputs).elements<float>(), testing::Each(0.0f));
}

}  // namespace
}  // namespace weir
