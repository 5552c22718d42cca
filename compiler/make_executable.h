// Makes executables; only compile() needs to know.
#pragma once

#include "compiler/codegen/jit.h"
#include "compiler/executable.h"
#include "compiler/lowering/program.h"

namespace weir {

// Copies the weights into one block, which the executor's threads share. Throws Error listing
// params without a value, or with one of another type.
Executable make_executable(const Program& program, LoadedCode code, const Weights& weights,
                           const weir_executor* executor = nullptr);

}  // namespace weir
