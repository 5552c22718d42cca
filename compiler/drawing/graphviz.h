// Graphviz's library, opened when a picture is first laid out. It is needed for nothing else, so no
// program of ours is linked with it.
#pragma once

#include <array>
#include <memory>
#include <string>

#include <gvc.h>

namespace weir {

// The functions of libgvc, and of the libraries that come with it. Not safe to use from two threads
// at once.
struct Graphviz {
  decltype(&::gvContextPlugins) new_context;
  decltype(&::gvFreeContext) free_context;
  decltype(&::gvLayout) layout;
  decltype(&::gvFreeLayout) free_layout;
  decltype(&::gvRenderData) render;
  decltype(&::gvFreeRenderData) free_render;
  decltype(&::agread) read;
  decltype(&::agnnodes) node_count;
  decltype(&::agclose) close;
  decltype(&::agseterrf) set_error_function;
  // The plugins that take part, by the names under which Graphviz looks for them; a null ends the
  // list.
  std::array<lt_symlist_t, 3> plugins;
};

// Stays open, for Graphviz has global state. Throws Error if it is not installed.
const Graphviz& graphviz();

using GraphvizGraph = std::unique_ptr<Agraph_t, decltype(Graphviz::close)>;

// The graph in a text, null if it is malformed. The order of subgraphs is that of the text:
// Graphviz itself takes the order of the addresses of their names, which differs from run to run.
GraphvizGraph read_graph(const std::string& dot);

}  // namespace weir
