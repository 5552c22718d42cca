// What the backward pass reads of the forward pass: kept, kept in another form, or computed again.
//
// A kept value is one that a kernel of the forward pass stores and a kernel of the backward pass
// reads. For each of them there is a choice:
//   value       it stays as it is
//   output      where only x > 0 is asked, and y = leaky_relu(x) with a slope above 0 is kept
//               anyway, y says it: y > 0 and y <= 0 exactly where x > 0 and x <= 0, and NaN where x
//               is. With a slope that is zero or negative it does not, and nothing is read from y.
//   bits        where only x > 0 is asked, and y is not kept or does not say it: one bit for each
//               element, packed from a mask of bytes that lives no longer than until then
//   mask        the same of few elements, or of a single axis: one byte for each
//   choice      where the backward pass chooses by numbers that follow from values which are kept for
//               nothing else but their sign - the greatest of each window, in max_pool's gradient - the
//               forward pass computes the numbers: one byte for each, of at most 255 choices
//   recomputed  the backward pass computes it again from what is kept, late: behind the gradient
//               that it meets first. The same nodes give the same bits.
//
// Output and mask cost nothing, and bits little; they are taken wherever they free a value. Choices
// are computed in the forward pass in place of the backward pass; they are taken where less is
// kept. Recomputation costs arithmetic, and is taken for a memory budget alone: values are given up
// one after the other, those with the least arithmetic for a byte first, until the workspace is
// within the budget, as it is on the machine that the program is for.
//
// What is stored, and what is computed again anyway because that is cheaper than a store, is
// fusion's decision. So this stands above lowering, works on the graph with fusion's plan beside
// it, and says what it decides in nodes: keep(mask), pack_bits(mask), keep(choice)
// and after(x, gradient).
#pragma once

#include <cstdint>
#include <optional>

#include "compiler/lowering/program.h"
#include "compiler/lowering/target.h"
#include "ir/diagnostic.h"
#include "ir/graph.h"

namespace weir {

struct MemoryBudget {
  std::uint64_t bytes = 0;   // of the workspace
  Dim::Bindings sizes = {};  // of all symbols
};

struct RematerializeOptions {
  bool fuse = true;  // as in LoweringOptions
  bool reuse_memory = true;
  bool orders_state = false;
  StateOrders state_orders = {};
  // Of the machine that the program is for: copies that contractions read are others for another
  // one, and so is the workspace.
  Processor processor = {};
  std::optional<MemoryBudget> budget = {};
};

// No choice is within the budget: the workspace has at least so many bytes.
class BudgetError : public Error {
 public:
  BudgetError(std::uint64_t least_bytes, std::uint64_t budget);
  std::uint64_t least() const { return least_; }

 private:
  std::uint64_t least_;
};

// The graph must hold no composite ops; one without a backward pass stays as it is. Error if a
// symbol has no size, or a size is for a symbol that there is not; BudgetError if no choice is
// within the budget.
Graph rematerialize(Graph graph, const RematerializeOptions& options = {});

}  // namespace weir
