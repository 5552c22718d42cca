// What the tests of the text form share.
#pragma once

#include <string>
#include <string_view>

#include "ir/graph.h"

namespace weir {

// A file of the source tree.
std::string read_source_file(const std::string& path);
// One of everything that the text form knows.
std::string every_feature();
// What the message says, or "no error"; the error must have a place.
std::string text_error(std::string_view text);
// That the graph printed and parsed is the graph: names, types, attributes, operands and outputs.
void expect_round_trip(const Graph& graph);

}  // namespace weir
