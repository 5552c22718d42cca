// Columns that come from afar.
//
// At each step of a fold a register tile reads its columns once for all of its rows: of weights in
// panels, one run of memory over all steps. Where the second cache does not hold that run beside
// what else passes through it, every group of rows has it from the third cache again. The processor
// reads such a run ahead, but beside the many pixels of a window's tile not far enough, and some
// processors too slowly in any tile (Core::asks_ahead). So the tile asks for its columns itself, as many steps
// ahead as a line takes to come.
//
// A tile that slides down images (Schedule::slides) asks there for what it will read of the next
// image, where that comes from the second cache.
#pragma once

#include "compiler/lowering/schedule.h"
#include "compiler/lowering/target.h"

namespace weir {

// Sets `far_columns` of a schedule that has its tile, where its columns are such a run, and vectors
// are whole lines: of a fold of windows, and on some processors of a product; or `next_images` of
// one that slides.
void choose_far_columns(Schedule& schedule, const Core& core);

}  // namespace weir
