// weir compile: a model as a file that a C program links.
#include <algorithm>
#include <filesystem>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common.h"
#include "compiler/aot/compile_model.h"
#include "compiler/frontend/file.h"
#include "compiler/frontend/model_file.h"
#include "program_options.h"
#include "step_budget.h"

namespace weir::tool {
namespace {

constexpr const char* kCompileExamples = R"(files that are written:
  FILE.o, .a   code for a linker
  FILE.so      a shared object
  FILE.s       assembly, .ll and .bc LLVM's representation
  FILE.h       the header, in C89, beside each of them
  FILE.weights the block of weights, if it is not in the code
All of them are written, or none.

The function digits_forward runs a model `digits`. With --gradient there is also
digits_gradient, whose outputs are those of forward and the gradients; both read
the same weights.

With --train there are three functions on one block of state, the params:
  digits_forward   the model
  digits_step      forward, backward and update of one batch
  digits_evaluate  the model with its loss
Targets that are labels are of i32. Params without a value get one: by their
initializers, or He's for LeakyReLU. With --strip-weights all are drawn so by
digits_init_state, where the model runs, to the same bits.

examples:
  weir compile digits.weir -o digits.o
  weir compile digits.weir -o digits.o --gradient x
  weir compile digits.onnx -o digits.a --target aarch64-linux-gnu --prefix net
  weir compile digits.weir -o digits.o --weights=extern
  weir compile digits.weir -o digits.o --train --loss cross_entropy \
    --optimizer adamw:weight_decay=0.1)";

struct CompileArguments {
  std::string model, output, header, emit, prefix, depfile;
  ProgramArguments programs;
  std::string max_code, max_weights, max_state, max_workspace;
  std::vector<std::string> weights, variants;
  LimitOptions limits;
  TargetSpec target;
  TimeOptions times;
  bool self_test = false, freestanding = false, no_debug = false;
};

std::string ending_of(const std::string& path) {
  std::string ending = std::filesystem::path(path).extension().string();
  return ending.empty() ? ending : ending.substr(1);
}

ObjectForm given_form(const CompileArguments& arguments) {
  std::string ending = arguments.emit.empty() ? ending_of(arguments.output) : arguments.emit;
  if (std::optional<ObjectForm> form = object_form(ending)) return *form;
  if (arguments.emit.empty())
    throw Error(
        fmt::format("the name of the output, {}, does not say what to write; let it end in .{}, or "
                    "say it with --emit",
                    shown(arguments.output), fmt::join(object_endings(), ", .")));
  throw Error(fmt::format("--emit takes one of {}, and {} is given",
                          fmt::join(object_endings(), ", "), shown(arguments.emit)));
}

// --weights names a file with values, or says where the weights are to be.
struct WeightChoice {
  std::optional<std::string> file;
  bool embed = true;
};

WeightChoice given_weights(const std::vector<std::string>& values) {
  WeightChoice choice;
  for (const std::string& value : values) {
    if (value == "extern" || value == "embed")
      choice.embed = value == "embed";
    else
      choice.file = value;
  }
  return choice;
}

// A rule for make: what is written is made from what was read.
std::string make_rule(const CompileArguments& arguments, const std::string& header,
                      const std::vector<std::string>& read) {
  auto escaped = [](const std::string& path) {
    std::string text;
    for (char c : path) {
      if (c == ' ' || c == '#' || c == '\\') text += '\\';
      if (c == '$') text += '$';
      text += c;
    }
    return text;
  };
  std::string rule = fmt::format("{} {}:", escaped(arguments.output), escaped(header));
  for (const std::string& path : read) rule += " \\\n  " + escaped(path);
  return rule + "\n";
}

CompiledModel compile_programs(const CompileArguments& arguments, const GivenPrograms& given,
                               const CompileModelOptions& options) try {
  return compile_model(given.programs, given.weights, options);
} catch (const BudgetError& error) {
  const TrainingStepArguments& training = arguments.programs.training;
  if (!training.train) throw;
  CompileOptions compile = options.compile;
  compile.timing = nullptr;
  const Graph graph = load_graph(arguments.model, given_limits(arguments.limits));
  refuse_budget(error, StepOf::compile, given_training(graph, training, DType::i32),
                std::move(compile));
}

void compile_file(const CompileArguments& arguments) {
  CompileModelOptions options;
  options.form = given_form(arguments);
  options.prefix = arguments.prefix;
  options.compile.target = arguments.target;
  options.compile.debug_lines = !arguments.no_debug;
  options.freestanding = arguments.freestanding;
  auto limit = [](const std::string& text, const char* option) -> std::optional<std::uint64_t> {
    if (text.empty()) return std::nullopt;
    return static_cast<std::uint64_t>(integer_of(text, option, 0, INT64_MAX));
  };
  options.limits = {limit(arguments.max_code, "--max-code"),
                    limit(arguments.max_weights, "--max-weights"),
                    limit(arguments.max_state, "--max-state"),
                    {}};
  if (!arguments.max_workspace.empty()) {
    MemoryBudget most = bytes_for_sizes(arguments.max_workspace, "--max-workspace");
    options.limits.workspace = most.bytes;
    options.counted = std::move(most.sizes);
  }
  options.self_test = arguments.self_test;
  options.variants = arguments.variants;
  WeightChoice weights = given_weights(arguments.weights);
  options.embed_weights = weights.embed;
  if (weights.file && arguments.programs.strip_weights)
    throw Error(fmt::format("with --strip-weights no values are read; leave out --weights {}",
                            shown(*weights.file)));
  std::string header =
      arguments.header.empty()
          ? std::filesystem::path(arguments.output).replace_extension(".h").string()
          : arguments.header;
  std::string block = weights_file(arguments.output);
  options.file_name = std::filesystem::path(arguments.output).filename().string();
  StageTimes times;
  times.add("start of the process", milliseconds_before_main());
  collect_times(options.compile, arguments.times, times);
  std::vector<std::string> read;
  GivenPrograms given = times.measure("model and weights", [&] {
    return given_programs(arguments.model, weights.file, given_limits(arguments.limits),
                          arguments.programs, options, &read);
  });
  check_apart(read, {arguments.output, header, block, arguments.depfile});
  CompiledModel compiled = compile_programs(arguments, given, options);
  std::string_view code = compiled.code, text = compiled.header, values = compiled.weights;
  std::string depends = make_rule(arguments, header, read);
  std::string_view rule = depends;
  std::vector<FileToWrite> files{{arguments.output, {&code, 1}}, {header, {&text, 1}}};
  if (!values.empty()) files.push_back({block, {&values, 1}});
  if (!arguments.depfile.empty()) files.push_back({arguments.depfile, {&rule, 1}});
  times.measure("files", [&] {
    write_files(files);
    return 0;
  });
  if (arguments.times.any()) times.show();
}

}  // namespace

void add_compile_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<CompileArguments>();
  CLI::App* command = add_command(
      app, "compile", "Compiles a model ahead of time, into a file that a C program links.",
      kCompileExamples);
  add_model(*command, options->model);
  add_value(*command, "-o,--output", options->output, "FILE",
            "The file to write, whose ending says what is in it.")
      ->required();
  add_value(*command, "--emit", options->emit, "FORM",
            "What to write, if FILE's ending does not say it: o, a, so, s, ll or bc.");
  add_value(*command, "--header", options->header, "FILE",
            "The header to write; FILE.h beside the output if left out.");
  add_value(*command, "--depfile", options->depfile, "FILE",
            "Writes which files were read, as a rule for make and ninja.");
  add_value(*command, "--prefix", options->prefix, "NAME",
            "What all names begin with; the model's name if left out. A model under two prefixes "
            "goes into one program.");
  add_programs(*command, options->programs);
  add_list(*command, "--weights", options->weights, "FILE",
           "The params' values, .safetensors or .npz; if left out, those in the model or in the "
           ".safetensors file "
           "beside it. Or extern: the weights go to a file of their own, which can be mapped, and "
           "every run is "
           "handed a pointer to them.");
  command->add_flag("--freestanding", options->freestanding,
                    "An error if the code needs even memcpy or memset from elsewhere.");
  add_value(*command, "--max-code", options->max_code, "BYTES",
            "An error, with a table of what takes the space, if code and constants are more.");
  add_value(*command, "--max-weights", options->max_weights, "BYTES", "Likewise for the weights.");
  add_value(*command, "--max-state", options->max_state, "BYTES", "Likewise for the state.");
  add_value(*command, "--max-workspace", options->max_workspace, "BYTES",
            "Likewise for the workspace. Symbolic dimensions get sizes behind it, as "
            "65536:N=32; 1 if left out.");
  command->add_flag("--no-debug-lines", options->no_debug,
                    "Leaves out which lines of the model the code is from.");
  command->add_flag("--selftest", options->self_test,
                    "Adds a function that runs every program on values that the interpreter "
                    "computed for the target; all bits must be equal.");
  add_target(*command, options->target);
  add_list(*command, "--multiversion", options->variants, "CPUS",
           "Code for several x86-64 processors, lesser ones first, such as x86-64-v2,x86-64-v3; "
           "which of them runs is found "
           "by asking the processor.",
           true);
  add_times(*command, options->times);
  add_limits(*command, options->limits);
  command->callback([options, &action] { action = [options] { compile_file(*options); }; });
}

}  // namespace weir::tool
