// Guards that a loop knows to hold.
#pragma once

#include <span>

#include "compiler/lowering/schedule.h"

namespace weir {

// Fills in `bounds` and `step_bounds` from the guards of the given loads: the comparisons of
// indices that hold up to some point along the vectors, or along the steps of a stage. Wants the
// schedule's axes; `along_stages` as for is_vector_axis (find_levels.h).
void find_bounds(Schedule& schedule, bool along_stages, std::span<const scalar::Id> loads);

}  // namespace weir
