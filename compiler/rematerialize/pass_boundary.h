// The boundary between forward and backward pass: what fusion stores on one side and the other
// reads.
//
// A node is of the backward pass if it is marked as one of a gradient, of an update or of a
// recomputation (ir/notes.h), or reads what such a node computes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "compiler/lowering/fusion.h"
#include "ir/graph.h"

namespace weir {

// Whether the node's location has this note of ir/notes.h.
bool has_note(const Node& node, std::string_view note);

// Whether some of its nodes are marked as those of a gradient.
bool has_backward_pass(const Graph& graph);

// By node: whether it is of the backward pass.
std::vector<bool> backward_nodes(const Graph& graph);

class PassBoundary {
 public:
  // The graph must outlive this.
  PassBoundary(const Graph& of, bool fuse);

  const Graph& graph;
  FusionPlan plan;
  std::vector<bool> backward;  // by node

  // Nothing for inputs and params.
  const Node* producer(ValueId value) const;
  // Whether a node of the backward pass computes it.
  bool is_backward(ValueId value) const;
  // As FusionPlan::group_of.
  int group(ValueId value) const;
  bool is_inline(ValueId value) const { return group(value) == FusionPlan::kInline; }

  using Enters = std::function<bool(NodeId, std::size_t operand)>;

  // Calls visit(value) for all values that a node loads, written out as it is; `enters` says
  // whether to look at an operand at all, and may be absent.
  void each_load(NodeId node, const std::function<void(ValueId)>& visit, const Enters& enters = {});

  // By value: whether it is of the forward pass, and a kernel of the backward pass loads it.
  std::vector<bool> kept(const Enters& enters = {});

  // The values that are loaded to compute this one; itself, if it is stored.
  std::vector<ValueId> loads_of(ValueId value);

 private:
  std::vector<std::uint32_t> visited_;  // by node: the stamp of the walk that has entered it last
  std::uint32_t stamp_ = 0;
};

}  // namespace weir
