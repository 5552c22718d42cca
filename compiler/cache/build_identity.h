// Which build of Weir this is.
#pragma once

#include <string>

namespace weir {

// The version, and the build identifier that the linker gave to the library or program that holds
// this function: a digest of all of its content. Empty if the linker gave none; code of such a
// build cannot be told from another's.
std::string build_identity();

}  // namespace weir
