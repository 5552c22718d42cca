// Which memory is a program's own, and how much that is by estimate.
#pragma once

#include "compiler/lowering/program.h"

namespace weir {

// Whether the buffer lies in the workspace, where no other one has a right to its place.
inline bool is_own(const Buffer& buffer) { return buffer.place == Buffer::Place::workspace; }

// Of the workspace, in bytes, with an estimate for each symbol; 0 for a buffer that lies elsewhere.
double estimated_bytes(const Buffer& buffer);

}  // namespace weir
