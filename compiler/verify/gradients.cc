#include "compiler/verify/gradients.h"

#include <fmt/format.h>

#include "compiler/autodiff/gradient.h"
#include "compiler/frontend/onnx/onnx_file.h"
#include "compiler/verify/gradient_in_double.h"
#include "compiler/verify/runner.h"
#include "compiler/verify/threads.h"
#include "ir/builder.h"
#include "ir/escape.h"

namespace weir::verification {
namespace {

constexpr std::string_view kCotangent = "cotangent", kInput = "input:", kParam = "param:";

// What gradients.npz asks for: names of inputs and params, and their gradients.
struct Wanted {
  std::vector<std::string> names;
  std::vector<const Tensor*> gradients;
};

Wanted wanted_of(const Weights& gradients) {
  Wanted wanted;
  for (const auto& [key, tensor] : gradients) {
    for (std::string_view prefix : {kInput, kParam})
      if (key.starts_with(prefix)) {
        wanted.names.push_back(key.substr(prefix.size()));
        wanted.gradients.push_back(&tensor);
      }
  }
  return wanted;
}

// The graph with sum(output * cotangent) differentiated: its outputs, that product, the gradients.
Graph with_cotangent(Graph graph, const Tensor& cotangent, std::span<const std::string> names) {
  constexpr const char* kProduct = "output * cotangent";
  GraphBuilder builder(std::move(graph));
  Var output(builder, builder.graph().outputs().front().value);
  Var factor = builder.input(std::string(kCotangent), output.dtype(), output.shape());
  if (cotangent.rank() != output.type().rank())
    throw Error(fmt::format("the cotangent is {}, and the output {}", to_string(cotangent.type()),
                            to_string(output.type())));
  builder.output(kProduct, builder.apply("mul", {output, factor}));
  return gradient(builder.graph(), names, {.outputs = {kProduct}});
}

}  // namespace

void verify_gradients(const TestFolder& folder, const VerifyOptions& options,
                      Comparison& comparison) {
  const TestData& data = folder.data.front();
  auto cotangent = folder.gradients->find(kCotangent);
  if (cotangent == folder.gradients->end())
    return comparison.fail("gradients.npz has no cotangent");
  if (data.outputs.size() != 1)
    return comparison.fail("gradients.npz is for a model with one output");
  Wanted wanted = wanted_of(*folder.gradients);
  Model model = load(folder, data, options.limits);
  for (const std::string& name : wanted.names) {
    ValueId value = model.graph.find(name);
    if (!value.valid() || model.graph.value(value).kind == Value::Kind::result)
      return comparison.fail(
          fmt::format("gradients.npz has {}, which is no input or param", shown(name)));
  }
  Inputs inputs = data.inputs;
  inputs.insert(*cotangent);
  try {
    model.graph = with_cotangent(std::move(model.graph), cotangent->second, wanted.names);
  } catch (const Error& error) {
    throw Unsupported(fmt::format("no gradient: {}", error.what()));
  }
  const std::size_t count = wanted.names.size();
  const Runner runner(model, options);
  const std::vector<Tensor> results = runner.run(inputs);
  compare_threads(runner, inputs, results, count, comparison);
  std::optional<GradientInDouble> exact;
  for (std::size_t i = 0; i < count; ++i) {
    const Tensor &result = results[results.size() - count + i], &reference = *wanted.gradients[i];
    std::string name = fmt::format("gradient of {}", value_name(wanted.names[i]));
    if (result.dtype() == DType::f32 && result.type() == reference.type() &&
        !comparison.holds(Role::gradient, result, reference)) {
      if (!exact) exact.emplace(model, inputs, wanted.names, options);
      if (exact->accepts(i, name, result, reference, comparison)) continue;
    }
    comparison.add(Role::gradient, name, result, reference);
  }
}

}  // namespace weir::verification
