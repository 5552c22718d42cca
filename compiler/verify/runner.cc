#include "compiler/verify/runner.h"

#include "compiler/frontend/onnx/onnx_file.h"
#include "compiler/run_memory.h"
#include "ir/interpreter.h"
#include "runtime/thread_pool.h"

namespace weir::verification {

Model load(const TestFolder& folder, const TestData& data, const LoadLimits& limits) {
  OnnxOptions options;
  options.limits = limits;
  options.given = data.inputs;
  // What is computed is compared, whatever opset it is written in.
  options.warn = [](const std::string&) {};
  return load_onnx(folder.model, options);
}

Runner::Runner(Model model, const VerifyOptions& options)
    : model_(std::move(model)), options_(options) {
  CompileOptions compile_options;
  compile_options.contract = options.contract;
  if (options.interpreted) {
    model_.graph = contracted(std::move(model_.graph), compile_options);
    return;
  }
  compile_options.executor = options.executor;
  compile_options.cache = options.cache;
  executable_.emplace(compile(model_, compile_options));
}

Inputs Runner::inputs_among(const Inputs& tensors) const {
  Inputs inputs;
  for (ValueId id : graph().inputs()) {
    auto found = tensors.find(graph().value(id).name);
    if (found != tensors.end()) inputs.insert(*found);
  }
  return inputs;
}

std::vector<Tensor> Runner::run(const Inputs& tensors) const {
  const Inputs inputs = inputs_among(tensors);
  Dim::Bindings sizes = bind_symbols(graph(), inputs, model_.weights);
  if (!executable_) {
    memory_of_interpreting(model_, sizes).check(options_.limits.memory);
    return interpret(model_.graph, model_.weights, inputs);
  }
  memory_of_run(model_, *executable_, sizes).check(options_.limits.memory);
  return executable_->run(inputs, options_.executor);
}

std::vector<Tensor> Runner::run_on_other_threads(const Inputs& tensors) const {
  if (!executable_) return {};
  const Inputs inputs = inputs_among(tensors);
  if (options_.executor != nullptr && options_.executor->max_workers > 1)
    return executable_->run(inputs);
  ThreadPool two(2);
  return executable_->run(inputs, &two.executor());
}

}  // namespace weir::verification
