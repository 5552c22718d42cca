// Lowering: an optimized graph becomes a program.
//
//   fusion plan -> one kernel a group -> rows by group and residue -> the order of dimensions in
//   memory, and of rows in each kernel, that costs least
//   -> the order of params that are updated, where it is free -> copies for contractions, transposed or with a frame
//   -> equal kernels once -> what reads a value's copy in its place -> calls in bands
//   -> memory plan
//
// The graph must hold no composite ops (passes/decompose.h).
#pragma once

#include <vector>

#include "compiler/lowering/program.h"
#include "compiler/lowering/target.h"

namespace weir {

struct LoweringOptions {
  bool fuse = true;          // false: one kernel a node
  bool reuse_memory = true;  // false: every value has workspace of its own
  // Whether the program chooses how params that it updates lie in the state block (order_state.h);
  // all others lie as `state_orders` says, and otherwise as they are declared.
  bool orders_state = false;
  StateOrders state_orders = {};
  bool outputs_leave = false;  // as in CompileOptions
  // Of the machine that the program is for: weights lie as a register tile reads them.
  Processor processor = {};
  // Of others that code is generated for from the same program.
  std::vector<Processor> variants = {};
};

Program lower(const Graph& graph, const LoweringOptions& options = {});

}  // namespace weir
