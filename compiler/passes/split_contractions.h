// Contractions of the backward pass in the parts that are read of them.
#pragma once

#include "ir/graph.h"

namespace weir {

// A gradient of which nothing but slices along an axis of one operand are read, as of a concat,
// becomes a contraction for each of them: slice(f(matmul(x, w))) is f(matmul(x, slice(w))), also
// for a pointwise f. What is pointwise in a slice, as the mask of an activation is, then is in the
// epilogue of the kernel that computes it, and so are sums of that.
//
// It is done where a slice has such a gradient that waits for nothing else, and the parts are not
// many, nor narrow; where that is not the last of what is added up, the slices are left. It is also
// done where one slice is all that is read, so that nothing else is computed.
Graph split_contractions(Graph graph);

}  // namespace weir
