// Lets the backward pass read choices that the forward pass has made in bytes, in place of all that
// they were made among.
#pragma once

#include <optional>

#include "ir/graph.h"

namespace weir {

// Where the backward pass chooses by a number (OpDef::choice_operand) that follows from values of
// the forward pass alone - the greatest of each window, by max_pool's gradient - and these are kept
// for nothing else but their sign: the forward pass computes the numbers and keeps them, in a byte
// each. Of at most 255 choices, as 255 then stands for none.
//
// The sign is asked of what was chosen, brought to its place by the same numbers (OpDef::way_back),
// if that is kept anyway, the gradient is +0 everywhere else, and what it is made to then does not
// depend on a sign.
//
// Nothing if all stays as it is.
std::optional<Graph> keep_choices(const Graph& graph, bool fuse);

}  // namespace weir
