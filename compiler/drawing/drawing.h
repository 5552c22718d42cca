// Pictures of graphs and programs, for people.
//
// Every node of a graph is drawn with its op, its name, its attributes where they are not the
// defaults, and its type. Params and constants are drawn again at every node that reads them, so
// that no edge crosses the whole picture for a weight. What autodiff made - a node's location says
// so - has another colour and flows upwards, beside the forward pass that it belongs to.
//
// In the picture of a program every kernel call is a box around the nodes that it computes. A node
// that two kernels compute, each for itself, stands in both; an edge between boxes is a value in
// memory.
//
// The text is that of Graphviz's language DOT, and depends on nothing but the graph.
#pragma once

#include <string>

#include "compiler/lowering/program.h"
#include "ir/graph.h"

namespace weir {

// A graph as DOT text. `subtitle` says what it is: "as declared".
std::string draw(const Graph& graph, const std::string& subtitle);
// A program as DOT text; `graph` is what it was lowered from.
std::string draw(const Graph& graph, const Program& program, const std::string& subtitle);

}  // namespace weir
