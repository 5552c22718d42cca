// Copies of operands of folds in the order in which the folds read them.
//
// A fold in chain order runs along the last row axis in vectors. An operand in which that axis is
// not the innermost dimension (the right side of x * transpose(w)) would be gathered element by
// element, so it is copied once, transposed, before the kernel runs. Weights are laid out that way
// ahead of all runs. A fold in lanes order runs along its own axis, and so do the maps beside it:
// what they read apart is copied where several rows share it.
//
// Rows of many columns lie far apart: what a register tile reads of one after the other shares few
// sets of the caches, and each is on a page of its own. So weights with many columns are cut into
// panels of so many columns as a tile has, each a run of memory, and the last row axis of the
// kernel into two: the panel, which becomes the outermost axis, and the column in it. Another
// operand that is copied for a run is cut likewise, for that makes no copy dearer; what lies as it
// is read is left to the kernel (choose_panel.h).
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "compiler/lowering/build_kernel.h"
#include "compiler/lowering/target.h"

namespace weir {

struct PackedCopy {
  ValueId source;
  std::uint32_t parameter;           // of the contraction that now reads the copy
  TensorType type;                   // of the copy
  std::vector<std::uint32_t> order;  // source dimension of each dimension of the copy
  // Not 0: the last of these is cut into pieces of so many elements, and their number is the first
  // dimension of the copy.
  std::int64_t panel = 0;
  // Of a copy with a frame of zeros (frame_windows.h): before each of its dimensions, so many.
  // Empty without one.
  std::vector<std::int64_t> low = {};
  // And behind each of them, likewise.
  std::vector<std::int64_t> high = {};
  // Of a weight: a dimension of the source that the copy lacks, along which products with zero are
  // summed (leave_out_frames.h).
  std::optional<std::uint32_t> times_zero = {};
  // Elements behind each run of the last dimension that are neither read nor written
  // (spread_rows.h).
  std::int64_t spare = 0;
};

// Redirects such loads of `built` to new parameters, one for each copy returned. The new parameters
// are appended to the kernel's; BuiltKernel::values gets an invalid id for each. `is_weight` tells
// which values are laid out ahead of all runs; an invalid id is none of them. `processor` says how
// wide a tile is; `copies` are those that the kernel reads already; they are returned with the
// others.
std::vector<PackedCopy> pack_operands(BuiltKernel& built,
                                      const std::function<bool(ValueId)>& is_weight,
                                      const Processor& processor,
                                      std::vector<PackedCopy> copies = {});

}  // namespace weir
