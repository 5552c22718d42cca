// weir size: what takes the space of a compiled model.
#include <filesystem>
#include <string>

#include <fmt/format.h>

#include "common.h"
#include "compiler/aot/compile_model.h"
#include "compiler/aot/size_table.h"
#include "compiler/frontend/file.h"
#include "ir/escape.h"
#include "program_options.h"

namespace weir::tool {
namespace {

constexpr const char* kSizeExamples =
    R"(In bytes. Of a model it shows what `weir compile` would make, with the bytes of
each weight and of the workspace.

examples:
  weir size digits.o
  weir size digits.weir --gradient x --target aarch64-linux-gnu
  weir size digits.weir --gradient x --dim N=32
  weir size digits.weir --train --loss cross_entropy --optimizer adam)";

struct SizeOptions {
  std::string file;
  std::vector<std::string> given;  // options for models
  std::vector<std::string> dims;
  ProgramArguments programs;
  LimitOptions limits;
  TargetSpec target;
};

void show_sizes(const SizeOptions& options) {
  std::string ending = std::filesystem::path(options.file).extension().string();
  if (ending != ".weir" && ending != ".onnx") {
    if (!options.given.empty())
      throw Error(fmt::format("{} is for models, and {} is taken for a file of code",
                              options.given.front(), shown(options.file)));
    print_out(sizes_of_file(read_file(options.file), options.file).to_string());
    return;
  }
  CompileModelOptions compile;
  compile.compile.target = options.target;
  compile.counted = given_dims(options.dims);
  // Values have no part in the sizes, but in those of first values, which may end in zeros.
  ProgramArguments programs = options.programs;
  programs.strip_weights = programs.strip_weights || !programs.training.train;
  GivenPrograms given =
      given_programs(options.file, std::nullopt, given_limits(options.limits), programs, compile);
  print_out(compile_model(given.programs, given.weights, compile).sizes.to_string());
}

}  // namespace

void add_size_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<SizeOptions>();
  CLI::App* command =
      add_command(app, "size", "Shows what takes the space of a compiled model.", kSizeExamples);
  add_value(*command, "FILE", options->file, "",
            "A .weir or .onnx file, or one that weir compile has written: .o, .a or .so.")
      ->required();
  add_programs(*command, options->programs);
  add_list(*command, "--dim", options->dims, "SYMBOL=SIZE",
           "The size of a symbolic dimension that the workspace is counted with; 1 if left out.",
           true);
  add_target(*command, options->target);
  add_limits(*command, options->limits);
  command->callback([options, command, &action] {
    for (const CLI::Option* option : command->get_options())
      if (option->count() > 0 && !option->get_positional())
        options->given.push_back(option->get_name());
    action = [options] { show_sizes(*options); };
  });
}

}  // namespace weir::tool
