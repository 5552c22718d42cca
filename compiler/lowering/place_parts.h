// Operands of a concat that are computed where they are in its result.
//
// A concat of many operands has a kernel for each that stores it in its place (fusion.h). Of one
// that lies in the workspace as it lies there, that would be a copy. So it lies there from the
// beginning: whoever computes or reads it does so in the result's buffer, and nothing is copied.
#pragma once

#include "compiler/lowering/program.h"

namespace weir {

// For a program whose buffers have no places in the workspace yet.
void place_parts(Program& program);

}  // namespace weir
