// DOT text laid out and drawn, by Graphviz's library.
//
// The library is opened when it is first wanted and needed for nothing else. Of its plugins only
// the layout `dot` and the SVG writer take part, and the widths of texts are those of its built-in
// tables: the picture depends on neither the fonts nor the configuration of the machine.
#pragma once

#include <string>

namespace weir {

// Throws Error if Graphviz's library is not installed or refuses the text, or if there are more
// than 5000 nodes.
std::string svg(const std::string& dot);

}  // namespace weir
