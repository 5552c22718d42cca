// Rows that go through the stages of a kernel together.
//
// The stages of a softmax wait for each other: the exponentials of a row for its greatest element,
// the quotients for the sum. Of a row of a few vectors that is most of the time, for a processor
// does not look as far ahead as to the next rows. So several rows go through a stage before the
// next stage begins. Each row is computed as it was.
#pragma once

#include "compiler/lowering/schedule.h"

namespace weir {

// So many rows at once; 1 where rows are long, or of a length that is not known.
int rows_by_stage(const Schedule& schedule);

}  // namespace weir
