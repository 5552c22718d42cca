// Which programs of a model the commands compile and size deal with: the options --gradient,
// --train with what belongs to it, --contract, --outputs-leave, --memory-budget, --programs and --strip-weights.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common.h"
#include "compiler/aot/compile_model.h"
#include "training_options.h"

namespace weir::tool {

// As given; empty for what is left out.
struct ProgramArguments {
  std::vector<std::string> gradient, programs;
  TrainingStepArguments training;
  bool strip_weights = false, contract = false, outputs_leave = false;
  std::string memory_budget;
};
void add_programs(CLI::App& command, ProgramArguments& arguments);

struct GivenPrograms {
  std::vector<ModelProgram> programs;
  // Of what the model has, of what training needs besides, and, unless weights are stripped, of
  // params that training starts from an initializer.
  Weights weights;
};

// Reads the model and makes the programs; in `options` it sets what is to be stripped and drawn,
// contraction and the memory budget.
// `read` gets the names of the files.
GivenPrograms given_programs(const std::string& model, const std::optional<std::string>& weights,
                             const LoadLimits& limits, const ProgramArguments& arguments,
                             CompileModelOptions& options,
                             std::vector<std::string>* read = nullptr);

}  // namespace weir::tool
