// weir run: a model on given inputs, compiled or interpreted, and both compared.
#include <cmath>
#include <limits>
#include <optional>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common.h"
#include "compiler/frontend/file.h"
#include "compiler/frontend/model_file.h"
#include "compiler/initialize.h"
#include "compiler/pipeline.h"
#include "compiler/run_memory.h"
#include "ir/escape.h"
#include "ir/interpreter.h"
#include "run_inputs.h"
#include "run_outputs.h"
#include "runtime/thread_pool.h"
#include "tensor_text.h"

namespace weir::tool {
namespace {

constexpr const char* kValues = R"(values:
  FILE         a file of tensors; FILE:NAME for one of several in it
  [[1.0, 2]]   a literal, also a single number, true or false
  random:SEED  pseudo-random elements: floats from -1 to 1, integers from 0 to 9
  zeros, ones  what they say

files:
)";

constexpr const char* kRunExamples = R"(
A name with = in it stands in quotes, as in a .weir file: --input '"a=b"=ones'.
Of several tensors in a file an input is the one of its own name, if FILE says
no other; outputs with one file go there together.

examples:
  weir run model.weir --input x='[[-1.0, 2.0, -0.5, 3.0]]'
  weir run model.weir --input x=random:1 --dim N=4 --gradient x
  weir run model.weir --input x=x.npy --output y=y.npy --threads 2
  weir run model.weir --input x=data.csv --output y=out.npz
  weir run model.weir --input x=random:1 --dim N=4 --check
  weir run model.weir --input x=random:1 --dim N=4 --contract --check)";

struct RunOptions {
  std::string model;
  std::vector<std::string> inputs, outputs, dims, gradient;
  std::string weights, threads, tolerance, memory_budget;
  LimitOptions limits;
  TargetSpec target;
  CacheArguments cache;
  bool contract = false, reference = false, check = false;
  TimeOptions times;
};

std::string help_text() {
  std::string text = kValues;
  for (const TensorFormat& format : tensor_formats())
    text += fmt::format("  {:<12} {}\n", format.ending, format.summary);
  return text + kRunExamples;
}

// How far an output may be from the mathematical result, relative to the largest element.
double allowed_difference(DType type, std::optional<double> given) {
  if (!is_float(type)) return 0;
  return given.value_or(type == DType::f64    ? 1e-12
                        : type == DType::f16  ? 0.002
                        : type == DType::bf16 ? 0.016
                                              : 1e-5);
}

constexpr std::string_view kFirstValues = "initial";  // in place of a file of weights

Model read_model(const RunOptions& options, const LoadLimits& limits,
                 std::vector<std::string>& read) {
  if (options.weights != kFirstValues)
    return load_model(options.model,
                      options.weights.empty() ? std::nullopt : std::optional(options.weights),
                      limits, &read);
  read = {options.model};
  Model model{load_graph(options.model, limits), {}};
  initialize(model, {"he"}, 0);
  return model;
}

std::vector<Tensor> run_compiled(const Model& model, const Inputs& inputs, const RunOptions& given,
                                 int threads, const LoadLimits& limits, StageTimes& times) {
  CompileOptions options;
  options.target = given.target;
  options.contract = given.contract;
  options.cache = given_cache(given.cache);
  Dim::Bindings sizes = bind_symbols(model.graph, inputs, model.weights);
  options.memory_budget = given_memory_budget(given.memory_budget, sizes);
  check_memory_budget(given.memory_budget, model.graph);
  collect_times(options, given.times, times);
  ThreadPool pool(threads);
  options.executor = &pool.executor();
  Executable executable = compile(model, options);
  memory_of_run(model, executable, sizes).check(limits.memory);
  return times.measure("run", [&] { return executable.run(inputs, &pool.executor()); });
}

std::string number_at(const Tensor& tensor, std::int64_t position) {
  return scalar::to_string(tensor.dtype(), tensor.bits(position));
}

// The model with what a program of it computes as its graph.
Model computed(const Model& model, bool contract) {
  CompileOptions options;
  options.contract = contract;
  return {contracted(model.graph, options), model.weights};
}

std::vector<Tensor> run_interpreted(const Model& model, const Inputs& inputs,
                                    const LoadLimits& limits, StageTimes& times) {
  memory_of_interpreting(model, bind_symbols(model.graph, inputs, model.weights))
      .check(limits.memory);
  return times.measure("interpreter",
                       [&] { return interpret(model.graph, model.weights, inputs); });
}

// What contraction has changed in a result.
void print_contraction(const Tensor& contracted, const Tensor& written) {
  Difference difference = compare(contracted, written);
  if (difference.identical) {
    print_out("  contracted, with the bits of the graph as written\n");
    return;
  }
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < contracted.element_count(); ++i)
    if (!scalar::same_value(contracted.dtype(), contracted.bits(i), written.bits(i))) ++count;
  print_out(fmt::format(
      "  contracted: {} of {} elements are not those of the graph as written; largest difference "
      "{:.3g}, {:.3g} of the largest element\n",
      count, contracted.element_count(), difference.largest, difference.relative()));
}

// Compares the compiled results with both meanings of the interpreter. Error if they differ too
// much.
void check_results(const Model& declared, const Inputs& inputs, std::span<const Tensor> results,
                   const RunOptions& options, std::optional<double> given, StageTimes& times) {
  const Model model = computed(declared, options.contract);
  std::vector<Tensor> exact =
      times.measure("interpreter", [&] { return interpret(model.graph, model.weights, inputs); });
  InterpretOptions as_compiled;
  as_compiled.numerics = {scalar::Numerics::Mode::expanded, resolve_target(options.target).fma};
  std::vector<Tensor> expanded = times.measure("interpreter, expanded", [&] {
    return interpret(model.graph, model.weights, inputs, as_compiled);
  });
  std::vector<Tensor> written;
  if (options.contract)
    written = times.measure("interpreter, as written", [&] {
      return interpret(declared.graph, declared.weights, inputs, as_compiled);
    });
  std::vector<std::string> failed;
  for (std::size_t i = 0; i < results.size(); ++i) {
    std::string name = value_name(model.graph.outputs()[i].name);
    Difference difference = compare(results[i], exact[i]);
    double allowed = allowed_difference(results[i].dtype(), given);
    bool is_near = difference.relative() <= allowed;
    print_out(
        fmt::format("check of {}\n  largest difference {:.3g}, {:.3g} of the largest element; {}\n",
                    name, difference.largest, difference.relative(),
                    is_near ? fmt::format("{:g} is allowed", allowed)
                            : fmt::format("more than {:g}: {} for {} at {}", allowed,
                                          number_at(results[i], difference.position),
                                          number_at(exact[i], difference.position),
                                          index_text(results[i], difference.position))));
    Difference bits = compare(results[i], expanded[i]);
    print_out(bits.identical
                  ? "  bit-equal to the interpreter's expanded mode\n"
                  : fmt::format(
                        "  not bit-equal to the interpreter's expanded mode: {} for {} at {}\n",
                        number_at(results[i], bits.position), number_at(expanded[i], bits.position),
                        index_text(results[i], bits.position)));
    if (options.contract) print_contraction(expanded[i], written[i]);
    if (!is_near || !bits.identical) failed.push_back(name);
  }
  if (!failed.empty()) {
    flush_out();
    throw Error(fmt::format("the check of {} failed", fmt::join(failed, " and ")));
  }
}

void run_model(const RunOptions& options) {
  StageTimes times;
  times.add("start of the process", milliseconds_before_main());
  int threads = given_threads(options.threads);
  std::optional<double> tolerance = given_tolerance(options.tolerance);
  LoadLimits limits = given_limits(options.limits);
  std::vector<std::string> read;
  Model model =
      times.measure("model and weights", [&] { return read_model(options, limits, read); });
  if (!options.gradient.empty())
    model.graph =
        times.measure("gradient", [&] { return with_gradients(model.graph, options.gradient); });
  OutputPlaces places = output_places(model.graph, options.outputs);
  for (std::string& file : files_of_inputs(options.inputs)) read.push_back(std::move(file));
  check_apart(read, files_of(places));
  Inputs inputs = times.measure(
      "inputs", [&] { return read_inputs(model, options.inputs, options.dims, limits.memory); });
  std::vector<Tensor> results =
      options.reference ? run_interpreted(computed(model, options.contract), inputs, limits, times)
                        : run_compiled(model, inputs, options, threads, limits, times);
  times.measure("outputs", [&] {
    give_outputs(model.graph, results, places);
    return 0;
  });
  if (options.check) check_results(model, inputs, results, options, tolerance, times);
  flush_out();
  if (options.times.any()) times.show();
}

}  // namespace

void add_run_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command =
      add_command(app, "run", "Runs a model on given inputs and prints its outputs.", help_text());
  add_model(*command, options->model);
  add_list(*command, "--input", options->inputs, "NAME=VALUE",
           "The value of an input; once for each.");
  add_list(*command, "--output", options->outputs, "NAME=FILE",
           "Writes an output to a file instead of printing it.");
  add_list(*command, "--dim", options->dims, "SYMBOL=SIZE",
           "The size of a symbolic dimension, where no input tells it.");
  add_gradient(*command, options->gradient);
  add_contract(*command, options->contract);
  add_memory_budget(*command, options->memory_budget, SymbolSizes::known);
  add_value(*command, "--weights", options->weights, "FILE",
            "The params' values, .safetensors or .npz; if left out, those in the model or in the "
            ".safetensors file beside it. Or initial: new ones for all, whether or not they have "
            "values; weir train starts from these, with the seed 0, where a model has none.");
  add_value(*command, "--threads", options->threads, "K",
            "Threads to run on; as many as there are processors if left out. The results do not "
            "depend on it.");
  CLI::Option* reference =
      command->add_flag("--reference", options->reference,
                        "Interprets the model instead of compiling it: slow and obvious.");
  CLI::Option* check =
      command
          ->add_flag("--check", options->check,
                     "Also compares the results with the interpreter's: they must be near those of "
                     "exact functions, "
                     "and bit-equal to those of the functions as compiled.")
          ->excludes(reference);
  CLI::Option* tolerance = add_value(
      *command, "--tolerance", options->tolerance, "R",
      "What --check allows, relative to the largest element: 1e-05 for f32, 1e-12 for f64, "
      "0.002 for f16 and 0.016 for bf16 if left out.");
  tolerance->needs(check);
  add_target(*command, options->target);
  add_cache(*command, options->cache);
  add_limits(*command, options->limits);
  add_times(*command, options->times);
  // What says how to compile, and on how many threads to run what is compiled.
  for (const char* name : {"--threads", "--target", "--cpu", "--features", "--cache",
                           "--cache-size", "--memory-budget", "--time-passes"})
    reference->excludes(command->get_option(name));
  command->callback([options, &action] { action = [options] { run_model(*options); }; });
}

}  // namespace weir::tool
