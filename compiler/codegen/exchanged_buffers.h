// Which buffers move between the caches of workers where loops are divided: those that the program
// writes and that contractions read in tiles. Each worker then reads all of an operand, or other
// parts of it than it has written, unless the outermost rows of its units are a dimension of the
// operand, as of a copy in panels. What maps and reductions pass on stays where it is, for their
// workers have the same parts of it each time.
#pragma once

#include <vector>

#include "compiler/lowering/program.h"
#include "compiler/lowering/schedule.h"

namespace weir {

// By buffer. The schedules are those of the program's kernels.
std::vector<bool> exchanged_buffers(const Program& program, const std::vector<Schedule>& schedules);

}  // namespace weir
