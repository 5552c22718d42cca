// The .weir text form of graphs: docs/text-form.md describes it.
//
// The round trip is exact: print(parse_graph(print(g))) == print(g), and the graph read back has
// the same nodes, types, attributes (floats and tensors to the last bit, all NaNs being one), names
// and outputs as g. Locations are the positions in the text.
//
// Reading never trusts the file: whatever it holds, the outcome is a graph or an Error with the
// place. It takes time linear in the size of the file. Memory: a tensor takes at most 4 bytes for a
// byte of text, and the graph at most kMemoryPerByte in all.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"

namespace weir {

// Bytes of a graph for a byte of its text, at most: the values of short statements with long types.
inline constexpr std::size_t kMemoryPerByte = 512;

// The graphs of a file, at least one, with different names. `file_name` is for messages and
// locations. Throws Error.
std::vector<Graph> parse_graphs(std::string_view text, std::string file_name);
// The graph of a file that holds one. Throws Error.
Graph parse_graph(std::string_view text, std::string file_name);

struct PrintOptions {
  bool types = false;      // comments with the results' types after each node
  bool locations = false;  // comments with the node's location
  bool elide = false;      // "..." inside large tensors: for reading, not for parsing back
};
std::string print(const Graph& graph, const PrintOptions& options = {});
// One statement of it, without indent and line end: "%y = leaky_relu(%x)".
std::string print(const Graph& graph, NodeId node, const PrintOptions& options = {});

}  // namespace weir
