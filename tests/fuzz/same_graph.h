// Whether two graphs are the same but for locations.
#pragma once

#include "ir/graph.h"

namespace weir::fuzz {

bool same_graph(const Graph& a, const Graph& b);

}  // namespace weir::fuzz
