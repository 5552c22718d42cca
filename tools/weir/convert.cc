// weir convert: a model, its gradients or its training step from one file format into another.
#include <optional>

#include <fmt/format.h>

#include "common.h"
#include "compiler/autodiff/training_form.h"
#include "compiler/frontend/file.h"
#include "compiler/frontend/model_file.h"
#include "compiler/frontend/save_model.h"
#include "compiler/initialize.h"
#include "training_options.h"

namespace weir::tool {
namespace {

constexpr const char* kConvertExamples = R"(files that are written:
  NAME.weir    the text form; the params' values go to NAME.safetensors
  NAME.onnx    ONNX, opset 17; weights of more than --inline-limit bytes go
               to NAME.onnx.data
All of them are written, or none.

ONNX has no state: a param w that is updated, as by --train, becomes an input w,
whose default is its value, and an output w_next, to be fed back into it.

examples:
  weir convert model.weir -o model.onnx
  weir convert model.weir -o backward.onnx --gradient x,w
  weir convert model.weir -o step.onnx --train --loss cross_entropy
  weir convert model.onnx -o model.weir)";

struct ConvertOptions {
  std::string model, output, weights, inline_limit;
  LimitOptions limits;
  std::vector<std::string> gradient;
  TrainingStepArguments training;
};

void make_training_step(Model& model, const TrainingStepArguments& arguments) {
  GivenTraining training = given_training(model.graph, arguments, DType::i64);
  TrainingStep step = training_step(training.graph, training.optimizer, training.options);
  std::uint64_t seed = given_seed(arguments.seed);
  initialize(model, {"he"}, seed);
  if (auto counter = step.initial.find(kRandomCounter); counter != step.initial.end())
    counter->second = first_random_counter(seed);
  model.weights.merge(step.initial);
  model.graph = std::move(step.graph);
}

void convert_model(const ConvertOptions& options) {
  OnnxExportOptions onnx;
  if (!options.inline_limit.empty())
    onnx.inline_limit =
        static_cast<std::size_t>(integer_of(options.inline_limit, "--inline-limit", 0, INT64_MAX));
  std::vector<std::string> written = files_of_model(options.output), read;
  auto load = options.training.train ? load_model_to_train : load_model;
  Model model =
      load(options.model, options.weights.empty() ? std::nullopt : std::optional(options.weights),
           given_limits(options.limits), &read);
  check_apart(read, written);
  if (options.training.train) {
    make_training_step(model, options.training);
  } else {
    model.graph = with_gradients(model.graph, options.gradient);
  }
  save_model(options.output, model, onnx);
}

}  // namespace

void add_convert_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<ConvertOptions>();
  CLI::App* command =
      add_command(app, "convert", "Writes a model in another file format.", kConvertExamples);
  add_model(*command, options->model);
  add_value(*command, "-o,--output", options->output, "FILE",
            "The file to write, whose name ends in .weir or .onnx.")
      ->required();
  add_gradient(*command, options->gradient);
  add_training_step(*command, options->training,
                    "Writes a step of training: forward, backward and update of one batch, with "
                    "the params and what the optimizer remembers as state. Labels are of i64.");
  add_value(*command, "--weights", options->weights, "FILE",
            "The params' values, .safetensors or .npz; if left out, those in the model or in the "
            ".safetensors file beside it.");
  add_value(*command, "--inline-limit", options->inline_limit, "BYTES",
            "Bytes of weights that an .onnx file may hold itself; 67108864 if left out.");
  add_limits(*command, options->limits);
  command->callback([options, &action] { action = [options] { convert_model(*options); }; });
}

}  // namespace weir::tool
