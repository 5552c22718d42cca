// Elementary functions in a kernel, written out.
#pragma once

#include "compiler/lowering/kernel.h"

namespace weir {

// Replaces every expression of the kernel by one of primitives that code is generated for; what
// comes of a function has the function's location.
void expand_kernel(Kernel& kernel);

}  // namespace weir
