#include "compiler/verify.h"

#include <algorithm>
#include <cmath>
#include <new>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/autodiff/gradient.h"
#include "compiler/frontend/file.h"
#include "compiler/frontend/onnx/onnx_file.h"
#include "compiler/frontend/onnx/test_folder.h"
#include "compiler/pipeline.h"
#include "compiler/run_memory.h"
#include "ir/escape.h"
#include "ir/interpreter.h"

namespace weir {
namespace {

constexpr std::string_view kCotangent = "cotangent", kInput = "input:", kParam = "param:";

// The lines of a message as one.
std::string one_line(std::string_view text) {
  std::string line;
  while (!text.empty()) {
    std::string_view part = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    part.remove_prefix(std::min(part.find_first_not_of(' '), part.size()));
    if (part.empty()) continue;
    if (!line.empty()) line += line.ends_with(':') ? " " : "; ";
    line += part;
  }
  return line;
}

enum class Role { output, gradient };

double allowed(DType type, Role role, std::optional<double> given) {
  if (!is_float(type)) return 0;
  if (given) return *given;
  if (type == DType::f16) return 0x1p-10;
  if (type == DType::bf16) return 0x1p-7;
  return role == Role::gradient ? 1e-4 : 1e-5;
}

std::string place_of(const Tensor& tensor, std::int64_t position) {
  std::vector<std::int64_t> index(tensor.sizes().size());
  for (std::size_t i = index.size(); i-- > 0;) {
    index[i] = position % tensor.sizes()[i];
    position /= tensor.sizes()[i];
  }
  return fmt::format("[{}]", fmt::join(index, ", "));
}

// Compares results with references, and keeps the first that is wrong and the largest difference.
class Comparison {
 public:
  explicit Comparison(std::optional<double> tolerance) : tolerance_(tolerance) {}

  void add(Role role, const std::string& name, const Tensor& result, const Tensor& reference) {
    if (result.type() != reference.type())
      return fail(fmt::format("{} is {}, and {} is right", name, to_string(result.type()),
                              to_string(reference.type())));
    Difference difference = compare(result, reference);
    double relative = difference.relative(), limit = allowed(result.dtype(), role, tolerance_);
    largest_ = std::max(largest_, relative);
    bool is_near = is_float(result.dtype()) ? relative <= limit : difference.identical;
    if (is_near) return;
    auto number = [&](const Tensor& tensor) {
      return scalar::to_string(tensor.dtype(), tensor.bits(difference.position));
    };
    fail(fmt::format("{} differs by {:.3g}, {:g} is allowed: {} at {}, and {} is right", name,
                     relative, limit, number(result), place_of(result, difference.position),
                     number(reference)));
  }

  void fail(std::string fault) {
    if (fault_.empty()) fault_ = std::move(fault);
  }

  Verdict verdict() const {
    return {fault_.empty() ? Verdict::Kind::pass : Verdict::Kind::fail, fault_, largest_};
  }

 private:
  std::optional<double> tolerance_;
  std::string fault_;
  double largest_ = 0;
};

// A model ready to run, compiled or not.
class Runner {
 public:
  Runner(Model model, const VerifyOptions& options) : model_(std::move(model)), options_(options) {
    if (options.interpreted) return;
    CompileOptions compile_options;
    compile_options.executor = options.executor;
    compile_options.cache = options.cache;
    executable_.emplace(compile(model_, compile_options));
  }

  const Graph& graph() const { return model_.graph; }

  // Of the tensors, those that are inputs of the graph are used.
  std::vector<Tensor> run(const Inputs& tensors) const {
    Inputs inputs;
    for (ValueId id : graph().inputs()) {
      auto found = tensors.find(graph().value(id).name);
      if (found != tensors.end()) inputs.insert(*found);
    }
    Dim::Bindings sizes = bind_symbols(graph(), inputs, model_.weights);
    if (!executable_) {
      memory_of_interpreting(model_, sizes).check(options_.limits.memory);
      return interpret(model_.graph, model_.weights, inputs);
    }
    memory_of_run(model_, *executable_, sizes).check(options_.limits.memory);
    return executable_->run(inputs, options_.executor);
  }

 private:
  Model model_;
  const VerifyOptions& options_;
  std::optional<Executable> executable_;
};

Model load(const TestFolder& folder, const TestData& data, const LoadLimits& limits) {
  OnnxOptions options;
  options.limits = limits;
  options.given = data.inputs;
  // What is computed is compared, whatever opset it is written in.
  options.warn = [](const std::string&) {};
  return load_onnx(folder.model, options);
}

// The outputs for one data set.
void compare_outputs(const Graph& graph, std::span<const Tensor> results, const TestFolder& folder,
                     const TestData& data, Comparison& comparison) {
  for (std::size_t i = 0; i < data.outputs.size(); ++i) {
    std::string name = fmt::format("output {}", value_name(graph.outputs()[i].name));
    if (folder.data.size() > 1) name += fmt::format(" of {}", data.name);
    comparison.add(Role::output, name, results[i], data.outputs[i]);
  }
}

void verify_data(const TestFolder& folder, const VerifyOptions& options, Comparison& comparison) {
  std::optional<Runner> runner;
  for (const TestData& data : folder.data) {
    // A model in which an input became a constant serves for that input alone.
    if (!runner || runner->graph().inputs().size() != data.inputs.size())
      runner.emplace(load(folder, data, options.limits), options);
    compare_outputs(runner->graph(), runner->run(data.inputs), folder, data, comparison);
  }
}

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
  try {
    model.graph = with_cotangent(std::move(model.graph), cotangent->second, wanted.names);
  } catch (const Error& error) {
    throw Unsupported(fmt::format("no gradient: {}", error.what()));
  }
  Runner runner(std::move(model), options);
  Inputs inputs = data.inputs;
  inputs.insert(*cotangent);
  std::vector<Tensor> results = runner.run(inputs);
  std::size_t first = results.size() - wanted.names.size();
  for (std::size_t i = 0; i < wanted.names.size(); ++i)
    comparison.add(Role::gradient, fmt::format("gradient of {}", value_name(wanted.names[i])),
                   results[first + i], *wanted.gradients[i]);
}

// An Unsupported of the model says more than one of its data.
[[noreturn]] void refuse_model_first(const std::string& folder, const LoadLimits& limits,
                                     const Unsupported& of_data) {
  OnnxOptions options;
  options.limits = limits;
  options.warn = [](const std::string&) {};
  load_onnx(folder + "/model.onnx", options);
  throw Unsupported(of_data);
}

TestFolder read(const std::string& folder, const VerifyOptions& options) {
  try {
    return read_test_folder(folder, options.gradients, options.limits);
  } catch (const Unsupported& error) {
    refuse_model_first(folder, options.limits, error);
  }
}

}  // namespace

Verdict verify(const std::string& folder, const VerifyOptions& options) {
  Comparison comparison(options.tolerance);
  bool lacks_gradients = false;
  try {
    TestFolder test = read(folder, options);
    lacks_gradients = options.gradients && !test.gradients;
    verify_data(test, options, comparison);
    if (test.gradients) verify_gradients(test, options, comparison);
  } catch (const Unsupported& error) {
    return {Verdict::Kind::unsupported, one_line(error.diagnostic().message)};
  } catch (const Error& error) {
    comparison.fail(one_line(error.what()));
  } catch (const std::bad_alloc&) {
    comparison.fail("there is not enough memory");
  } catch (const InternalError& error) {
    comparison.fail(fmt::format("a fault of weir: {}", one_line(error.what())));
  }
  Verdict verdict = comparison.verdict();
  verdict.lacks_gradients = lacks_gradients;
  return verdict;
}

}  // namespace weir
