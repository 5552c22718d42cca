// A shared object that is to be loaded, looked at first: the system's loader maps what the headers
// say, and a file that was cut short then ends the process.
#pragma once

#include <string>

#include "runtime/abi.h"

namespace weir {

// Whether programs of this version of abi.h may be called by this runtime's hosts.
constexpr bool is_known_abi(int version) {
  return version >= WEIR_ABI_OLDEST_VERSION && version <= WEIR_ABI_VERSION;
}

// Empty if the file is whole, for this kind of machine, and a model of a version that this runtime
// knows; else what is wrong with it.
std::string fault_of_model_file(const char* path);

}  // namespace weir
