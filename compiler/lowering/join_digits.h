// Digits of a fold that all operands walk through in one stride become one digit.
//
// Of a convolution whose image has its channels innermost, the taps along a row and the channels of
// each lie one after the other, in the image as in filters that are packed. A loop over the
// channels that begins anew for each tap works out addresses and fills the processor's queues each
// time; over sixteen channels of two vectors that is a sixth of its time.
#pragma once

#include "compiler/lowering/kernel.h"

namespace weir {

// Of folds in chain order whose steps are the same and as many, in the same order; where chunks end
// at whole steps of the digit that results. Indices of what is read may then exceed a dimension of
// it, and reach over into the next: only where elements lie is as it was.
void join_digits(Kernel& kernel);

}  // namespace weir
