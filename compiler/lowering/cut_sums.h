// Sums that another kernel turns lie in panels of a tile's columns, where the second cache does not
// hold all of them.
//
// A contraction works on one panel of its columns at a time (pack_operands.h). Its sums, as rows of
// all columns, are then a line or a few of each row, which lie pages apart, and what turns them
// (part_results.h) reads them so once more. In panels both go through runs of memory.
#pragma once

#include <cstdint>

#include "compiler/lowering/kernel.h"
#include "compiler/lowering/target.h"

namespace weir {

// Of two kernels the first writes sums, its parameter `written`, and nothing else, and the second
// reads them as `read`. Where it pays both get them in panels.
void cut_sums(Kernel& contraction, std::uint32_t written, Kernel& results, std::uint32_t read,
              const Core& core);

}  // namespace weir
