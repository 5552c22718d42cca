// weir train: fits the params of a model to a data set, by one compiled program.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "common.h"
#include "compiler/autodiff/training_form.h"
#include "compiler/frontend/file.h"
#include "compiler/frontend/model_file.h"
#include "compiler/frontend/save_model.h"
#include "compiler/frontend/tensor_file.h"
#include "compiler/run_memory.h"
#include "compiler/training/checkpoint.h"
#include "compiler/training/first_not_finite.h"
#include "compiler/training/fit.h"
#include "compiler/training/loss_plot.h"
#include "interruption.h"
#include "ir/escape.h"
#include "ir/text.h"
#include "runtime/thread_pool.h"
#include "step_budget.h"
#include "training_checkpoints.h"
#include "training_data.h"
#include "training_options.h"
#include "training_progress.h"
#include "training_run.h"
#include "training_start.h"

namespace weir::tool {
namespace {

constexpr const char* kTrainExamples =
    R"(A model without a file of values beside it starts from new ones: those of He et
al. for LeakyReLU, and zeros for what is no matrix. --schedule is constant,
cosine or step:every=30,factor=0.1, with warmup=E for E epochs of rising rates;
docs/training.md says more about losses, optimizers and their options.

On a terminal a bar shows how far it is. Ctrl-C finishes the step and writes
output and checkpoint; the exit code is then 130. The same seed gives the same
bits, at any number of threads.

examples:
  weir train net.weir --data x.npy --targets t.npy --loss cross_entropy \
    --optimizer adamw:weight_decay=0.05 --epochs 20 -o trained.safetensors
  weir train net.weir --data flowers.csv --target kind --loss cross_entropy \
    --validation 0.2 --plot loss.svg -o trained.safetensors
  weir train net.weir --data d.npz:x --targets d.npz:t --loss mse \
    --validation 0.2 --schedule cosine:warmup=1 --log metrics.jsonl \
    -o trained.weir)";

struct TrainArguments {
  std::string model, output, weights;
  DataArguments data;
  TrainingArguments training;
  std::string rate, schedule, epochs, batch, seed, threads, log, plot;
  std::string memory_budget;
  bool contract = false;
  CheckpointArguments checkpoint;
  CacheArguments cache;
  LimitOptions limits;
};

bool is_params_file(const std::string& output) {
  std::optional<TensorPlace> place = parse_tensor_place(output);
  return place && place->format->is_named() && place->name.empty();
}

std::vector<std::string> files_of_output(const std::string& output) {
  if (is_params_file(output)) return {output};
  if (!output.ends_with(".weir") && !output.ends_with(".onnx"))
    throw Error(
        fmt::format("{} is no name for what is trained; the params go to a file that ends "
                    "in .safetensors or .npz, the model with them to .weir or .onnx",
                    shown(output)));
  return files_of_model(output);
}

void check_plot(const std::string& path) {
  std::string ending = std::filesystem::path(path).extension().string();
  if (ending.empty() || ending == ".svg") return;
  throw Error(fmt::format("--plot writes SVG, and {} ends in {}; give it a name that ends in .svg",
                          printable(path), printable(ending)));
}

Trainer make_trainer(const GivenTraining& training, const Weights& weights,
                     const CompileOptions& options) try {
  return Trainer({training.graph, weights}, training.optimizer, training.options, options);
} catch (const BudgetError& error) {
  refuse_budget(error, StepOf::train, training, options);
}

FitOptions fit_options(const TrainArguments& arguments, std::uint64_t seed, std::int64_t rows,
                       const Optimizer& optimizer) {
  FitOptions options;
  options.epochs = count_of(arguments.epochs, "--epochs", options.epochs);
  options.batch =
      count_of(arguments.batch, "--batch", std::clamp<std::int64_t>(rows, 1, options.batch));
  options.seed = seed;
  double rate = arguments.rate.empty() ? checked(optimizer).learning_rate
                                       : number_of(arguments.rate, "--learning-rate", 0);
  std::int64_t steps = (rows + options.batch - 1) / options.batch;
  options.rate = parse_rate_schedule(arguments.schedule.empty() ? "constant" : arguments.schedule,
                                     rate, steps, options.epochs);
  return options;
}

// Of all symbols of what is trained, for its memory. What the data do not tell counts as rows: the
// first step says then what is missing.
Dim::Bindings sizes_of_step(const Graph& graph, const DataSet& set, std::int64_t rows) {
  Dim::Bindings sizes = sizes_of_batch(graph, set, std::min(rows, set.rows()));
  for (const std::string& symbol : graph.symbols()) sizes.emplace(symbol, rows);
  return sizes;
}

// What a training that goes on must have in common with the one that it was. The number of epochs
// may be another one, unless the rate depends on it.
Checkpoint::Settings settings_of(const TrainArguments& arguments, const GivenTraining& training,
                                 const TrainingData& data, const FitOptions& options) {
  const RateSchedule& rate = options.rate;
  std::string schedule = arguments.schedule.empty() ? "constant" : arguments.schedule;
  if (rate.shape == RateSchedule::Shape::cosine)
    schedule += fmt::format(" over {} steps", rate.steps);
  const Optimizer& optimizer = training.optimizer;
  std::string update = optimizer.name;
  for (const Hyperparameter& known : checked(optimizer).hyperparameters) {
    auto given = optimizer.values.find(known.name);
    update += fmt::format(" {}={}", known.name,
                          given == optimizer.values.end() ? known.default_value : given->second);
  }
  update += fmt::format(" clip_value={} clip_norm={}", optimizer.clip_value, optimizer.clip_norm);
  const std::optional<double> part = as_number(arguments.data.validation);
  const std::string validation = !data.validation ? "left out"
                                 : part           ? fmt::format("{}", *part)
                                                  : "a file";
  Checkpoint::Settings settings{
      {"--batch", fmt::format("{}", options.batch)},
      {"--seed", fmt::format("{}", options.seed)},
      {"--learning-rate", fmt::format("{}", rate.base)},
      {"--schedule", schedule},
      {"--optimizer", update},
      {"--loss",
       training.target.empty() ? training.options.loss : parse_loss(arguments.training.loss).op},
      {"--check-finite", training.options.check_finite ? "given" : "left out"},
      {"the data", fingerprint(data.training)},
      {"--validation", validation},
      {"the model and its loss", fingerprint(print(training.graph))}};
  if (data.validation) settings.emplace("the rows of --validation", fingerprint(*data.validation));
  if (arguments.contract) settings.emplace("--contract", "given");
  if (!arguments.weights.empty()) settings.emplace("--weights", arguments.weights);
  return settings;
}

// The model with what was trained; Error if that is no numbers any more, so that it takes the place
// of no file that has some.
Model trained_model(const TrainArguments& arguments, const Model& start, const Fit& fit) {
  Model model{start.graph, {}};
  const Model best = fit.best_model();
  for (ValueId param : start.graph.params()) {
    const std::string& name = start.graph.value(param).name;
    const Tensor& value = best.weights.at(name);
    if (not_finite_element(value) != 0 && not_finite_element(start.weights.at(name)) == 0)
      throw Error(
          fmt::format("after step {} %{} has values that are NaN or infinite, so {} is not "
                      "written; --check-finite ends at the first step that gives such a number",
                      fit.state().steps, printable(name), printable(arguments.output)));
    model.weights.emplace(name, value);
  }
  return model;
}

void save(const TrainArguments& arguments, const Model& model) {
  if (is_params_file(arguments.output)) {
    write_tensors(arguments.output, model.weights);
  } else {
    save_model(arguments.output, model);
  }
}

std::string closing_line(const Fit& fit, const std::string& output) {
  const FitState& state = fit.state();
  if (state.best_epoch == 0) {
    bool validated = !state.reports.empty() && state.reports.back().validation.has_value();
    return fmt::format("{}written to {}\n",
                       validated ? "no epoch did best: every validation is NaN; " : "",
                       printable(output));
  }
  const EpochReport& best = state.reports[static_cast<std::size_t>(state.best_epoch - 1)];
  return fmt::format("epoch {} did best: validation {}; written to {}\n", state.best_epoch,
                     text_of(*best.validation), printable(output));
}

// Of a signal that asks for the end.
std::string interrupted_line(const TrainArguments& arguments, std::int64_t steps) {
  const char* goes_on = "; --resume goes on from there";
  if (steps > 0)
    return fmt::format("interrupted after step {}{}", steps,
                       arguments.checkpoint.folder.empty() ? "" : goes_on);
  return fmt::format("interrupted before the first step; {} is not written",
                     printable(arguments.output));
}

void train_model(const TrainArguments& arguments) {
  tell_when_interrupted(interrupted_line(arguments, 0));
  std::uint64_t seed = given_seed(arguments.seed);
  std::vector<std::string> read = files_of(arguments.data), written;
  TrainingStart start =
      read_start(arguments.model, arguments.weights, given_limits(arguments.limits), seed);
  const Model& model = start.model;
  // With a checkpoint the file beside the model may be what this command wrote before.
  for (const std::string& file : start.files)
    if (file != start.beside || !goes_on(arguments.checkpoint)) read.push_back(file);
  written = files_of_output(arguments.output);
  written.insert(written.end(), {arguments.log, arguments.plot});
  std::vector<std::string> apart = written;
  if (!arguments.checkpoint.folder.empty())
    apart.push_back(checkpoint_in(arguments.checkpoint.folder));
  if (!goes_on(arguments.checkpoint)) check_beside(start, arguments.model, apart);
  check_apart(read, apart);
  check_plot(arguments.plot);
  for (const std::string& path : written)
    if (!path.empty()) check_writable(path);

  RawData raw = read_data(arguments.data, given_limits(arguments.limits).memory);
  GivenTraining training =
      given_training(model.graph, arguments.training, type_of_labels(raw, model.graph));
  TrainingData data = rows_for(training, raw, seed);
  FitOptions options = fit_options(arguments, seed, data.training.rows(), training.optimizer);
  check_batches(training.graph, data.training, options.batch);
  const Dim::Bindings sizes = sizes_of_step(training.graph, data.training, options.batch);
  ThreadPool pool(given_threads(arguments.threads));
  options.executor = &pool.executor();
  options.sums_rows = sums_rows(training.graph, training.options.loss);
  CompileOptions compile_options;
  compile_options.cache = given_cache(arguments.cache);
  compile_options.executor = options.executor;
  compile_options.contract = arguments.contract;
  compile_options.memory_budget = given_memory_budget(arguments.memory_budget, sizes);
  training.options.outputs = {training.graph.outputs()[0].name};
  Trainer trainer = make_trainer(training, model.weights, compile_options);
  memory_of_run({trainer.step_graph(), trainer.read_state()}, trainer.step_executable(), sizes)
      .check(given_limits(arguments.limits).memory);
  Fit fit(trainer, data.training, data.validation ? &*data.validation : nullptr, options);

  for (const StateVariable& variable : trainer.state())
    if (variable.name == kRandomCounter) trainer.write(kRandomCounter, first_random_counter(seed));
  Checkpoints checkpoints(arguments.checkpoint, trainer, fit);
  if (!arguments.checkpoint.folder.empty())
    checkpoints.start(settings_of(arguments, training, data, options), options.epochs);

  if (fit.state().steps == 0) print_out(start.line);
  if (arguments.batch.empty() && options.batch < FitOptions().batch)
    print_out(fmt::format("a batch has {} row{}, for there are no more to train on\n",
                          options.batch, options.batch == 1 ? "" : "s"));
  print_out(unreached_line(trainer.unreached()));
  // Before the first step: who waits for the first epoch sees it, and what cannot be written costs
  // nothing that is trained.
  flush_out();
  TrainingProgress progress(data.training.rows(), options.epochs, fit.state());
  MetricsLog log(arguments.log, fit.state().reports);
  Fault fault;
  int signal = run_training(fit, checkpoints, progress, log, fault);
  if (fault && fit.state().steps == 0) {
    warn(
        fmt::format("ended before the first step; {} is not written", printable(arguments.output)));
    fault.tell();
  }
  if (signal != 0 && fit.state().steps == 0) {
    warn(interrupted_line(arguments, 0));
    throw Interrupted(signal);
  }
  const Model trained = trained_model(arguments, model, fit);
  try {
    save(arguments, trained);
  } catch (const Error&) {
    warn(checkpoints.line_without_output());
    throw;
  }
  fault.attempt([&] {
    if (!arguments.plot.empty()) write_file(arguments.plot, {loss_plot(fit.state().reports)});
  });
  if (fault)
    warn(fmt::format("ended after step {}; what is trained is written to {}", fit.state().steps,
                     arguments.output));
  fault.tell();
  print_out(closing_line(fit, arguments.output));
  flush_out();
  if (signal != 0) {
    warn(interrupted_line(arguments, fit.state().steps));
    throw Interrupted(signal);
  }
}

}  // namespace

void add_train_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<TrainArguments>();
  CLI::App* command = add_command(
      app, "train", "Fits the params of a model to a data set, by one compiled program.",
      kTrainExamples);
  add_model(*command, options->model);
  add_value(*command, "-o,--output", options->output, "FILE",
            "What to write: the params, .safetensors or .npz, or the model with them, .weir or "
            ".onnx.")
      ->required();
  add_data(*command, options->data);
  add_training(*command, options->training);
  add_value(*command, "--learning-rate", options->rate, "R",
            "The optimizer's usual one if left out: 0.01 or 0.001.");
  add_value(*command, "--schedule", options->schedule, "NAME",
            "How the rate changes; constant if left out.");
  add_value(*command, "--epochs", options->epochs, "N",
            "How often the data are gone through; 10 if left out.");
  add_value(*command, "--batch", options->batch, "B",
            "Rows of a step; if left out 32, or all, if there are fewer.");
  add_value(*command, "--seed", options->seed, "S",
            "Fixes the order of the rows, the rows of --validation, new values and what dropout "
            "leaves out; 0 if left out.");
  add_value(*command, "--weights", options->weights, "FILE",
            "The params' values to start from, .safetensors or .npz; if left out, those in the "
            "model or in the .safetensors file beside it, or new ones.");
  add_checkpoints(*command, options->checkpoint);
  add_value(*command, "--log", options->log, "FILE", "Writes a line of JSON for every epoch.");
  add_value(*command, "--plot", options->plot, "FILE", "Draws the losses by epoch, as SVG.");
  add_value(*command, "--threads", options->threads, "K",
            "Threads to run on; as many as there are processors if left out. The results do not "
            "depend on it.");
  add_contract(*command, options->contract);
  add_memory_budget(*command, options->memory_budget, SymbolSizes::known);
  add_cache(*command, options->cache);
  add_limits(*command, options->limits);
  command->callback([options, &action] { action = [options] { train_model(*options); }; });
}

}  // namespace weir::tool
