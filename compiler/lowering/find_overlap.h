// What the rows of a register tile read that other rows read, too.
//
// Windows overlap: what a row reads at position p of one of a window's axes, the row before it
// reads at p + shift. A load follows that if its address and its guard depend on the row and on p
// only through p + shift * row. It is enough to load once what has the same sum, in a fold whose
// steps are written out.
#pragma once

#include <optional>

#include "compiler/lowering/schedule.h"

namespace weir {

// For a fold over digits, and a tile along the innermost of the schedule's rows.
std::optional<RowOverlap> find_overlap(const Schedule& schedule, const Stage& stage);

// Whether some rows of a tile of several axes read what others read up to so many steps of the
// innermost loop later, as the rows of a window do that goes down an image, for vectors along its
// rows.
bool slides_along_steps(const Schedule& schedule, const Stage& stage, std::int64_t most_steps);

}  // namespace weir
