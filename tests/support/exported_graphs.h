// What tests of the ONNX export run: the graphs of the ops' files and their gradients, and training
// steps of a classifier.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "compiler/autodiff/gradient.h"
#include "compiler/autodiff/training_step.h"
#include "ir/builder.h"
#include "ir/op.h"
#include "tests/support/graphs.h"
#include "tests/support/op_files.h"

namespace weir::test {

// Whether the graph draws random numbers, which ONNX's ops would draw anew in every run.
inline bool draws(const Graph& graph) {
  return std::any_of(graph.nodes().begin(), graph.nodes().end(), [&](const Node& node) {
    return node.op->family == "random" && !is_float(graph.type(node.operands.back()).dtype);
  });
}

// Names of everything that a gradient can be taken with respect to.
inline std::vector<std::string> float_inputs(const Graph& graph) {
  std::vector<std::string> names;
  for (auto values : {graph.inputs(), graph.params()})
    for (ValueId id : values)
      if (is_float(graph.type(id).dtype)) names.push_back(graph.value(id).name);
  return names;
}

// The graph with every float output multiplied, element by element, by an input of its own, and
// with the gradients of the sum of that: the vector-Jacobian products of the outputs. Nothing where
// there is no gradient.
inline std::optional<Graph> gradient_graph(const Graph& graph) {
  std::vector<std::string> wrt = float_inputs(graph);
  for (const Node& node : graph.nodes()) {
    bool floats = is_float(graph.type(node.results[0]).dtype);
    bool steps = node.op->gradient.kind == GradientRule::Kind::none && !node.operands.empty();
    if (floats && steps) return std::nullopt;
  }
  GraphBuilder builder(graph);
  bool found = false;
  for (const Graph::Output& output : graph.outputs()) {
    const TensorType& type = graph.type(output.value);
    if (!is_float(type.dtype)) continue;
    found = true;
    Var cotangent = builder.input("cotangent_of_" + output.name, type.dtype, type.shape);
    Var product = builder.apply("mul", {Var(builder, output.value), cotangent});
    builder.output("product_" + output.name, product);
  }
  if (!found || wrt.empty()) return std::nullopt;
  GradientOptions options;
  for (std::size_t i = graph.outputs().size(); i < builder.graph().outputs().size(); ++i)
    options.outputs.push_back(builder.graph().outputs()[i].name);
  return gradient(builder.graph(), wrt, options);
}

inline Model classifier() {
  Model model{parse(R"(graph @classifier(%x: f32[N, 3], %t: i64[N]) -> (f32[]) {
  param %w1: f32[8, 3]
  param %b1: f32[8]
  param %w2: f32[2, 8]
  %h = linear(%x, %w1, %b1)
  %a = leaky_relu(%h)
  %logits = linear(%a, %w2)
  %loss = cross_entropy(%logits, %t)
  return %loss
})"),
              {}};
  Generator generator(1);
  model.weights = random_values(model.graph, model.graph.params(), generator);
  return model;
}

// The step, with the first values of its state.
inline Model training_step_of(const Model& model, const std::string& optimizer) {
  TrainingStep step = training_step(model.graph, {optimizer});
  step.initial.insert(model.weights.begin(), model.weights.end());
  return {std::move(step.graph), std::move(step.initial)};
}

}  // namespace weir::test
