// Values that lie in panels: runs of memory of a few neighbours along one dimension, one behind the
// other (MemoryLayout in program.h).
//
// A kernel that runs along that dimension in vectors works on one panel at a time, as it does on
// weights that were cut ahead of all runs (pack_operands.h): its last row axis is cut likewise, and
// the panel becomes the outermost axis, so that all rows pass by one panel before the next. What
// runs along another axis finds its elements by quotient and remainder.
#pragma once

#include <cstdint>
#include <vector>

#include "compiler/lowering/kernel.h"

namespace weir {

// The type in memory of what has its last dimension in panels; 0: as it is.
TensorType in_panels(TensorType type, std::int64_t panel);

// Makes the kernel read and write parameters in panels: by parameter, of how many elements; 0 or
// none: as they lie.
void apply_panels(Kernel& kernel, const std::vector<std::int64_t>& panels);

// Whether all that the kernel reads and writes of a parameter, whose last dimension would be in
// such panels, runs along that in vectors.
bool runs_along_panels(const Kernel& kernel, std::uint32_t parameter, std::int64_t panel);

}  // namespace weir
