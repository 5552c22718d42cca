// Which operands of indices are checked, and the kernel that does it.
//
// A check comes before every kernel that reads by its indices, and the program ends where it fails,
// so that no such kernel needs to look at them again. Equal checks are made once. Constants are
// checked here, which leaves nothing to be done at run time unless a size is symbolic.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "compiler/lowering/kernel.h"
#include "ir/graph.h"

namespace weir {

struct PlannedCheck {
  ValueId value;   // the indices, or what they are repeated from
  Shape sizes;     // as in IndexOperand
  bool from_end;   // likewise, and false for a type without sign
  NodeId node;     // the first that needs it
  std::string op;  // who the message names
};

struct IndexCheckPlan {
  std::vector<PlannedCheck> checks;
  std::vector<std::vector<std::size_t>> needed;  // by node: numbers of checks
};

// By node, if there are any checks: the values that are checked for it, as FusionOptions wants
// them.
std::vector<std::vector<ValueId>> checked_values(const IndexCheckPlan& plan);

// Throws Error, at the node, for a constant index that is out of range.
IndexCheckPlan plan_index_checks(const Graph& graph);

// A kernel of three parameters: indices of that type, and the position of the first fault and the
// index there.
Kernel build_check_kernel(const TensorType& indices, const PlannedCheck& check,
                          const std::string& name, const Location& location);

}  // namespace weir
