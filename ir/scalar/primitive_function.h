// What a primitive does to bits: the reference for everything compiled.
#pragma once

#include "ir/scalar/evaluate.h"

namespace weir::scalar {

// The function of a primitive that gives `type`, and whose first operand is of type `operand`. It
// is handed three values, of which it takes as many as the primitive has operands.
PrimitiveFunction primitive_function(Primitive primitive, DType type, DType operand,
                                     const Numerics& numerics);

}  // namespace weir::scalar
