// How much of a kernel runs at once: vectors along the vector axis, rows of a register tile, and
// what a unit is made of; and what all of it costs.
#pragma once

#include "compiler/lowering/schedule.h"
#include "compiler/lowering/target.h"

namespace weir {

// Sets work, bytes, unroll, block, rows_at_once, tile_unroll and streams of a schedule that has its
// axes, accesses and levels.
void choose_tile(Schedule& schedule, const Processor& processor);

// A fold of more steps is not written out.
inline constexpr std::int64_t kWrittenOutSteps = 16;

// Whether a fold over digits is written out step by step, for so many fields of a tile. It is where
// there are few steps: their loops, and what depends on them alone, would cost as much; and windows
// that overlap, of the rows of a tile or of one point, then load what they share once.
bool is_written_out(const Kernel& kernel, const Stage& stage, std::int64_t fields);

}  // namespace weir
