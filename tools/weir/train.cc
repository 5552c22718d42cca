// weir train: fits the params of a model to a data set, by one compiled program.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <exception>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <system_error>

#include <fmt/format.h>

#include "common.h"
#include "compiler/autodiff/training_form.h"
#include "compiler/frontend/file.h"
#include "compiler/frontend/model_file.h"
#include "compiler/frontend/save_model.h"
#include "compiler/frontend/tensor_file.h"
#include "compiler/training/checkpoint.h"
#include "compiler/training/fit.h"
#include "compiler/training/loss_plot.h"
#include "compiler/training/metrics.h"
#include "interruption.h"
#include "ir/escape.h"
#include "ir/text.h"
#include "runtime/thread_pool.h"
#include "step_budget.h"
#include "training_data.h"
#include "training_options.h"
#include "training_progress.h"
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

// Where epochs are short.
constexpr std::chrono::seconds kBetweenCheckpoints{1};
constexpr std::int64_t kMostCount = std::int64_t{1} << 31;

struct TrainArguments {
  std::string model, output, weights;
  DataArguments data;
  TrainingArguments training;
  std::string rate, schedule, epochs, batch, seed, threads, log, plot;
  std::string checkpoint, checkpoint_every, memory_budget;
  bool resume = false, contract = false;
  CacheArguments cache;
  LimitOptions limits;
};

std::int64_t count_of(const std::string& text, const char* option, std::int64_t otherwise) {
  return text.empty() ? otherwise : integer_of(text, option, 1, kMostCount);
}

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

// Whether a checkpoint is gone on from: what the training starts from then.
bool goes_on(const TrainArguments& arguments) {
  std::error_code ignored;
  return arguments.resume && !arguments.checkpoint.empty() &&
         std::filesystem::exists(checkpoint_in(arguments.checkpoint), ignored);
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

// All symbols of what is trained count rows: data and targets are rows of the inputs.
Dim::Bindings sizes_of_batch(const Graph& graph, std::int64_t rows) {
  Dim::Bindings sizes;
  for (const std::string& symbol : graph.symbols()) sizes.emplace(symbol, rows);
  return sizes;
}

// --log: a line of JSON for every epoch, there as soon as the epoch is done.
class MetricsLog {
 public:
  // Begins with the epochs that were done before.
  MetricsLog(std::string path, const std::vector<EpochReport>& reports) : path_(std::move(path)) {
    if (path_.empty()) return;
    write_file(path_, {lines(reports)});
    file_.open(path_, std::ios::app);
  }

  void show(const std::vector<EpochReport>& reports) {
    if (path_.empty() || written_ == reports.size()) return;
    file_ << lines(reports) << std::flush;
    if (!file_)
      throw Error(fmt::format("{} cannot be written: {}", printable(path_),
                              std::generic_category().message(errno)));
  }

 private:
  std::string lines(const std::vector<EpochReport>& reports) {
    std::string text;
    for (; written_ < reports.size(); ++written_) text += json_line(reports[written_]);
    return text;
  }

  std::string path_;
  std::ofstream file_;
  std::size_t written_ = 0;
};

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

// --checkpoint: what is on disk of a training, and where it goes on.
class Checkpoints {
 public:
  Checkpoints(const TrainArguments& arguments, Trainer& trainer, Fit& fit)
      : trainer_(trainer), fit_(fit), resumes_(arguments.resume) {
    if (arguments.checkpoint.empty()) {
      if (arguments.resume) throw Error("--resume needs --checkpoint DIR");
      if (!arguments.checkpoint_every.empty())
        throw Error("--checkpoint-every needs --checkpoint DIR");
      return;
    }
    every_ = count_of(arguments.checkpoint_every, "--checkpoint-every", 0);
    folder_.emplace(arguments.checkpoint);
    if (folder_->holds_one() && !arguments.resume)
      throw Error(
          fmt::format("{} holds a checkpoint: --resume goes on from there; to start anew, "
                      "give another folder, or remove the file",
                      printable(arguments.checkpoint)));
  }

  void start(Checkpoint::Settings settings, std::int64_t epochs) {
    settings_ = std::move(settings);
    if (!resumes_) return;
    if (!folder_->holds_one())
      return warn(fmt::format("{} holds no checkpoint; this is a new start", folder_->file()));
    Checkpoint checkpoint = folder_->read();
    check_settings(checkpoint.settings, settings_, folder_->file());
    if (checkpoint.fit.epochs > epochs)
      throw Error(fmt::format("{} is behind epoch {}, and --epochs is {}; it may only grow",
                              printable(folder_->file()), checkpoint.fit.epochs, epochs));
    trainer_.write_state(checkpoint.state);
    fit_.resume(std::move(checkpoint.fit));
    written_ = place();
    print_out(fmt::format("resumed after step {}, in epoch {}\n", fit_.state().steps,
                          fit_.state().epochs + (fit_.done() ? 0 : 1)));
    flush_out();
  }

  bool is_due() const {
    if (!folder_) return false;
    const FitState& state = fit_.state();
    if (every_ > 0) return state.steps % every_ == 0;
    return state.rows == 0 && Clock::now() - latest_ >= kBetweenCheckpoints;
  }

  // If there is something new.
  void write() {
    if (!folder_ || place() == written_) return;
    folder_->write({settings_, trainer_.read_state(), fit_.state()});
    written_ = place();
    latest_ = Clock::now();
  }

  // Of an output that could not be written: where what it should have held is.
  std::string line_without_output() const {
    if (!folder_ || place() != written_)
      return "what is trained is lost; with --checkpoint DIR it would be kept there";
    return fmt::format(
        "what is trained is kept in {}; the same command with --resume writes it, also to another "
        "--output",
        folder_->file());
  }

 private:
  using Clock = std::chrono::steady_clock;
  // Steps and epochs: the last step of an epoch may be done while that has still to be closed.
  using Place = std::pair<std::int64_t, std::int64_t>;

  Place place() const { return {fit_.state().steps, fit_.state().epochs}; }

  Trainer& trainer_;
  Fit& fit_;
  std::optional<CheckpointFolder> folder_;
  Checkpoint::Settings settings_;
  std::int64_t every_ = 0;  // steps; 0: at the end of an epoch
  std::optional<Place> written_;
  Clock::time_point latest_ = Clock::now();
  bool resumes_ = false;
};

// Once, behind the first step whose loss is no number.
class LossWarning {
 public:
  void show(const FitState& state, TrainingProgress& progress) {
    double loss =
        state.rows > 0 || state.reports.empty() ? state.loss : state.reports.back().training.loss;
    if (is_told_ || std::isfinite(loss)) return;
    is_told_ = true;
    progress.clear();
    warn(
        fmt::format("the loss of step {} is {}; with --check-finite the training ends at the "
                    "first step that gives such a number, and says at which node",
                    state.steps, text_of_loss(loss)));
  }

 private:
  bool is_told_ = false;
};

// What goes wrong beside the training: it ends, and what is trained is written before it is told.
class Fault {
 public:
  explicit operator bool() const { return first_ != nullptr; }
  template <class Action>
  void attempt(Action&& action) {
    try {
      action();
    } catch (...) {
      if (!first_) first_ = std::current_exception();
    }
  }
  void tell() const {
    if (first_) std::rethrow_exception(first_);
  }

 private:
  std::exception_ptr first_;
};

// Steps until all is done, until a step fails, until checkpoint, log or standard output cannot be written, or until a
// signal asks for the end, which is returned; else 0.
int run(Fit& fit, Checkpoints& checkpoints, TrainingProgress& progress, MetricsLog& log,
        Fault& fault) try {
  finish_when_interrupted();
  LossWarning loss_warning;
  int signal = 0;
  while (!fault && !fit.done() && (signal = waiting_interruption()) == 0) {
    // After a fault all is as before the step, or its epoch has still to be closed.
    fault.attempt([&] { fit.step(); });
    if (fault) break;
    fault.attempt([&] {
      if (checkpoints.is_due()) checkpoints.write();
      progress.show(fit);
      log.show(fit.state().reports);
      loss_warning.show(fit.state(), progress);
    });
  }
  fault.attempt([&] { progress.clear(); });
  fault.attempt([&] { checkpoints.write(); });
  return signal;
} catch (...) {
  progress.clear();
  throw;
}

void save(const TrainArguments& arguments, const Model& start, const Fit& fit) {
  Model model{start.graph, {}};
  Model best = fit.best_model();
  for (ValueId param : start.graph.params()) {
    const std::string& name = start.graph.value(param).name;
    model.weights.emplace(name, best.weights.at(name));
  }
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

void train_model(const TrainArguments& arguments) {
  std::uint64_t seed = given_seed(arguments.seed);
  std::vector<std::string> read = files_of(arguments.data), written;
  TrainingStart start =
      read_start(arguments.model, arguments.weights, given_limits(arguments.limits), seed);
  const Model& model = start.model;
  // With a checkpoint the file beside the model may be what this command wrote before.
  for (const std::string& file : start.files)
    if (file != start.beside || !goes_on(arguments)) read.push_back(file);
  written = files_of_output(arguments.output);
  written.insert(written.end(), {arguments.log, arguments.plot});
  std::vector<std::string> apart = written;
  if (!arguments.checkpoint.empty()) apart.push_back(checkpoint_in(arguments.checkpoint));
  if (!goes_on(arguments)) check_beside(start, arguments.model, apart);
  check_apart(read, apart);
  check_plot(arguments.plot);
  for (const std::string& path : written)
    if (!path.empty()) check_writable(path);

  RawData raw = read_data(arguments.data, given_limits(arguments.limits).memory);
  GivenTraining training =
      given_training(model.graph, arguments.training, type_of_labels(raw, model.graph));
  TrainingData data = rows_for(training, raw, seed);
  FitOptions options = fit_options(arguments, seed, data.training.rows(), training.optimizer);
  ThreadPool pool(given_threads(arguments.threads));
  options.executor = &pool.executor();
  options.sums_rows = sums_rows(training.graph, training.options.loss);
  CompileOptions compile_options;
  compile_options.cache = given_cache(arguments.cache);
  compile_options.executor = options.executor;
  compile_options.contract = arguments.contract;
  compile_options.memory_budget =
      given_memory_budget(arguments.memory_budget, sizes_of_batch(training.graph, options.batch));
  training.options.outputs = {training.graph.outputs()[0].name};
  Trainer trainer = make_trainer(training, model.weights, compile_options);
  Fit fit(trainer, data.training, data.validation ? &*data.validation : nullptr, options);

  for (const StateVariable& variable : trainer.state())
    if (variable.name == kRandomCounter) trainer.write(kRandomCounter, first_random_counter(seed));
  Checkpoints checkpoints(arguments, trainer, fit);
  if (!arguments.checkpoint.empty())
    checkpoints.start(settings_of(arguments, training, data, options), options.epochs);

  if (fit.state().steps == 0) print_out(start.line);
  if (arguments.batch.empty() && options.batch < FitOptions().batch)
    print_out(
        fmt::format("a batch has {} rows, for there are no more to train on\n", options.batch));
  print_out(unreached_line(trainer.unreached()));
  // Before the first step: who waits for the first epoch sees it, and what cannot be written costs
  // nothing that is trained.
  flush_out();
  TrainingProgress progress(data.training.rows(), options.epochs, fit.state());
  MetricsLog log(arguments.log, fit.state().reports);
  Fault fault;
  int signal = run(fit, checkpoints, progress, log, fault);
  if (fault && fit.state().steps == 0) {
    warn(
        fmt::format("ended before the first step; {} is not written", printable(arguments.output)));
    fault.tell();
  }
  try {
    save(arguments, model, fit);
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
    warn(fmt::format("interrupted after step {}{}", fit.state().steps,
                     arguments.checkpoint.empty() ? "" : "; --resume goes on from there"));
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
  add_value(*command, "--checkpoint", options->checkpoint, "DIR",
            "Keeps where the training is in a folder, whole at every moment: what is killed there "
            "goes on from it.");
  add_value(*command, "--checkpoint-every", options->checkpoint_every, "STEPS",
            "How often; if left out, at the end of an epoch, but not more than once a second.");
  command->add_flag("--resume", options->resume,
                    "Goes on from the checkpoint in the folder, with the bits that it would have "
                    "had. What they depend on must be the same; --threads, --memory-budget and "
                    "what is written may be other than before, and --epochs may grow where "
                    "--schedule does not depend on it.");
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
