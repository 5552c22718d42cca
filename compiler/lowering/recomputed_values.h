// Which values of a graph are others again, computed a second time for the backward pass
// (rematerialize).
#pragma once

#include <unordered_map>

#include "ir/graph.h"

namespace weir {

// By value that is computed again, and may not have a layout of its own: the one that it is equal
// to, which is computed first.
std::unordered_map<ValueId, ValueId> recomputed_values(const Graph& graph);

}  // namespace weir
