#include "step_budget.h"

#include <fmt/format.h>

namespace weir::tool {
namespace {

std::uint64_t least_workspace(const Graph& step, CompileOptions options) {
  options.memory_budget->bytes = 0;
  try {
    optimize(step, options);
  } catch (const BudgetError& error) {
    return error.least();
  }
  return 0;
}

}  // namespace

void refuse_budget(const BudgetError& error, StepOf of, const GivenTraining& training,
                   CompileOptions options) {
  StepOf other = of == StepOf::train ? StepOf::compile : StepOf::train;
  TrainingOptions step = training.options;
  step.outputs.clear();
  if (other == StepOf::train) step.outputs = {training.graph.outputs()[0].name};
  options.orders_state = other == StepOf::train;
  std::uint64_t least = least_workspace(
      training_step(training.graph, training.optimizer, step).graph, std::move(options));
  if (least == error.least()) throw error;
  throw Error(fmt::format("{}. The step of {} has at least {}", error.diagnostic().message,
                          other == StepOf::train
                              ? "weir train, which gives the output away and orders its state,"
                              : "weir compile --train, whose state lies as it is declared,",
                          least));
}

}  // namespace weir::tool
