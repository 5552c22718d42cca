// The losses of a training as a picture.
#pragma once

#include <span>
#include <string>

#include "compiler/training/fit.h"

namespace weir {

// SVG of the loss by epoch, on what was trained on and, where there was validation, on the rows of
// that, with axes and their numbers. A loss that is infinite or NaN leaves a gap.
std::string loss_plot(std::span<const EpochReport> reports);

}  // namespace weir
