// What fusion knows of a graph while groups form.
#pragma once

#include <span>
#include <vector>

#include "compiler/lowering/fusion.h"
#include "ir/graph.h"
#include "ir/op.h"
#include "ir/scalar/arena.h"

namespace weir {

// One node examined on its own: its result axes are axes 0, 1, ... (dimensions other than 1), the
// reduced axis, if any, is the next; operands that are not inline are loads of buffer
// ValueId::index.
struct Probe {
  struct Access {
    ValueId value;
    std::vector<scalar::Id> indices;
  };
  scalar::Arena arena;
  std::size_t result_axes = 0;
  Dim reduced_extent = 1;
  bool folds = false;
  bool multiplies = false;  // folds products, as a contraction does
  Reduction::Order order = Reduction::Order::chain;
  std::vector<Access> accesses;
};

struct Planner {
  const Graph& graph;
  const FusionOptions& options;
  FusionPlan plan;
  std::vector<int> use_count;    // by value
  std::vector<int> cost;         // by node: of one element when inline, operands included
  std::vector<bool> is_output;   // by value
  std::vector<bool> is_checked;  // by value: stored because something waits for it
  bool has_waits = false;        // whether anything waits for a value that it does not read

  Planner(const Graph& g, const FusionOptions& o);

  bool is_member(NodeId id) const { return plan.group_of[id.index] >= 0; }
  bool is_inline(ValueId value) const {
    const Value& info = graph.value(value);
    return info.kind == Value::Kind::result &&
           plan.group_of[info.producer.index] == FusionPlan::kInline;
  }
  int group_of(ValueId value) const {
    const Value& info = graph.value(value);
    return info.kind == Value::Kind::result ? plan.group_of[info.producer.index]
                                            : FusionPlan::kSource;
  }

  Probe probe(const Node& node) const;
  int own_cost(const Node& node) const;
  bool has_reduction(const Node& node) const;
  bool is_stepped(const Node& node) const;
  // A concat of so many operands that each is stored on its own.
  bool is_parted(const Node& node) const;
};

OpInstance instance_of(const Node& node, std::span<const TensorType> types);

}  // namespace weir
