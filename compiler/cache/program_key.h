// Programs as keys: all that their code depends on.
#pragma once

#include <string>

#include "compiler/lowering/program.h"
#include "compiler/lowering/target.h"

namespace weir {

// A text that tells the program from every other: two programs with equal texts have the same code.
// It holds the kernels, their calls and the memory plan, and the names that become symbols. Left
// out is what code in memory does not depend on: the values and names of weights, names of values,
// and model lines.
std::string program_key(const Program& program);

// Likewise of a core, by which schedules are chosen.
std::string core_key(const Core& core);

}  // namespace weir
