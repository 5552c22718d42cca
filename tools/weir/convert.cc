// weir convert: a model from one file format into another.
#include <optional>

#include <fmt/format.h>

#include "common.h"
#include "compiler/frontend/file.h"
#include "compiler/frontend/model_file.h"
#include "compiler/frontend/save_model.h"

namespace weir::tool {
namespace {

constexpr const char* kExamples = R"(files that are written:
  NAME.weir    the text form; the params' values go to NAME.safetensors
  NAME.onnx    ONNX, opset 17; weights of more than --inline-limit bytes go
               to NAME.onnx.data
All of them are written, or none.

examples:
  weir convert model.weir -o model.onnx
  weir convert model.weir -o backward.onnx --gradient x,w
  weir convert model.onnx -o model.weir)";

struct ConvertOptions {
  std::string model, output, weights, inline_limit;
  LimitOptions limits;
  std::vector<std::string> gradient;
};

void convert_model(const ConvertOptions& options) {
  OnnxExportOptions onnx;
  if (!options.inline_limit.empty())
    onnx.inline_limit =
        static_cast<std::size_t>(integer_of(options.inline_limit, "--inline-limit", 0, INT64_MAX));
  std::vector<std::string> written = files_of_model(options.output), read;
  Model model = load_model(options.model,
                           options.weights.empty() ? std::nullopt : std::optional(options.weights),
                           given_limits(options.limits), &read);
  check_apart(read, written);
  model.graph = with_gradients(model.graph, options.gradient);
  save_model(options.output, model, onnx);
}

}  // namespace

void add_convert_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<ConvertOptions>();
  CLI::App* command =
      add_command(app, "convert", "Writes a model in another file format.", kExamples);
  add_model(*command, options->model);
  add_value(*command, "-o,--output", options->output, "FILE",
            "The file to write, whose name ends in .weir or .onnx.")
      ->required();
  add_gradient(*command, options->gradient);
  add_value(*command, "--weights", options->weights, "FILE",
            "The params' values, .safetensors or .npz; if left out, those in the model or in the "
            ".safetensors file beside it.");
  add_value(*command, "--inline-limit", options->inline_limit, "BYTES",
            "Bytes of weights that an .onnx file may hold itself; 67108864 if left out.");
  add_limits(*command, options->limits);
  command->callback([options, &action] { action = [options] { convert_model(*options); }; });
}

}  // namespace weir::tool
