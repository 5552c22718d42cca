#include "compiler/verify.h"

#include <algorithm>
#include <new>

#include <fmt/format.h>

#include "compiler/frontend/onnx/onnx_file.h"
#include "compiler/frontend/onnx/test_folder.h"
#include "compiler/verify/comparison.h"
#include "compiler/verify/gradients.h"
#include "compiler/verify/runner.h"
#include "compiler/verify/threads.h"
#include "ir/escape.h"

namespace weir {
namespace {

using verification::Comparison;
using verification::Role;
using verification::Runner;

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
      runner.emplace(verification::load(folder, data, options.limits), options);
    const std::vector<Tensor> results = runner->run(data.inputs);
    compare_outputs(runner->graph(), results, folder, data, comparison);
    verification::compare_threads(*runner, data.inputs, results, results.size(), comparison);
  }
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
    if (test.gradients) verification::verify_gradients(test, options, comparison);
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
