// weir opt: graph passes by name, and the graph that they leave.
#include <algorithm>

#include <fmt/format.h>

#include "common.h"
#include "compiler/frontend/model_file.h"
#include "compiler/passes/pass_manager.h"
#include "ir/text.h"

namespace weir::tool {
namespace {

struct OptOptions {
  std::string model;
  std::vector<std::string> passes;
  LimitOptions limits;
  bool list = false;
  bool print_after_all = false;
  bool time_passes = false;
};

// One line a pass.
std::string pass_list() {
  std::size_t width = 0;
  for (const Pass& pass : all_passes()) width = std::max(width, pass.name.size());
  std::string text;
  for (const Pass& pass : all_passes())
    text += fmt::format("  {:<{}}  {}\n", pass.name, width, pass.summary);
  return text;
}

std::string examples() {
  return fmt::format(R"(passes:
{}
examples:
  weir opt model.weir                             the passes of a compilation
  weir opt model.weir --passes=fold,dce           these, in this order
  weir opt model.weir --print-after-all           the graph after each pass)",
                     pass_list());
}

void optimize_model(const OptOptions& options) {
  if (options.list) {
    print_out(pass_list());
    return;
  }
  if (options.model.empty()) throw Error("MODEL is missing (see weir opt --help)");
  StageTimes times;
  PassOptions pass_options;
  if (options.print_after_all)
    pass_options.after_each = [](const Pass& pass, const Graph& graph) {
      print_out(fmt::format("// after {}\n{}", pass.name, print(graph)));
    };
  pass_options.time = [&times](const Pass& pass, std::chrono::nanoseconds duration) {
    times.add(pass.name, std::chrono::duration<double, std::milli>(duration).count());
  };
  std::vector<std::string> names = options.passes;
  if (names.empty()) names.assign(default_passes().begin(), default_passes().end());
  Graph graph =
      run_passes(load_graph(options.model, given_limits(options.limits)), names, pass_options);
  if (!options.print_after_all) print_out(print(graph));
  flush_out();
  if (options.time_passes) times.show();
}

}  // namespace

void add_opt_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<OptOptions>();
  CLI::App* command =
      add_command(app, "opt", "Applies graph passes to a model and prints the graph.", "");
  command->footer(std::function<std::string()>(examples));
  add_value(*command, "MODEL", options->model, "", "A .weir or .onnx file.");
  add_list(*command, "--passes", options->passes, "PASSES",
           "The passes to apply, with commas between them; if left out, those below in that order, "
           "but for what runs only if asked for.",
           true);
  command->add_flag("--print-after-all", options->print_after_all,
                    "Prints the graph after each pass.");
  command->add_flag("--time-passes", options->time_passes,
                    "Shows on standard error how long each pass took.");
  add_limits(*command, options->limits);
  CLI::Option* list = command->add_flag("--list", options->list, "Lists the passes.");
  for (CLI::Option* other : command->get_options())
    if (other != list && other != command->get_help_ptr()) list->excludes(other);
  command->callback([options, &action] { action = [options] { optimize_model(*options); }; });
}

}  // namespace weir::tool
