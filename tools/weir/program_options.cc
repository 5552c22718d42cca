#include "program_options.h"

#include <algorithm>

#include "compiler/aot/model_programs.h"
#include "compiler/autodiff/training_form.h"
#include "compiler/frontend/model_file.h"
#include "compiler/initialize.h"
#include "compiler/rematerialize/pass_boundary.h"

namespace weir::tool {
namespace {

// What is stripped needs no values, and what is to be trained can get its first ones.
Model read_model(const std::string& path, const std::optional<std::string>& weights,
                 const LoadLimits& limits, const ProgramArguments& arguments,
                 std::vector<std::string>* read) {
  if (arguments.strip_weights) {
    if (read != nullptr) read->push_back(path);
    return {load_graph(path, limits), {}};
  }
  return arguments.training.train ? load_model_to_train(path, weights, limits, read)
                                  : load_model(path, weights, limits, read);
}

std::vector<ModelProgram> all_programs(Model& model, const ProgramArguments& arguments) {
  if (!arguments.training.train) {
    std::vector<ModelProgram> programs{{"forward", model.graph}};
    if (!arguments.gradient.empty())
      programs.push_back({"gradient", with_gradients(model.graph, arguments.gradient)});
    return programs;
  }
  GivenTraining training = given_training(model.graph, arguments.training, DType::i32);
  TrainingPrograms programs =
      training_programs(training.graph, training.optimizer, training.options);
  if (auto counter = programs.initial.find(kRandomCounter); counter != programs.initial.end())
    counter->second = first_random_counter(given_seed(arguments.training.seed));
  model.weights.merge(programs.initial);
  return std::move(programs.programs);
}

}  // namespace

void add_programs(CLI::App& command, ProgramArguments& arguments) {
  add_gradient(command, arguments.gradient);
  add_contract(command, arguments.contract);
  add_outputs_leave(command, arguments.outputs_leave);
  add_memory_budget(command, arguments.memory_budget);
  add_list(command, "--programs", arguments.programs, "NAMES",
           "Those to compile of forward, gradient, step and evaluate; all that there are if left "
           "out.",
           true);
  add_training_step(command, arguments.training,
                    "Compiles training: the programs forward, step and evaluate on one block of "
                    "state.");
  command.add_flag(
      "--strip-weights", arguments.strip_weights,
      "No weights: every run is handed a pointer to them. The params need no values; those that "
      "are trained are drawn by the function NAME_init_state, where the model runs.");
}

GivenPrograms given_programs(const std::string& model, const std::optional<std::string>& weights,
                             const LoadLimits& limits, const ProgramArguments& arguments,
                             CompileModelOptions& options, std::vector<std::string>* read) {
  Model whole = read_model(model, weights, limits, arguments, read);
  std::vector<ModelProgram> programs =
      chosen_programs(all_programs(whole, arguments), arguments.programs);
  const Initializer otherwise{arguments.training.train ? "he" : "zeros"};
  options.compile.contract = arguments.contract;
  options.compile.outputs_leave = arguments.outputs_leave;
  options.compile.memory_budget = given_memory_budget(arguments.memory_budget);
  if (std::none_of(programs.begin(), programs.end(),
                   [](const ModelProgram& program) { return has_backward_pass(program.graph); }))
    check_memory_budget(arguments.memory_budget, programs.front().graph);
  options.strip_weights = arguments.strip_weights;
  options.seed = given_seed(arguments.training.seed);
  if (arguments.strip_weights)
    options.drawn = drawn_params(whole.graph, whole.weights, otherwise);
  else if (arguments.training.train)
    initialize(whole, otherwise, options.seed);
  return {std::move(programs), std::move(whole.weights)};
}

}  // namespace weir::tool
