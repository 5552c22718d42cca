// The table of what the backward pass needs of the forward pass, of a graph that
// compiler/rematerialize/rematerialize.h has made its choices in.
#pragma once

#include <string>
#include <vector>

#include "ir/graph.h"

namespace weir {

// One value that the backward pass needs, in the order of the graph.
struct KeptValue {
  std::string name;  // "%h", as the graph prints it
  TensorType type;
  std::string choice;  // "value", "output", "mask", "bits" or "recomputed"
  Dim bytes = 0;       // between the passes
};
std::vector<KeptValue> kept_values(const Graph& graph, bool fuse = true);

// As a table, with the sum; dimensions that have a size here are replaced by it.
std::string print_kept_values(const Graph& graph, bool fuse = true,
                              const Dim::Bindings& sizes = {});

}  // namespace weir
