// Lets whoever asks for x > 0 alone ask an output, or a mask.
#pragma once

#include <optional>

#include "ir/graph.h"

namespace weir {

// Where the backward pass reads of x its sign alone (compiler/rematerialize/sign.h), and x is kept
// for nothing else: it asks a result that tells the sign, if that is kept anyway, else a mask, if
// that is less: pack_bits(keep(x > 0)), or, of few elements, keep(x > 0). Nothing if all stays as
// it is.
std::optional<Graph> answer_signs(const Graph& graph, bool fuse);

}  // namespace weir
