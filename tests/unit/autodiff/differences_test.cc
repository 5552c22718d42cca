// Every differentiable op against central differences in f64, at random points where the op is
// smooth; and the adjoint identity, which holds however large the derivatives are.

#include <algorithm>

#include "compiler/passes/pass_manager.h"
#include "ir/builder.h"
#include "ir/registry.h"
#include "tests/unit/autodiff/gradients.h"

namespace weir {
namespace {

using test::Generator;
using test::parse;

bool differentiable(const OpDef& op) {
  if (!op.pointwise || op.gradient.kind != GradientRule::Kind::derived) return false;
  for (std::size_t i = 0; i < op.operands.size(); ++i)
    if (gradient_op(op, i)) return true;
  return false;
}

// The op on f64 inputs x0, x1 ... that broadcast against each other.
Graph use_of(const OpDef& op) {
  GraphBuilder builder(op.name);
  std::vector<Var> operands;
  for (std::size_t i = 0; i < op.operands.size(); ++i) {
    DType type = contains(op.operands[i].types, DType::f64) ? DType::f64 : DType::boolean;
    Shape shape = i == 0 ? Shape{3, 4} : i == 1 ? Shape{4} : Shape{3, 1};
    operands.push_back(builder.input("x" + std::to_string(i), type, shape));
  }
  Attributes attributes;
  for (const AttributeSpec& spec : op.attributes)
    if (!spec.default_value) attributes.set(spec.name, 0.5);
  builder.output("y", builder.apply(op, operands, attributes));
  return builder.graph();
}

bool finite(const Tensor& tensor) {
  for (std::int64_t i = 0; i < tensor.element_count(); ++i)
    if (!std::isfinite(scalar::to_double(tensor.dtype(), tensor.bits(i)))) return false;
  return true;
}

// An op as the parameter of a test, which is listed under its name.
struct OpCase {
  const OpDef* op;
};
void PrintTo(const OpCase& instance, std::ostream* out) { *out << instance.op->name; }

class PointwiseOp : public testing::TestWithParam<OpCase> {};

TEST_P(PointwiseOp, MatchesFiniteDifferences) {
  Graph graph = use_of(*GetParam().op);
  int compared = 0;
  for (std::uint64_t seed = 0; seed < 60 && compared < 5; ++seed) {
    Generator generator(seed);
    Inputs inputs = test::random_values(graph, graph.inputs(), generator);
    // Where the random numbers leave the domain (log, sqrt), their absolute values are taken.
    if (!finite(interpret(graph, {}, inputs)[0]))
      for (auto& [name, tensor] : inputs)
        if (tensor.dtype() == DType::f64)
          for (double& x : tensor.mutable_elements<double>()) x = std::min(std::abs(x), 0.9) + 1e-2;
    if (!finite(interpret(graph, {}, inputs)[0])) continue;
    ++compared;
    test::expect_gradient_matches_differences(graph, inputs, {}, 1e-5);
    if (HasFailure()) return;
  }
  EXPECT_EQ(compared, 5) << "hardly a point in the domain";
}

std::vector<OpCase> pointwise_ops() {
  std::vector<OpCase> result;
  for (const auto& op : all_ops())
    if (differentiable(*op)) result.push_back({op.get()});
  return result;
}

INSTANTIATE_TEST_SUITE_P(Registry, PointwiseOp, testing::ValuesIn(pointwise_ops()),
                         [](const auto& instance) { return instance.param.op->name; });

class Differences : public testing::TestWithParam<test::GraphText> {};

TEST_P(Differences, Match) {
  Graph graph = parse(GetParam().text);
  for (std::uint64_t seed = 0; seed < 3; ++seed)
    test::expect_gradient_matches_differences(graph, seed, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(
    Graphs, Differences,
    testing::ValuesIn(std::vector<test::GraphText>{
        R"(graph @matmul(%a: f64[2, 3, 4], %b: f64[4, 5]) -> (f64[2, 3, 5]) {
  %y = matmul(%a, %b)
  %z = tanh(%y)
  return %z
})",
        R"(graph @matmul_transposed(%a: f64[4, 3], %b: f64[2, 5, 4]) -> (f64[2, 3, 5]) {
  %y = matmul(%a, %b) {transpose_a = true, transpose_b = true}
  %z = sin(%y)
  return %z
})",
        R"(graph @reductions(%x: f64[2, 3, 4]) -> (f64[3], f64[2, 1, 4], f64[]) {
  %e = exp(%x)
  %a = reduce_sum(%e) {axes = [0, 2]}
  %b = reduce_mean(%e) {axes = [1], keep_dims = true}
  %c = mul(%b, %b)
  %d = reduce_sum(%c)
  return %a, %c, %d
})",
        R"(graph @movement(%x: f64[2, 3, 4], %y: f64[2, 3, 4]) -> (f64[4, 6], f64[2, 2, 2], f64[4, 3, 5]) {
  %t = transpose(%x) {permutation = [2, 0, 1]}
  %r = reshape(%t) {shape = [4, 6]}
  %s = sin(%r)
  %c = concat(%x, %y) {axis = 1}
  %q = slice(%c) {starts = [0, 1, 0], limits = [2, 6, 3], strides = [1, 3, 2]}
  %u = mul(%q, %q)
  %p = pad(%x) {low = [1, 0, 1], high = [1, 0, 0], value = 2.0}
  %v = exp(%p)
  return %s, %u, %v
})",
        R"(graph @flattened_normalized(%x: f64[3, 2, 3, 3], %w: f64[2, 2, 1, 1], %g: f64[2], %o: f64[2], %m: f64[2], %s: f64[2], %v: f64[4, 18]) -> (f64[3, 4], f64[3, 4]) {
  %h = conv(%x, %w)
  %n, %rm, %rs = batch_norm_training(%h, %g, %o, %m, %s)
  %a = leaky_relu(%n) {negative_slope = 0.3}
  %f = reshape(%a) {shape = [3, 18]}
  %y = linear(%f, %v)
  %q = add(%h, %x)
  %b = leaky_relu(%q) {negative_slope = 0.3}
  %k = reshape(%b) {shape = [3, 18]}
  %z = linear(%k, %v)
  return %y, %z
})",
        R"(graph @flattened(%x: f64[3, 2, 4, 5], %w: f64[3, 2, 3, 3], %b: f64[3], %v: f64[4, 18]) -> (f64[3, 4]) {
  %h = conv(%x, %w, %b)
  %a = leaky_relu(%h) {negative_slope = 0.3}
  %f = reshape(%a) {shape = [3, 18]}
  %y = linear(%f, %v)
  %z = tanh(%y)
  return %z
})",
        R"(graph @broadcast(%x: f64[3, 1], %y: f64[4]) -> (f64[2, 3, 4]) {
  %a = broadcast(%x) {shape = [2, 3, 4]}
  %b = mul(%a, %y)
  %c = sigmoid(%b)
  return %c
})"}),
    [](const auto& instance) { return instance.param.name(); });

// For a linear function f: <f(x), u> = <x, gradient of <f(x), u>>. In exact arithmetic for small
// integers.
TEST(AdjointIdentity, HoldsForLinearGraphs) {
  Graph graph = parse(R"(graph @m(%x: f64[3, 4], %u: f64[2, 5]) -> (f64[]) {
  param %w: f64[2, 4]
  %l = linear(%x, %w)
  %t = transpose(%l)
  %p = pad(%t) {low = [0, 1], high = [0, 1]}
  %n = neg(%p)
  %s = mul(%n, %u)
  %y = reduce_sum(%s)
  return %y
})");
  Generator generator(11);
  auto integers = [&](const Tensor::Sizes& sizes) {
    Tensor tensor = test::random_tensor(DType::f64, sizes, generator);
    for (double& x : tensor.mutable_elements<double>()) x = std::round(4 * x);
    return tensor;
  };
  for (int trial = 0; trial < 10; ++trial) {
    Inputs inputs{{"x", integers({3, 4})}, {"u", integers({2, 5})}};
    Weights weights{{"w", integers({2, 4})}};
    double value = interpret(graph, weights, inputs)[0].elements<double>()[0];
    Tensor gradient = test::gradient_of(graph, "x", inputs, weights);
    double product = 0;
    for (std::size_t i = 0; i < 12; ++i)
      product += gradient.elements<double>()[i] * inputs.at("x").elements<double>()[i];
    EXPECT_EQ(product, value);
  }
}

TEST(GradientThroughPasses, KeepsEveryBit) {
  Graph graph = parse(R"(graph @m(%x: f32[N, 4]) -> (f32[N, 3]) {
  param %w: f32[3, 4]
  param %b: f32[3]
  %h = linear(%x, %w, %b)
  %a = leaky_relu(%h)
  %n = layer_norm(%a)
  %y = log_softmax(%n)
  return %y
})");
  std::vector<std::string> wrt{"x", "w", "b"};
  Graph with_gradients = gradient(graph, wrt);
  Graph after = run_passes(with_gradients, default_passes());
  for (std::uint64_t seed = 0; seed < 10; ++seed)
    test::expect_same_results(with_gradients, after, seed, seed % 2 == 0);
}

}  // namespace
}  // namespace weir
