// The part of a graph that some of its outputs need.
#pragma once

#include <functional>

#include "ir/graph.h"

namespace weir {

// The outputs that `keeps` admits, in order, with the nodes and inputs that they need. All params
// stay. An input stays, too, if its type names a symbol that nothing else would bind.
Graph only_outputs(const Graph& graph, const std::function<bool(const Graph::Output&)>& keeps);

}  // namespace weir
