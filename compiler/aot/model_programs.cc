#include "compiler/aot/model_programs.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/frontend/file.h"
#include "compiler/passes/only_outputs.h"

namespace weir {

TrainingPrograms training_programs(const Graph& graph, const Optimizer& optimizer,
                                   const TrainingOptions& options) {
  TrainingStep step = training_step(graph, optimizer, options);
  TrainingPrograms result{{}, std::move(step.initial)};
  Graph forward =
      only_outputs(graph, [&](const Graph::Output& output) { return output.name != options.loss; });
  if (!forward.outputs().empty())
    result.programs.push_back({"forward", on_state(forward, options)});
  result.programs.push_back({"step", std::move(step.graph)});
  result.programs.push_back({"evaluate", on_state(graph, options)});
  return result;
}

std::vector<ModelProgram> chosen_programs(std::vector<ModelProgram> programs,
                                          std::span<const std::string> names) {
  if (names.empty()) return programs;
  std::vector<ModelProgram> chosen;
  for (const std::string& name : names) {
    auto is_it = [&](const ModelProgram& program) { return program.name == name; };
    auto found = std::find_if(programs.begin(), programs.end(), is_it);
    if (found == programs.end()) {
      std::vector<std::string> known;
      for (const ModelProgram& program : programs) known.push_back(program.name);
      throw Error(fmt::format("there is no program {}; the programs are {}", shown(name),
                              fmt::join(known, ", ")));
    }
    if (std::none_of(chosen.begin(), chosen.end(), is_it)) chosen.push_back(*found);
  }
  return chosen;
}

}  // namespace weir
