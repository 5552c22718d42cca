// weir size: what takes the space of a compiled model.
#include <filesystem>
#include <string>

#include "common.h"
#include "compiler/aot/compile_model.h"
#include "compiler/aot/size_table.h"
#include "compiler/frontend/file.h"
#include "compiler/frontend/model_file.h"

namespace weir::tool {
namespace {

constexpr const char* kExamples =
    R"(In bytes. Of a model it shows what `weir compile` would make, with the bytes of
each weight and of the workspace, where symbolic dimensions count as 1.

examples:
  weir size digits.o
  weir size digits.weir --gradient x --target aarch64-linux-gnu)";

struct SizeOptions {
  std::string file;
  std::vector<std::string> gradient;
  LimitOptions limits;
  TargetSpec target;
};

void show_sizes(const SizeOptions& options) {
  std::string ending = std::filesystem::path(options.file).extension().string();
  if (ending != ".weir" && ending != ".onnx") {
    print_out(sizes_of_file(read_file(options.file), options.file).to_string());
    return;
  }
  Graph graph = load_graph(options.file, given_limits(options.limits));
  std::vector<ModelProgram> programs{{"forward", graph}};
  if (!options.gradient.empty())
    programs.push_back({"gradient", with_gradients(graph, options.gradient)});
  CompileModelOptions compile;
  compile.compile.target = options.target;
  compile.strip_weights = true;
  print_out(compile_model(programs, {}, compile).sizes.to_string());
}

}  // namespace

void add_size_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<SizeOptions>();
  CLI::App* command =
      add_command(app, "size", "Shows what takes the space of a compiled model.", kExamples);
  add_value(*command, "FILE", options->file, "",
            "A .weir or .onnx file, or one that weir compile has written: .o, .a or .so.")
      ->required();
  add_gradient(*command, options->gradient);
  add_target(*command, options->target);
  add_limits(*command, options->limits);
  command->callback([options, &action] { action = [options] { show_sizes(*options); }; });
}

}  // namespace weir::tool
