// Which kernels read windows under their guards though each element is read often enough for a copy
// with a frame (frame_windows.h): those whose guards are next to nothing, so that the copy is all
// that a frame would change.
//
// With vectors along an image's row, which lies so in memory, and a unit that has that row, only the
// vectors at its ends have masks (border_emitter.cc), and with rows of a tile that all read the same
// row of the image one address is chosen for all steps of a loop. Masks have to have registers of
// their own. Where the channels of a step lie so far apart that their lines share too few sets of
// the first cache, the copy spreads them, and is made.
#pragma once

#include "compiler/lowering/kernel.h"
#include "compiler/lowering/target.h"

namespace weir {

// Groups of rows of a tile that one after the other go through an image's row: more had better have
// its columns block by block.
inline constexpr std::int64_t kGroupsOfRow = 8;
// Of an image, so many that they can be units.
inline constexpr std::int64_t kRowsOfImage = 16;

// Whether it may be so for any kernel: where registers are too few for masks it is for none.
bool may_keep_guards(const Processor& processor);
// Of a kernel with its rows in order, and without frames.
bool keeps_guards(const Kernel& kernel, const Processor& processor);

}  // namespace weir
