// The programs that a model is compiled to beside what it is itself.
//
// A model that is trained where it runs has three, on one block of state:
//   forward   the model without its loss; absent if the loss is all that there is
//   step      forward, backward and update
//   evaluate  the model with its loss
// Params that are trained are state of all three, what the optimizer remembers is that of the step,
// and other params are weights.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "compiler/aot/compile_model.h"
#include "compiler/autodiff/training_step.h"

namespace weir {

struct TrainingPrograms {
  std::vector<ModelProgram> programs;
  Weights initial;  // the first values of what the optimizer remembers
};

// `graph` has the loss that the options name. Error as for training_step().
TrainingPrograms training_programs(const Graph& graph, const Optimizer& optimizer,
                                   const TrainingOptions& options);

// Those of the names, each once and in their order; all if there are no names. Error for a name
// that no program has.
std::vector<ModelProgram> chosen_programs(std::vector<ModelProgram> programs,
                                          std::span<const std::string> names);

}  // namespace weir
