// Algebraic simplification.
#pragma once

#include <span>

#include "compiler/passes/rewrite_rule.h"
#include "ir/graph.h"

namespace weir {

// Applies the rules of compiler/passes/simplify_rules.cc until none applies, and removes the nodes
// that nothing needs any more. Every rule is exact: the results keep their bits for every input,
// NaN, infinities and signed zeros included.
Graph simplify(Graph graph);

// The same with other rules.
Graph simplify_with(Graph graph, std::span<const RewriteRule> rules);

}  // namespace weir
