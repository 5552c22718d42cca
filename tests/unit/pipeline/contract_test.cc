// Contraction from end to end: random expressions of products and sums, with their gradients, are
// compiled contracted, at every vector level, fused and not, and have the bits that the interpreter
// gives for the graph after the pass. So what is contracted depends on neither.
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compiler/autodiff/gradient.h"
#include "compiler/trainer.h"
#include "ir/builder_ops.h"
#include "ir/text.h"
#include "tests/support/graphs.h"
#include "tests/unit/pipeline/compiled.h"

namespace weir::test {
namespace {

// Every value may be read again, so that some products have one reader and some have several.
Graph random_expression(std::uint64_t seed, DType type) {
  std::mt19937_64 random(seed);
  auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random() % bound); };
  GraphBuilder builder("m");
  Dim n = Dim::symbol("N");
  const Shape shapes[]{{n, 7}, {n, 7}, {7}, {n, 1}, {}};
  std::vector<Var> values;
  for (const Shape& shape : shapes)
    values.push_back(builder.input(fmt::format("x{}", values.size()), type, shape));
  for (std::size_t count = 4 + below(10); count > 0; --count) {
    // The latest ones are read most: chains are longer so, and fewer values are read twice.
    auto any = [&] { return values[values.size() - 1 - below(1 + below(values.size()))]; };
    Var a = any(), b = any();
    switch (below(7)) {
      case 0:
      case 1:
      case 2:
        values.push_back(a * b);
        break;
      case 3:
      case 4:
        values.push_back(a + b);
        break;
      case 5:
        values.push_back(a - b);
        break;
      default:
        values.push_back(leaky_relu(a));
    }
  }
  builder.output("y", values.back() + values[0]);
  return std::move(builder.graph());
}

std::size_t count_of(const Graph& graph, std::string_view op) {
  std::size_t count = 0;
  for (const Node& node : graph.nodes()) count += node.op->name == op ? 1 : 0;
  return count;
}

TEST(Contract, CompiledExpressionsEqualTheInterpreter) {
  constexpr DType kTypes[]{DType::f32, DType::f32, DType::f64, DType::f16, DType::bf16};
  CompileOptions contracting;
  contracting.contract = true;
  std::size_t contracted = 0, changed = 0;
  for (std::uint64_t seed = 1; seed <= 24; ++seed) {
    Graph graph = random_expression(seed, kTypes[seed % std::size(kTypes)]);
    if (seed % 2 == 0) graph = gradient(graph, std::vector<std::string>{"x0", "x2", "x4"});
    contracted += count_of(optimize(graph, contracting), "fma");
    Generator values(seed);
    Inputs inputs = random_values(graph, graph.inputs(), values, seed % 4 == 0, {{"N", 13}});
    Program program{graph, {}, inputs};
    for (const VectorLevel& level : vector_levels()) {
      std::vector<Tensor> expected = interpret_expanded(program, level.has_fma, true);
      for (bool fuse : {true, false}) {
        auto found = difference_compiled(program, {.level = level, .fuse = fuse, .contract = true},
                                         expected, test_executors());
        ASSERT_FALSE(found) << "seed " << seed << ": " << *found << "\n" << describe(program);
      }
      if (level.has_fma && difference(graph, expected, interpret_expanded(program, true)))
        ++changed;
    }
  }
  EXPECT_GT(contracted, 15);
  EXPECT_GT(changed, 5);
}

// A graph that is differentiated, updated and compiled contracts as one.
TEST(Contract, StepsOfATrainerEqualTheInterpreter) {
  Graph graph = parse(R"(graph @m(%x: f32[5, 3], %t: f32[5, 3]) -> (f32[]) {
  param %w: f32[3]
  param %b: f32[3]
  %p = mul(%x, %w)
  %s = add(%p, %b)
  %y = leaky_relu(%s)
  %d = sub(%y, %t)
  %e = mul(%d, %d)
  %loss = reduce_mean(%e) {axes = [0, 1]}
  return %loss
})");
  Generator values(5);
  Inputs inputs = random_values(graph, graph.inputs(), values);
  Weights weights = random_values(graph, graph.params(), values);
  CompileOptions options;
  options.contract = true;
  Trainer trainer({graph, weights}, {"momentum"}, {.loss = "loss"}, options);
  const Graph computed = contracted(trainer.step_graph(), options);
  EXPECT_GE(count_of(computed, "fma"), 2U);
  const double rate = 0.1;
  for (int step = 0; step < 3; ++step) {
    Inputs all = inputs;
    Tensor rate_tensor(DType::f32, {});
    rate_tensor.set_bits(0, scalar::bits_of(DType::f32, rate));
    all.emplace("learning_rate", rate_tensor);
    Weights state = trainer.read_state();
    std::vector<Tensor> expected =
        interpret(computed, state, all,
                  {{scalar::Numerics::Mode::expanded, vector_levels().front().has_fma}});
    trainer.step(inputs, rate);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const Graph::Output& output = computed.outputs()[i];
      if (!output.updates.valid()) continue;
      const std::string& name = computed.value(output.updates).name;
      EXPECT_TRUE(compare(trainer.read(name), expected[i]).identical) << name << ", step " << step;
    }
  }
}

}  // namespace
}  // namespace weir::test
