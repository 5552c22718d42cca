// Common subexpression elimination.
#pragma once

#include "ir/graph.h"

namespace weir {

// Nodes with the same op, operands and attributes are computed once, where the first of them
// stands. Nodes that only this makes equal are found too. No op has a side effect, so any two may
// be merged.
Graph cse(Graph graph);

}  // namespace weir
