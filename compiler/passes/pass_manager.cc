#include "compiler/passes/pass_manager.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "compiler/passes/contract_multiply_add.h"
#include "compiler/passes/cse.h"
#include "compiler/passes/dce.h"
#include "compiler/passes/decompose.h"
#include "compiler/passes/fold.h"
#include "compiler/passes/reshape_first.h"
#include "compiler/passes/simplify.h"
#include "compiler/passes/split_contractions.h"
#include "ir/escape.h"
#include "ir/text.h"
#include "ir/verifier.h"

namespace weir {
namespace {

constexpr Pass kPasses[] = {
    {"decompose", decompose, "Composite ops are replaced by their bodies."},
    {"fold", fold, "Nodes on constants become constants."},
    {"simplify", simplify, "Exact algebraic identities are applied."},
    {"reshape_first", reshape_first, "Activations are reshaped as their gradients are."},
    {"split_contractions", split_contractions, "Contractions read in parts become one for each."},
    {"cse", cse, "Equal nodes are computed once."},
    {"dce", dce, "Nodes that no output needs are removed."},
    {"contract_multiply_add", contract_multiply_add,
     "Products and sums become fma; runs only if asked for."},
};

void verify_after(const Pass& pass, const Graph& before, const Graph& after) {
  try {
    verify(after, fmt::format("pass {}", pass.name));
  } catch (const InternalError& fault) {
    throw InternalError(fmt::format("{}\nbefore the pass:\n{}", fault.what(), print(before)));
  }
}

}  // namespace

std::span<const Pass> all_passes() { return kPasses; }

bool is_checked_build() {
#ifdef NDEBUG
  return false;
#else
  return true;
#endif
}

// Bodies come first, so that every other pass sees all there is. Folding makes the constants that
// the conditions of simplification are about. Simplification makes nodes equal that were not;
// merging those is left to cse, as are reshapes that become the backward pass's, and what has lost
// its last use to dce.
std::span<const std::string> default_passes() {
  static const std::vector<std::string> names{
      "decompose", "fold", "simplify", "reshape_first", "split_contractions", "cse", "dce"};
  return names;
}

Graph run_passes(Graph graph, std::span<const std::string> names, const PassOptions& options) {
  std::vector<const Pass*> passes;
  for (const std::string& name : names) {
    auto found = std::find_if(std::begin(kPasses), std::end(kPasses),
                              [&](const Pass& pass) { return pass.name == name; });
    if (found == std::end(kPasses)) {
      std::vector<std::string_view> known;
      for (const Pass& pass : kPasses) known.push_back(pass.name);
      throw Error(fmt::format("there is no pass {}; the passes are {}", printable(name),
                              fmt::join(known, ", ")));
    }
    passes.push_back(found);
  }
  for (const Pass* pass : passes) {
    std::optional<Graph> before;
    if (options.verify_each) before = graph;
    auto start = std::chrono::steady_clock::now();
    graph = pass->run(std::move(graph));
    auto elapsed = std::chrono::steady_clock::now() - start;
    if (options.time) options.time(*pass, elapsed);
    if (before) verify_after(*pass, *before, graph);
    if (options.after_each) options.after_each(*pass, graph);
  }
  return graph;
}

}  // namespace weir
