// How much of a kernel runs at once: vectors along the vector axis, rows of a register tile, and
// what a unit is made of; and what all of it costs.
#pragma once

#include "compiler/lowering/schedule.h"
#include "compiler/lowering/target.h"

namespace weir {

// Sets work, bytes, unroll, block, rows_at_once, tile_unroll and streams of a schedule that has its
// axes, accesses and levels.
void choose_tile(Schedule& schedule, const Target& target);

}  // namespace weir
