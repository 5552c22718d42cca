// Computes kept values again in the backward pass, the cheapest of their bytes first: of those that
// the workspace keeps of them, copies included (compiler/rematerialize/kept_values.h).
//
// What is given up is computed by the nodes that computed it before, from what is still kept,
// behind the gradient that asks for it first: after(operand, gradient) makes it wait. All who ask
// share it. Inline nodes of the forward pass whose operands are given up are written out again with
// it. A chain may be as long as the graph: no walk along one recurses.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "compiler/passes/graph_rewriter.h"
#include "compiler/rematerialize/pass_boundary.h"
#include "ir/graph.h"

namespace weir {

class Recomputer {
 public:
  // Graph and sizes must outlive this. `sizes` has all symbols of the graph, and `bytes` what the
  // workspace keeps of each value between the passes: one of which that is nothing is not given up.
  Recomputer(const Graph& graph, bool fuse, const Dim::Bindings& sizes, std::span<const Dim> bytes);

  // How many values could be given up.
  std::size_t candidates() const { return candidates_.size(); }
  // The graph with the first `count` of them given up. What is computed again may lie in an order
  // of dimensions of its own, or else lies as it did before.
  Graph run(std::size_t count, bool own_layout);

 private:
  double number(const Dim& dim) const;
  // Element operations to compute a kept value from others.
  double work_of(ValueId value) const;
  double work_of(const Node& node) const;
  void find_stale();
  // The value as the backward pass may read it; none yet if it has to be computed again.
  ValueId known(ValueId value) const;
  // Likewise, computed again behind the token if need be.
  ValueId recovered(ValueId value, ValueId token);
  // A node whose operands are known.
  void compute_again(const Node& node, ValueId token);
  // A node of the backward pass, with the inline ones before it.
  void emit(NodeId id, ValueId token);
  std::vector<std::string> result_names(const Node& node) const;

  PassBoundary boundary_;
  const Graph& graph_;
  const Dim::Bindings& sizes_;
  std::vector<bool> kept_;           // by value
  std::vector<ValueId> candidates_;  // the cheapest first
  // Of one run.
  bool own_layout_ = false;
  std::vector<bool> dropped_;   // by value
  std::vector<bool> is_stale_;  // by value: not there any more when the backward pass asks for it
  std::vector<bool> emitted_;   // by node
  std::unordered_map<ValueId, ValueId> again_;
  GraphRewriter* rewriter_ = nullptr;
};

}  // namespace weir
