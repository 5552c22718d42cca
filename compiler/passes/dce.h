// Dead code elimination.
#pragma once

#include "ir/graph.h"

namespace weir {

// Removes nodes that no output needs. Inputs and params stay, being part of the graph's interface.
// A node stays whole if any of its results is needed.
Graph dce(Graph graph);

}  // namespace weir
