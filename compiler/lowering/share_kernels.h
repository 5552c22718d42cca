// One kernel for calls that differ only in where a parameter begins.
//
// The steps of a recurrence that is written out each read their own part of what all steps have in
// one value, and number it: kernels that are the same but for a constant in an index. Such a
// constant goes out of the kernel and into its calls, as the place in the buffer where the
// parameter begins, if that makes one kernel of several. What was decided by looking at the kernels - what runs
// together, what takes over whose memory - was decided before, and stays.
#pragma once

#include <cstdint>
#include <functional>

#include "compiler/lowering/program.h"

namespace weir {

// `number_of` gives a kernel its number in the program, the same to equal ones.
void share_kernels(Program& program, const std::function<std::uint32_t(Kernel)>& number_of);

}  // namespace weir
