// Processors whose caches and multiply-add units are known by name.
#pragma once

#include <string_view>

#include "compiler/lowering/target.h"

namespace weir {

// By LLVM's name of the processor; the core that all targets have if the name is none of these.
Core core_of(std::string_view cpu);

// The name that fits what the processor can do. A virtual machine may give its processor the number
// of another model; matrices in tiles (AMX) are Intel's servers' alone from Sapphire Rapids on,
// whose cores are alike.
std::string_view name_by_features(std::string_view cpu, bool has_tiles);

}  // namespace weir
