// Reverse-mode differentiation of a graph, as a graph.
//
// The nodes of the graph stay as they are; behind them stand the nodes that carry cotangents
// backwards, from the outputs to the values asked for. Each node on a path between them is visited
// once, users first, so a value's cotangent is complete when its producer is reached: the
// contributions of its uses are added in the order of a walk from the last node to the first.
// Nothing is computed for values that lead to nothing asked for.
//
// What a node contributes comes from its op's declaration alone:
//   - pointwise: the derivative of its scalar expression (compiler/autodiff/pointwise_gradient.h);
//     operands that were broadcast get the sum over the broadcast axes;
//   - a stated rule: that rule;
//   - composite without a stated rule: its body, which takes the node's place first.
// Only floating-point values carry cotangents: what passes through integers or booleans is
// constant. A param that leads to the outputs through arg_max, comparisons or casts to integers
// alone has a gradient of zeros, which is its derivative almost everywhere, and no error.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace weir {

struct GradientOptions {
  // Names of the outputs whose elements' sum is differentiated; empty means all floating-point
  // outputs.
  std::vector<std::string> outputs;
};

// The graph with its outputs and, behind them, one for each name in `wrt` (inputs or params): the
// gradient of the sum of the outputs' elements with respect to it, of its type, named grad_NAME. If
// that name is taken, as in a graph that is differentiated a second time, further `grad_` are put
// before it. What the outputs do not depend on has a gradient of zeros.
//
// The new nodes' locations are those of the nodes they differentiate, marked "gradient of".
//
// Error if a name in `wrt` is not an input or param, is listed twice or is not of floating point,
// if there is no such output, or if an op on the way has no gradient.
Graph gradient(const Graph& graph, std::span<const std::string> wrt,
               const GradientOptions& options = {});

// The same without the further outputs: the graph, and the gradients as values of it, one for each
// name in `wrt`.
struct Gradients {
  Graph graph;
  std::vector<ValueId> values;
  // By name: whether a path with a derivative leads from it to the outputs. Elsewhere the gradient
  // is zero.
  std::vector<bool> reached;
  // If none does: where the last path ends (compiler/autodiff/gradient_cut.h).
  std::string cut;
};
Gradients differentiate(const Graph& graph, std::span<const std::string> wrt,
                        const GradientOptions& options = {});

}  // namespace weir
