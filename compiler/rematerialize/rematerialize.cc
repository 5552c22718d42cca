#include "compiler/rematerialize/rematerialize.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/lowering/estimated_size.h"
#include "compiler/lowering/lower.h"
#include "compiler/lowering/memory_plan.h"
#include "compiler/rematerialize/answer_signs.h"
#include "compiler/rematerialize/keep_choices.h"
#include "compiler/rematerialize/kept_values.h"
#include "compiler/rematerialize/pass_boundary.h"
#include "compiler/rematerialize/recompute.h"

namespace weir {
namespace {

void check_sizes(const std::vector<std::string>& symbols, const Dim::Bindings& sizes) {
  for (const auto& [symbol, size] : sizes)
    if (std::find(symbols.begin(), symbols.end(), symbol) == symbols.end())
      throw Error(
          fmt::format("a memory budget is for known sizes, and there is no symbol {}; {}", symbol,
                      symbols.empty() ? "all sizes of the model are numbers"
                                      : fmt::format("the model has {}", fmt::join(symbols, ", "))));
  for (const std::string& symbol : symbols)
    if (!sizes.contains(symbol))
      throw Error(fmt::format("a memory budget is for known sizes; give {} one", symbol));
}

// By value: what the workspace keeps of it for the backward pass, copies included.
std::vector<Dim> workspace_bytes_kept(const Graph& graph, const Program& program) {
  std::vector<Dim> bytes(graph.value_count(), Dim(0));
  for (const KeptValue& kept : kept_values(graph, program))
    if (kept.in_workspace) bytes[kept.value.index] = bytes[kept.value.index] + kept.bytes;
  return bytes;
}

Graph within_budget(Graph graph, const RematerializeOptions& options) {
  const MemoryBudget& budget = *options.budget;
  check_sizes(graph.symbols(), budget.sizes);
  std::uint64_t least = UINT64_MAX;
  auto lowered = [&](const Graph& candidate) {
    return lower(candidate, {.fuse = options.fuse,
                             .reuse_memory = options.reuse_memory,
                             .orders_state = options.orders_state,
                             .state_orders = options.state_orders,
                             .processor = options.processor});
  };
  auto is_within = [&](const Program& program) {
    std::uint64_t bytes = workspace_bytes(program, budget.sizes).value_or(UINT64_MAX);
    least = std::min(least, bytes);
    return bytes <= budget.bytes;
  };
  auto fits = [&](const Graph& candidate) { return is_within(lowered(candidate)); };
  const Program whole = lowered(graph);
  if (is_within(whole)) return graph;
  Recomputer recomputer(graph, options.fuse, budget.sizes, workspace_bytes_kept(graph, whole));
  // The fewest that fit; with all of them given up at once, what is computed again may itself take
  // more than it frees, so the way there is searched too.
  std::optional<Graph> found;
  std::size_t low = 0, high = recomputer.candidates();
  // Kernels that read what is computed again are best with the layout that they had without; one of
  // its own may need less.
  bool own_layout = false;
  auto find = [&] {
    for (std::size_t count = recomputer.candidates(); count > 0 && !found; count /= 2) {
      Graph candidate = recomputer.run(count, own_layout);
      if (!fits(candidate)) continue;
      high = count;
      found = std::move(candidate);
    }
  };
  find();
  if (!found) {
    own_layout = true;
    find();
  }
  while (found && high - low > 1) {
    std::size_t middle = low + (high - low) / 2;
    Graph candidate = recomputer.run(middle, own_layout);
    if (fits(candidate)) {
      high = middle;
      found = std::move(candidate);
    } else {
      low = middle;
    }
  }
  if (!found) throw BudgetError(least, budget.bytes);
  return std::move(*found);
}

Graph with_signs_answered(Graph graph, bool fuse) {
  std::optional<Graph> chosen = answer_signs(graph, fuse);
  return chosen ? std::move(*chosen) : std::move(graph);
}

// What the program keeps, in bytes, with an estimate for each symbol.
double kept_bytes(const Graph& graph, bool fuse) {
  double bytes = 0;
  for (const KeptValue& kept : kept_values(graph, lower(graph, {.fuse = fuse})))
    bytes += estimated_size(kept.bytes);
  return bytes;
}

// Signs and choices in place of values, where that is less. In which kernel the first value of the
// backward pass is computed is known when it is lowered, so programs are compared.
Graph with_least_forms(Graph graph, bool fuse) {
  std::optional<Graph> chosen = keep_choices(graph, fuse);
  Graph signs = with_signs_answered(std::move(graph), fuse);
  if (!chosen) return signs;
  Graph choices = with_signs_answered(std::move(*chosen), fuse);
  return kept_bytes(choices, fuse) < kept_bytes(signs, fuse) ? choices : signs;
}

}  // namespace

BudgetError::BudgetError(std::uint64_t least_bytes, std::uint64_t budget)
    : Error(fmt::format("the workspace has at least {} bytes, whatever is computed again; the "
                        "memory budget is {}",
                        least_bytes, budget)),
      least_(least_bytes) {}

Graph rematerialize(Graph graph, const RematerializeOptions& options) {
  if (!has_backward_pass(graph)) return graph;
  graph = with_least_forms(std::move(graph), options.fuse);
  return options.budget ? within_budget(std::move(graph), options) : graph;
}

}  // namespace weir
