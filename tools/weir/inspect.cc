// weir inspect: one stage of a model's way through the compiler, as text.
#include <filesystem>

#include <fmt/format.h>

#include "common.h"
#include "compiler/drawing/svg.h"
#include "compiler/frontend/file.h"
#include "compiler/frontend/model_file.h"
#include "compiler/frontend/save_model.h"
#include "compiler/pipeline.h"
#include "ir/text.h"
#include "step_budget.h"
#include "training_options.h"

namespace weir::tool {
namespace {

constexpr const char* kInspectExamples = R"(stages:
  graph       the ops as declared, and their gradient if it is asked for
  optimized   the graph after the graph passes
  kept        what lies in memory for the backward pass, and its bytes
  kernels     the loops: fusion has happened
  llvm        LLVM IR, with the model's lines as comments
  asm         assembly of the target
graph and optimized are the same for every target.

examples:
  weir inspect model.weir --stage=kernels
  weir inspect model.weir --stage=kernels --no-fusion
  weir inspect model.weir --stage=optimized --gradient x --locations
  weir inspect model.weir --stage=kept --gradient w --memory-budget 65536:N=32
  weir inspect model.weir --stage=kept --train --loss cross_entropy
  weir inspect model.weir --stage=llvm --cpu x86-64-v3
  weir inspect model.weir --stage=asm --target aarch64-linux-gnu
  weir inspect model.weir --stage=kernels --gradient x --svg model.svg)";

struct InspectOptions {
  std::string model, stage, dot, svg, memory_budget;
  std::vector<std::string> gradient;
  TrainingStepArguments training;
  LimitOptions limits;
  TargetSpec target;
  bool no_fusion = false, contract = false, outputs_leave = false, locations = false;
  TimeOptions times;
};

// Replaces the file, or prints the text where the file is "-".
void write_to(const std::string& file, const std::string& text) {
  if (file == "-") {
    print_out(text);
  } else {
    write_file(file, {text});
  }
}

// Error if a picture would replace the model, what belongs to it, or the other picture.
void check_pictures(const InspectOptions& options) {
  if (options.dot == "-" && options.svg == "-")
    throw Error("--dot and --svg cannot both go to standard output");
  std::vector<std::string> written;
  for (const std::string& file : {options.dot, options.svg})
    if (!file.empty() && file != "-") written.push_back(file);
  const std::string ending = std::filesystem::path(options.model).extension().string();
  const bool has_others = ending == ".weir" || ending == ".onnx";
  check_apart(has_others ? files_of_model(options.model) : std::vector{options.model}, written);
}

// Prints or draws the stage of the graph.
void show_stage(const InspectOptions& options, InspectStage stage, const Graph& graph,
                const CompileOptions& compile_options, StageTimes& times) {
  const bool is_declared = stage == InspectStage::graph;
  if (options.dot.empty() && options.svg.empty()) {
    print_out(options.locations ? print(is_declared ? graph : optimize(graph, compile_options),
                                        {.types = true, .locations = true})
                                : inspect(graph, stage, compile_options));
    flush_out();
    if (options.times.any()) times.show();
    return;
  }
  std::string picture = draw(graph, stage, compile_options);
  if (!options.dot.empty()) write_to(options.dot, picture);
  if (!options.svg.empty())
    write_to(options.svg, times.measure("layout", [&] { return svg(picture); }));
  flush_out();
  if (options.times.any()) times.show();
}

void inspect_model(const InspectOptions& options) {
  std::optional<InspectStage> stage = parse_stage(options.stage);
  if (!stage)
    throw Error(fmt::format(
        "there is no stage {}; the stages are graph, optimized, kept, kernels, llvm and "
        "asm",
        shown(options.stage)));
  const bool is_declared = *stage == InspectStage::graph;
  if (is_declared && (options.no_fusion || options.contract || options.outputs_leave ||
                      !options.memory_budget.empty()))
    throw Error(fmt::format("the stage graph is the model as declared; {} is for the others",
                            options.no_fusion       ? "--no-fusion"
                            : options.contract      ? "--contract"
                            : options.outputs_leave ? "--outputs-leave"
                                                    : "--memory-budget"));
  if (options.locations && !is_declared && *stage != InspectStage::optimized)
    throw Error(
        fmt::format("--locations is for graph and optimized, and the stage is {}", options.stage));
  if (options.locations && (!options.dot.empty() || !options.svg.empty()))
    throw Error("--locations is for text, and a picture has none");
  check_pictures(options);
  StageTimes times;
  times.add("start of the process", milliseconds_before_main());
  GivenTraining training;
  Graph graph = times.measure("model", [&] {
    Graph declared = load_graph(options.model, given_limits(options.limits));
    if (!options.training.train) return with_gradients(declared, options.gradient);
    training = given_training(declared, options.training, DType::i32);
    return training_step(training.graph, training.optimizer, training.options).graph;
  });
  CompileOptions compile_options;
  compile_options.target = options.target;
  compile_options.contract = options.contract;
  compile_options.outputs_leave = options.outputs_leave;
  compile_options.fuse = !options.no_fusion;
  compile_options.memory_budget = given_memory_budget(options.memory_budget);
  check_memory_budget(options.memory_budget, graph);
  collect_times(compile_options, options.times, times);
  try {
    show_stage(options, *stage, graph, compile_options, times);
  } catch (const BudgetError& error) {
    if (!options.training.train) throw;
    compile_options.timing = nullptr;
    refuse_budget(error, StepOf::compile, training, std::move(compile_options));
  }
}

}  // namespace

void add_inspect_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App* command = add_command(
      app, "inspect", "Shows a model at one stage of the compiler, from graph to assembly.",
      kInspectExamples);
  add_model(*command, options->model);
  add_value(*command, "--stage", options->stage, "STAGE",
            "graph, optimized, kept, kernels, llvm or asm.")
      ->required();
  add_gradient(*command, options->gradient);
  add_training_step(*command, options->training,
                    "Shows a step of training: forward, backward and update of one batch, as weir "
                    "compile --train compiles it. Labels are of i32.",
                    /*draws=*/false);
  add_contract(*command, options->contract);
  add_outputs_leave(*command, options->outputs_leave);
  add_memory_budget(*command, options->memory_budget);
  add_target(*command, options->target);
  add_limits(*command, options->limits);
  command->add_flag("--no-fusion", options->no_fusion, "A kernel for every node.");
  command->add_flag(
      "--locations", options->locations,
      "Adds to each node of graph and optimized, as a comment, the types of its results "
      "and where it comes from, such as gradient of FILE:LINE:COLUMN.");
  add_value(*command, "--dot", options->dot, "FILE",
            "Writes a picture as text for Graphviz: of graph, optimized or kernels; - is standard "
            "output.");
  add_value(*command, "--svg", options->svg, "FILE",
            "Likewise as SVG, laid out by Graphviz's library.");
  add_times(*command, options->times);
  command->callback([options, &action] { action = [options] { inspect_model(*options); }; });
}

}  // namespace weir::tool
