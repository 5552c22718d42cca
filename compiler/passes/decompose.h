// Composite ops are replaced by their bodies.
#pragma once

#include <functional>

#include "ir/graph.h"

namespace weir {

// Replaces every node whose op is composite for it by the nodes of its body, recursively, so that
// no composite is left. Nodes of a body have the location of the node that they came from; the
// results keep their names.
Graph decompose(Graph graph);

// The same for the composite nodes of `graph` that `chosen` admits, and for those composites in
// their bodies that `inner` admits.
Graph decompose_if(const Graph& graph, const std::function<bool(NodeId)>& chosen,
                   const std::function<bool(const OpDef&)>& inner);

}  // namespace weir
