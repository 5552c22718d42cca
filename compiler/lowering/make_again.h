// Large values that lie idle where most is alive end before that, and are made again for their next
// reader.
//
// With batch norm in a network of convolutions, what comes of the norm and of LeakyReLU is read by
// the next layer, and long after by the gradient of its filters; what was normalized stays in
// memory in between, for the norm's own gradient. To make the one of the other again is a few
// operations for each element, and the gradient reads each hundreds of times.
//
// The same kernels run on the same operands once more, so bits stay as they are.
#pragma once

#include "compiler/lowering/program.h"

namespace weir {

// For a program whose calls are in their order, and whose buffers have no places in the workspace
// yet.
void make_again(Program& program);

}  // namespace weir
