// Lets whoever asks for x > 0 alone ask an output, or a mask.
#pragma once

#include <optional>

#include "ir/graph.h"

namespace weir {

// Where the backward pass reads of x its sign alone (compiler/rematerialize/sign.h), and x is kept
// for nothing else: it asks a result that tells the sign, if that is kept anyway, else keep(x > 0),
// a byte for each element, if that is less. Nothing if all stays as it is.
std::optional<Graph> answer_signs(const Graph& graph, bool fuse);

}  // namespace weir
