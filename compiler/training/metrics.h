// How a training went, for programs to read: a line of JSON for every epoch.
#pragma once

#include <string>

#include "compiler/training/fit.h"

namespace weir {

// {"epoch":1,"step":45,"rate":0.001,"loss":...} and a line end: also "accuracy", "validation_loss"
// and "validation_accuracy" where there are such, "seconds" and "rows_per_second". Numbers read
// back as the same; one that is infinite or NaN is null.
std::string json_line(const EpochReport& report);

}  // namespace weir
