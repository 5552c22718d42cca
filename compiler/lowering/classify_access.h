// How a kernel reaches the elements that it loads and stores: from vector to vector, and loop by
// loop.
#pragma once

#include "compiler/lowering/schedule.h"
#include "ir/scalar/affine.h"

namespace weir {

// The innermost loop that an index depends on.
Level level_of_index(const Kernel& kernel, scalar::Id index);

// Whether an expression differs from lane to lane; `along_stages` as for is_vector_axis
// (find_levels.h).
bool depends_on_vector_axis(const Schedule& schedule, bool along_stages, scalar::Id root);

// The terms that change least often are added first, so that every loop adds its own to what is
// there.
scalar::Id sum_by_level(Kernel& kernel, const scalar::Affine& affine);

// How the elements at an offset lie along the vectors.
Access classify_access(Schedule& schedule, bool along_stages, const scalar::Affine& offset);

// Parts the offset of an access into what changes within a stage's loop, and what does not.
void part_by_step(Kernel& kernel, Access& access);

}  // namespace weir
