// Processors whose caches and multiply-add units are known by name.
#pragma once

#include <string_view>

#include "compiler/lowering/target.h"

namespace weir {

// By LLVM's name of the processor; the core that all targets have if the name is none of these.
Core core_of(std::string_view cpu);

}  // namespace weir
