// What the tests of autodiff share: gradients by the interpreter, and the same by finite
// differences.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "compiler/autodiff/gradient.h"
#include "tests/support/graphs.h"

namespace weir::test {

// A graph as the parameter of a test, which is listed under the graph's name.
struct GraphText {
  GraphText(const char* graph_text) : text(graph_text) {}  // NOLINT
  std::string name() const { return parse(text).name(); }
  const char* text;
};
inline void PrintTo(const GraphText& graph, std::ostream* out) { *out << graph.name(); }

// The gradient of the sum of the outputs with respect to one value, interpreted.
inline Tensor gradient_of(const Graph& graph, const std::string& wrt, const Inputs& inputs,
                          const Weights& weights = {}, const GradientOptions& options = {}) {
  std::vector<std::string> names{wrt};
  return interpret(gradient(graph, names, options), weights, inputs).back();
}

// The sum of all elements of the outputs that are of floating point.
inline double sum_of_outputs(const Graph& graph, const Inputs& inputs, const Weights& weights) {
  double sum = 0;
  for (const Tensor& output : interpret(graph, weights, inputs)) {
    if (!is_float(output.dtype())) continue;
    for (std::int64_t i = 0; i < output.element_count(); ++i)
      sum += scalar::to_double(output.dtype(), output.bits(i));
  }
  return sum;
}

// Compares gradients with respect to f64 inputs and params with central differences.
inline void expect_gradient_matches_differences(const Graph& graph, const Inputs& inputs,
                                                const Weights& weights, double tolerance = 1e-6) {
  constexpr double kStep = 1e-5;
  std::vector<std::string> wrt;
  for (auto values : {graph.inputs(), graph.params()})
    for (ValueId id : values)
      if (graph.type(id).dtype == DType::f64) wrt.push_back(graph.value(id).name);
  Graph with_gradients = gradient(graph, wrt);
  std::vector<Tensor> outputs = interpret(with_gradients, weights, inputs);
  for (std::size_t k = 0; k < wrt.size(); ++k) {
    const Tensor& actual = outputs[graph.outputs().size() + k];
    for (std::int64_t i = 0; i < actual.element_count(); ++i) {
      auto moved = [&](double step) {
        Inputs moved_inputs = inputs;
        Weights moved_weights = weights;
        auto& group = inputs.contains(wrt[k]) ? moved_inputs : moved_weights;
        const Tensor& original = group.find(wrt[k])->second;
        Tensor copy = Tensor::from(original.elements<double>(), original.sizes());
        copy.mutable_elements<double>()[static_cast<std::size_t>(i)] += step;
        group.insert_or_assign(wrt[k], copy);
        return sum_of_outputs(graph, moved_inputs, moved_weights);
      };
      double expected = (moved(kStep) - moved(-kStep)) / (2 * kStep);
      double value = actual.elements<double>()[static_cast<std::size_t>(i)];
      ASSERT_NEAR(value, expected, tolerance * std::max(1.0, std::abs(expected)))
          << "with respect to element " << i << " of " << wrt[k] << " in\n"
          << print(with_gradients);
    }
  }
}

// The same at random points.
inline void expect_gradient_matches_differences(const Graph& graph, std::uint64_t seed,
                                                double tolerance = 1e-6) {
  Generator generator(seed);
  Inputs inputs = random_values(graph, graph.inputs(), generator);
  Weights weights = random_values(graph, graph.params(), generator);
  expect_gradient_matches_differences(graph, inputs, weights, tolerance);
}

}  // namespace weir::test
