// Where numbers first went wrong: for the message about a step that was not finite.
#pragma once

#include <cstdint>
#include <span>

#include "compiler/trainer.h"

namespace weir {

// The first element that is NaN, or else the first that is infinite, or else 0.
double not_finite_element(const Tensor& tensor);

// The error about a step that updated nothing because its numbers are infinite or NaN: it names the
// input, the param or, in the order of the step's nodes, the first node that has one. A mask may be
// infinite on purpose: infinities are no fault in what has no operands, nor in a param that the
// step does not update, nor in a node that was given some, unless there is no other to name. Every
// node is computed again, on the trainer's state as it is. `step` counts from 1.
Error not_finite_error(const Trainer& trainer, std::span<const Tensor> inputs, double learning_rate,
                       std::int64_t step);

}  // namespace weir
