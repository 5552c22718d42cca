// What the processor and the operating system can do, as they report it themselves.
#pragma once

#include <string>

#include "compiler/lowering/target.h"

namespace weir {

// The words with feature bits, in hexadecimal: of cpuid and xgetbv on x86, of the auxiliary vector
// elsewhere. Nothing that names the processor, and nothing that differs from core to core. Equal
// texts mean that code for one machine runs on the other.
std::string host_features();

// The vector registers that code for this machine uses, found without loading a code generator.
VectorRegisters host_vectors();

}  // namespace weir
