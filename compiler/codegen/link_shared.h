// Shared objects, linked by LLVM's linker inside of this process.
#pragma once

#include <string>

namespace weir {

// The shared object, for a machine with the ELF format, of one object file. It names no other
// library, has no constructors, and shows the symbols that the object does not hide. `name` is what
// programs that are linked with it look for. Error if the target has no ELF.
std::string link_shared(const std::string& object, const std::string& name,
                        const std::string& triple);

}  // namespace weir
