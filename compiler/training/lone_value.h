// Normalizations by the statistics of a batch that has one value alone for each of them. It becomes
// 0 whatever it was, so that nothing in front of it is trained, and what runs of the variance for
// inference goes towards 0.
#pragma once

#include <optional>

#include "ir/diagnostic.h"
#include "ir/dim.h"
#include "ir/graph.h"

namespace weir {

// The first such normalization in a step of the model where its symbols have these sizes. One whose
// number of values does not follow from them is passed over. The message has no end, as "one value
// for each channel of f32[N, 10]".
std::optional<Diagnostic> find_lone_value(const Graph& model, const Dim::Bindings& sizes);

}  // namespace weir
