// Graphs of ops, attributes, names and values at random, for tests of what walks over any graph.
//
// Every op of the registry is tried with operands from the graph and attributes of the declared
// kinds; what the op refuses is left out. The graph need not make sense to run.
#pragma once

#include <cstdint>

#include "ir/graph.h"

namespace weir {

Graph random_graph(std::uint64_t seed, int tries);

}  // namespace weir
