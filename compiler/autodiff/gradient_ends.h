// What a gradient leads from and to, by the names that it is asked for with.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace weir {

// The inputs and params to differentiate with respect to. Error where one is none of these, is not
// of floating point, or is named twice.
std::vector<ValueId> gradient_sources(const Graph& graph, std::span<const std::string> wrt);

// The outputs whose sum is differentiated: all of floating point, if none is named. Error where
// there is no such output.
std::vector<ValueId> gradient_targets(const Graph& graph, std::span<const std::string> names);

}  // namespace weir
