// Gradients as compiled code, first and second ones, of graphs of every op in tests/ops.
//
// In f64, for several sizes of the symbols, each gradient has the bits of the interpreter; and it
// is near central differences, taken of the same compiled code: those of the outputs for the first
// gradient, those of the first gradient for the second. Graphs of random programs have gradients
// with the interpreter's bits too. Params are inputs here, so that they move.
#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compiler/autodiff/gradient.h"
#include "compiler/frontend/model_file.h"
#include "ir/bind_symbols.h"
#include "ir/op.h"
#include "ir/registry.h"
#include "tests/support/graphs.h"
#include "tests/support/op_files.h"
#include "tests/unit/autodiff/gradients.h"
#include "tests/unit/pipeline/compiled.h"
#include "tests/unit/pipeline/random_program.h"

namespace weir::test {
namespace {

// Elements, each of which is two runs; of more, some all over.
constexpr std::int64_t kMostMoved = 60;
// Graphs whose results are infinite whatever the operands: the logarithm of an empty sum, and the
// largest element of a frame alone.
constexpr std::array<std::string_view, 2> kInfinite{"nothing, ", "frame_alone, "};
constexpr double kSteep = 1e6;  // beside a pole, where no step is small
// Of an op's graphs, those that come first: convolutions have many, of thousands of instructions.
constexpr int kFirstGradients = 4, kSecondGradients = 2;
constexpr std::uint64_t kRandomGradients = 60;
constexpr int kAdjoints = 60;
constexpr std::int64_t kMostElements = 3000;  // of what an adjoint is interpreted for

// A copy whose params are inputs, with all outputs, or those from `first` on.
Graph all_inputs(const Graph& graph, std::size_t first = 0) {
  Graph result(graph.name());
  std::vector<ValueId> map(graph.value_count());
  for (auto values : {graph.inputs(), graph.params()})
    for (ValueId id : values)
      map[id.index] = result.add_input(graph.value(id).name, graph.type(id));
  for (const Node& node : graph.nodes()) {
    std::vector<ValueId> operands;
    for (ValueId operand : node.operands) operands.push_back(map[operand.index]);
    NodeId made = result.add_node(*node.op, std::move(operands), node.attributes, node.location);
    for (std::size_t i = 0; i < node.results.size(); ++i)
      map[node.results[i].index] = result.node(made).results[i];
  }
  for (std::size_t i = first; i < graph.outputs().size(); ++i)
    result.add_output(map[graph.outputs()[i].value.index], graph.outputs()[i].name);
  return result;
}

std::vector<std::string> float_inputs(const Graph& graph) {
  std::vector<std::string> names;
  for (ValueId id : graph.inputs())
    if (is_float(graph.type(id).dtype)) names.push_back(graph.value(id).name);
  return names;
}

bool all_finite(std::span<const Tensor> tensors) {
  for (const Tensor& tensor : tensors)
    for (std::int64_t i = 0; is_float(tensor.dtype()) && i < tensor.element_count(); ++i)
      if (!std::isfinite(scalar::to_double(tensor.dtype(), tensor.bits(i)))) return false;
  return true;
}

// Values for a size of the symbols; within the domain of roots and logarithms if need be.
Inputs values_for(const Graph& graph, std::int64_t size) {
  Generator generator(static_cast<std::uint64_t>(size) + 7);
  Dim::Bindings sizes;
  for (const std::string& symbol : graph.symbols()) sizes.emplace(symbol, size);
  Inputs inputs = random_values(graph, graph.inputs(), generator, false, sizes);
  if (all_finite(interpret(graph, {}, inputs))) return inputs;
  for (auto& [name, tensor] : inputs)
    if (tensor.dtype() == DType::f64)
      for (double& x : tensor.mutable_elements<double>()) x = std::min(std::abs(x), 0.9) + 1e-2;
  return inputs;
}

// The sum of the outputs that the gradients are of: the first `count`.
double sum_of(std::span<const Tensor> outputs, std::size_t count) {
  double sum = 0;
  for (const Tensor& output : outputs.first(count))
    for (std::int64_t i = 0; is_float(output.dtype()) && i < output.element_count(); ++i)
      sum += scalar::to_double(output.dtype(), output.bits(i));
  return sum;
}

// `code` gives `outputs` outputs, and the gradients of their sum.
void expect_differences(const Executable& code, std::size_t outputs, const Inputs& inputs,
                        std::span<const std::string> wrt, const std::string& what) {
  constexpr double kStep = 1e-5;
  std::int64_t moved_elements = 0;
  for (const std::string& name : wrt) moved_elements += inputs.find(name)->second.element_count();
  std::vector<Tensor> actual = code.run(inputs);
  if (!all_finite(actual)) {
    ASSERT_TRUE(std::ranges::any_of(kInfinite, [&](auto name) { return what.starts_with(name); }))
        << what << ": choose operands for which it is finite";
    return;
  }
  const std::int64_t stride = (moved_elements + kMostMoved - 1) / kMostMoved;
  for (std::size_t k = 0; k < wrt.size(); ++k) {
    const Tensor& gradient = actual[outputs + k];
    const Tensor& at = inputs.find(wrt[k])->second;
    if (at.dtype() != DType::f64) continue;
    for (std::int64_t i = 0; i < gradient.element_count(); i += stride) {
      auto moved = [&](double step) {
        Inputs others = inputs;
        Tensor copy = Tensor::from(at.elements<double>(), at.sizes());
        copy.mutable_elements<double>()[static_cast<std::size_t>(i)] += step;
        others.insert_or_assign(wrt[k], std::move(copy));
        return sum_of(code.run(others), outputs);
      };
      double wanted = (moved(kStep) - moved(-kStep)) / (2 * kStep);
      double value = gradient.elements<double>()[static_cast<std::size_t>(i)];
      if (std::abs(wanted) > kSteep && std::abs(value) > kSteep) continue;
      ASSERT_NEAR(value, wanted, 1e-4 * std::max(1.0, std::abs(wanted)))
          << what << ", with respect to element " << i << " of " << wrt[k];
    }
  }
}

// Compiles the graph with its gradients once; for each size its bits are the interpreter's, and
// where differences show the gradient it is near them.
void expect_gradients(const Graph& graph, const std::string& what, bool has_differences) {
  std::vector<std::string> wrt = float_inputs(graph);
  Graph with = gradient(graph, wrt);
  Executable code = compile(Model{with, {}});
  bool has_fma = vector_levels().front().has_fma;
  std::vector<std::int64_t> sizes{3};
  if (!graph.symbols().empty()) sizes = {1, 3, 21};
  for (std::int64_t size : sizes) {
    Inputs inputs = values_for(graph, size);
    std::vector<Tensor> expected = interpret_expanded({with, {}, inputs}, has_fma);
    ASSERT_EQ(difference(with, code.run(inputs), expected), std::nullopt)
        << what << ", symbols " << size;
    if (!has_differences || size > 3) continue;
    expect_differences(code, graph.outputs().size(), inputs, wrt,
                       fmt::format("{}, symbols {}", what, size));
    if (testing::Test::HasFatalFailure()) return;
  }
}

bool is_imposed_on(const Graph& graph) {
  return std::any_of(graph.nodes().begin(), graph.nodes().end(),
                     [](const Node& node) { return is_imposed(node.op->gradient); });
}

// The gradients of a graph as its outputs; nothing if one of its ops has none.
std::optional<Graph> gradients_alone(const Graph& graph) {
  try {
    std::vector<std::string> wrt = float_inputs(graph);
    if (wrt.empty()) return std::nullopt;
    return all_inputs(gradient(graph, wrt), graph.outputs().size());
  } catch (const Error&) {
    return std::nullopt;
  }
}

class OpGradient : public testing::TestWithParam<std::string> {};

TEST_P(OpGradient, CompiledIsThatOfTheInterpreterAndOfDifferences) {
  int compared = 0, twice = 0;
  for (const Graph& declared : graphs_of(GetParam())) {
    Graph graph = all_inputs(retyped(declared, DType::f32, DType::f64));
    std::optional<Graph> first = gradients_alone(graph);
    if (!first || compared == kFirstGradients) continue;
    bool has_differences = !is_imposed_on(graph);
    expect_gradients(graph, graph.name(), has_differences);
    if (HasFatalFailure()) return;
    ++compared;
    if (twice == kSecondGradients || !gradients_alone(*first)) continue;
    expect_gradients(*first, "the gradient of " + graph.name(), has_differences);
    if (HasFatalFailure()) return;
    ++twice;
  }
  EXPECT_GT(compared, 0);
  EXPECT_GT(twice, 0);
}

std::vector<std::string> differentiable_ops() {
  std::vector<std::string> names = op_names();
  std::erase_if(names, [](const std::string& name) {
    return get_op(name).gradient.kind == GradientRule::Kind::none;
  });
  return names;
}

INSTANTIATE_TEST_SUITE_P(Registry, OpGradient, testing::ValuesIn(differentiable_ops()),
                         [](const auto& instance) { return instance.param; });

TEST(RandomGradients, CompiledIsThatOfTheInterpreter) {
  std::uint64_t found = 0;
  for (std::uint64_t seed = 1; found < kRandomGradients; ++seed) {
    ASSERT_LT(seed, 40 * kRandomGradients) << "of " << found << " programs with a gradient";
    Program program = random_program(seed);
    std::vector<std::string> wrt = float_inputs(program.graph);
    if (wrt.empty()) continue;
    try {
      program.graph = gradient(program.graph, wrt);
    } catch (const Error&) {
      continue;
    }
    ++found;
    std::vector<Tensor> expected = interpret_expanded(program, vector_levels().front().has_fma);
    ASSERT_EQ(difference_compiled(program, {vector_levels().front()}, expected, test_executors()),
              std::nullopt)
        << "seed " << seed << "\n"
        << describe(program);
  }
}

// An LSTM and a GRU, which are imported as a node for each step: with respect to what goes in and
// to all weights.
TEST(RecurrentGradients, AreThoseOfDifferencesAndCompiledAlike) {
  Model model = load_model(WEIR_SOURCE_DIR "/tests/data/recurrent/layers.onnx");
  Generator generator(5);
  Program program{model.graph, model.weights,
                  random_values(model.graph, model.graph.inputs(), generator)};
  expect_gradient_matches_differences(program.graph, program.inputs, program.weights);
  std::vector<std::string> wrt;
  for (auto values : {program.graph.inputs(), program.graph.params()})
    for (ValueId id : values) wrt.push_back(program.graph.value(id).name);
  EXPECT_GE(wrt.size(), 8U);
  program.graph = gradient(program.graph, wrt);
  const VectorLevel& level = vector_levels().front();
  EXPECT_EQ(difference_compiled(program, {level}, interpret_expanded(program, level.has_fma),
                                test_executors()),
            std::nullopt);
}

// The sum of the products of all outputs of floating point with inputs of their own, the
// cotangents; nothing if there is none.
std::optional<Graph> weighted_sum(const Graph& graph) {
  Graph plain = all_inputs(graph), result = all_inputs(graph, graph.outputs().size());
  ValueId sum;
  for (std::size_t i = 0; i < plain.outputs().size(); ++i) {
    ValueId output = plain.outputs()[i].value;
    const TensorType& type = plain.type(output);
    if (type.dtype != DType::f64) continue;
    ValueId cotangent = result.add_input(fmt::format("cotangent {}", i), type);
    auto add = [&](const char* op, std::vector<ValueId> operands) {
      return result.result(result.add_node(get_op(op), std::move(operands), {}));
    };
    ValueId part = add("reduce_sum", {add("mul", {output, cotangent})});
    sum = sum.valid() ? add("add", {sum, part}) : part;
  }
  if (!sum.valid()) return std::nullopt;
  result.add_output(sum, "sum");
  return result;
}

// What rounds to fewer bits than f64 has no derivative that differences show, and nor has what a
// derivative is imposed on.
bool is_differentiable_in_f64(const Graph& graph) {
  if (is_imposed_on(graph)) return false;
  for (std::uint32_t i = 0; i < graph.value_count(); ++i)
    if (is_float(graph.type({i}).dtype) && graph.type({i}).dtype != DType::f64) return false;
  return true;
}

double dot(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.elements<double>().size(); ++i)
    sum += a.elements<double>()[i] * b.elements<double>()[i];
  return sum;
}

// <J v, u> = <v, J^T u> in f64, for random graphs f, points x and directions v and u: J^T u is the
// gradient of <f(x), u>, and <J v, u> its difference along v. Where two steps do not agree on that
// - at a jump, or too near to a pole - there is nothing to compare.
TEST(RandomGradients, AreAdjointToTheDifferencesOfTheGraph) {
  int compared = 0, apart = 0;
  for (std::uint64_t seed = 1; compared < kAdjoints; ++seed) {
    ASSERT_LT(seed, 100 * kAdjoints) << "of " << compared << " graphs with a gradient";
    Program program = random_program(seed);
    std::optional<Graph> sum = weighted_sum(retyped(program.graph, DType::f32, DType::f64));
    if (!sum || !is_differentiable_in_f64(*sum)) continue;
    std::vector<std::string> wrt;
    for (const std::string& name : float_inputs(*sum))
      if (!name.starts_with("cotangent")) wrt.push_back(name);
    if (wrt.empty()) continue;
    Graph with;
    try {
      with = gradient(*sum, wrt);
    } catch (const Error&) {
      continue;
    }
    Dim::Bindings sizes = bind_symbols(program.graph, program.inputs, program.weights);
    std::int64_t elements = 0;
    for (std::uint32_t i = 0; i < with.value_count(); ++i)
      elements += element_count(with.type({i}).shape).evaluate(sizes).value_or(kMostElements);
    if (elements > kMostElements) continue;

    Generator generator(seed);
    Inputs inputs = random_values(*sum, sum->inputs(), generator, false, sizes);
    Inputs along = random_values(*sum, sum->inputs(), generator, false, sizes);
    auto moved = [&](double step) {
      Inputs there = inputs;
      for (const std::string& name : wrt) {
        Tensor copy(DType::f64, inputs.at(name).sizes());
        for (std::size_t i = 0; i < copy.elements<double>().size(); ++i)
          copy.mutable_elements<double>()[i] =
              inputs.at(name).elements<double>()[i] + step * along.at(name).elements<double>()[i];
        there.insert_or_assign(name, std::move(copy));
      }
      return interpret(*sum, {}, there)[0].elements<double>()[0];
    };
    auto difference = [&](double step) { return (moved(step) - moved(-step)) / (2 * step); };
    double forward = difference(1e-5), half = difference(5e-6);
    double tolerance = 1e-5 * std::max(1.0, std::abs(forward));
    if (!(std::abs(forward - half) < tolerance / 10)) {
      ++apart;
      continue;
    }
    std::vector<Tensor> outputs = interpret(with, {}, inputs);
    double backward = 0;
    for (std::size_t k = 0; k < wrt.size(); ++k) backward += dot(outputs[k + 1], along.at(wrt[k]));
    EXPECT_NEAR(backward, forward, tolerance) << "seed " << seed << "\n" << print(with);
    ++compared;
  }
  EXPECT_LT(apart, compared);
}

}  // namespace
}  // namespace weir::test
