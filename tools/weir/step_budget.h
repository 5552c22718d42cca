// What is said where a memory budget is too small for a training step. The least has two values:
// the step of `weir train` gives the model's output to its caller and has its state lie as it reads
// it; that of `weir compile --train`, which `weir inspect --train` shows, has its state as
// declared.
#pragma once

#include <cstdint>

#include "compiler/pipeline.h"
#include "training_options.h"

namespace weir::tool {

enum class StepOf : std::uint8_t { train, compile };

// Throws an Error that says both, where the step `of` this command has met `error`. The options are
// those that it was compiled with.
[[noreturn]] void refuse_budget(const BudgetError& error, StepOf of, const GivenTraining& training,
                                CompileOptions options);

}  // namespace weir::tool
