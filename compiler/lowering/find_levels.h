// The levels of a schedule's expressions: the innermost loop that each depends on, where its code
// goes.
#pragma once

#include <cstdint>

#include "compiler/lowering/schedule.h"

namespace weir {

// The level of an axis that is not the vector axis of the rows.
Level level_of(const Kernel& kernel, std::uint32_t axis);

// Whether vectors run along an axis: the schedule's vector_row, or where `along_stages` says so,
// the axes of stages.
bool is_vector_axis(const Schedule& schedule, bool along_stages, std::uint32_t axis);

// Fills in `levels`, `varies` and `varies_by_row`, and grows the kernel's `locations` to as many.
// Wants the schedule's axes and accesses.
void find_levels(Schedule& schedule, bool along_stages);

}  // namespace weir
