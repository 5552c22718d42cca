// Exported graphs in ONNX Runtime, against the interpreter: for every op of the registry the graphs
// of its file, and their gradients, for several sizes of their symbols.
//
// Left out, with a sentence, where WEIR_ONNXRUNTIME names no library.
#include <algorithm>
#include <array>
#include <filesystem>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compiler/frontend/model_file.h"
#include "compiler/frontend/npy.h"
#include "compiler/frontend/onnx/export.h"
#include "ir/interpreter.h"
#include "tests/support/exported_graphs.h"
#include "tests/support/onnxruntime.h"
#include "tests/support/temporary_folder.h"

namespace weir::test {
namespace {

const OnnxRuntime& runtime() {
  static const OnnxRuntime library(onnxruntime_path());
  return library;
}

// ONNX leaves these undefined: a maximum or a mean of nothing, a window over nothing. ONNX Runtime
// may even divide by zero.
bool works_on_nothing(const Graph& graph, const Inputs& inputs) {
  bool is_empty = std::any_of(inputs.begin(), inputs.end(),
                              [](const auto& input) { return input.second.element_count() == 0; });
  constexpr std::array<std::string_view, 5> kFamilies{"reduce", "normalize", "window", "indexed",
                                                      "loss"};
  return is_empty && std::any_of(graph.nodes().begin(), graph.nodes().end(), [&](const Node& node) {
           return std::find(kFamilies.begin(), kFamilies.end(), node.op->family) != kFamilies.end();
         });
}

// By ONNX's formula of tf_crop_and_resize a part of an axis is read whatever its new size. ONNX
// Runtime takes the whole axis where that is the old one.
bool crops_to_the_same_size(const Graph& graph, const Dim::Bindings& bindings) {
  return std::any_of(graph.nodes().begin(), graph.nodes().end(), [&](const Node& node) {
    const Attribute* coordinates = node.attributes.find("coordinates");
    if (!coordinates || *coordinates != Attribute(std::string("tf_crop_and_resize"))) return false;
    auto sizes = [&](ValueId id) {
      std::vector<std::int64_t> result;
      for (const Dim& dim : graph.type(id).shape) result.push_back(*dim.evaluate(bindings));
      return result;
    };
    return sizes(node.operands[0]) == sizes(node.results[0]);
  });
}

// Windows that fit nowhere have an empty result here, and are an error there.
bool refuses_windows(std::string_view message) {
  constexpr std::array<std::string_view, 3> kRefusals{"Invalid input shape",
                                                      "Computed output dimension", "SetOutputSize"};
  return std::any_of(kRefusals.begin(), kRefusals.end(),
                     [&](std::string_view text) { return message.find(text) != message.npos; });
}

// Runs a graph in both, on the same numbers. What ONNX Runtime says if it has no kernel for it.
std::string compare_with_runtime(const Graph& graph, const std::vector<std::int64_t>& sizes) {
  Generator weight_generator(1);
  Weights weights = random_values(graph, graph.params(), weight_generator);
  std::string model = export_onnx({graph, weights});
  std::vector<std::string> outputs;
  for (const Graph::Output& output : graph.outputs()) outputs.push_back(output.name);
  try {
    OnnxSession session(runtime(), model);
    for (std::int64_t size : sizes) {
      Generator generator(static_cast<std::uint64_t>(size) + 7);
      Dim::Bindings bindings;
      for (const std::string& symbol : graph.symbols()) bindings.emplace(symbol, size);
      Inputs inputs = random_values(graph, graph.inputs(), generator, false, bindings);
      if (works_on_nothing(graph, inputs) || crops_to_the_same_size(graph, bindings)) continue;
      std::vector<Tensor> expected = interpret(graph, weights, inputs), actual;
      try {
        actual = run_onnx(runtime(), session, inputs, outputs);
      } catch (const std::runtime_error& error) {
        if (!refuses_windows(error.what())) throw;
        continue;
      }
      for (std::size_t i = 0; i < expected.size(); ++i) {
        EXPECT_EQ(to_string(actual[i].type()), to_string(expected[i].type()));
        if (actual[i].type() != expected[i].type()) continue;
        EXPECT_LE(compare(actual[i], expected[i]).relative(),
                  is_float(expected[i].dtype()) ? 1e-5 : 0)
            << "output " << outputs[i] << ", symbols " << size << ": " << actual[i].to_string(20)
            << " for " << expected[i].to_string(20) << "\n"
            << print(graph);
      }
    }
  } catch (const std::runtime_error& error) {
    std::string message = error.what();
    if (message.find("Could not find an implementation") != std::string::npos) return message;
    ADD_FAILURE() << message << "\n" << print(graph);
  }
  return {};
}

// What ONNX Runtime has no kernel for in f64, or in bf16.
void expect_known(const std::string& missing) {
  if (missing.empty()) return;
  constexpr std::array<std::string_view, 5> kKnown{"Erf(", "Conv(", "ConvTranspose(", "Resize(",
                                                   "Expand("};
  EXPECT_TRUE(std::any_of(kKnown.begin(), kKnown.end(), [&](std::string_view node) {
    return missing.find("implementation for " + std::string(node)) != missing.npos;
  })) << missing;
}

constexpr const char* kAbsent =
    "set WEIR_ONNXRUNTIME to the library of ONNX Runtime to compare with it";

bool is_absent() { return onnxruntime_path() == nullptr; }

class OnnxRuntimeOps : public testing::TestWithParam<std::string> {};

TEST_P(OnnxRuntimeOps, ForwardEqualsTheInterpreter) {
  if (is_absent()) GTEST_SKIP() << kAbsent;
  for (const Graph& graph : graphs_of(GetParam()))
    if (!draws(graph)) expect_known(compare_with_runtime(graph, {1, 0, 5, 16}));
}

TEST_P(OnnxRuntimeOps, GradientEqualsTheInterpreter) {
  if (is_absent()) GTEST_SKIP() << kAbsent;
  for (const Graph& graph : graphs_of(GetParam()))
    if (std::optional<Graph> backward = gradient_graph(graph); backward && !draws(graph))
      expect_known(compare_with_runtime(*backward, {1, 0, 5, 16}));
}

INSTANTIATE_TEST_SUITE_P(Registry, OnnxRuntimeOps, testing::ValuesIn(op_names()),
                         [](const auto& instance) { return instance.param; });

TEST(OnnxRuntimeModels, DigitsWithWeightsBesideTheModel) {
  if (is_absent()) GTEST_SKIP() << kAbsent;
  Model model = load_model(WEIR_SOURCE_DIR "/examples/digits/digits.weir");
  model.graph = gradient(model.graph, float_inputs(model.graph));
  TemporaryFolder folder;
  write_onnx(folder / "digits.onnx", model, {.inline_limit = 0});
  ASSERT_TRUE(std::filesystem::exists(folder / "digits.onnx.data"));
  Inputs inputs{{"x", read_npy(WEIR_SOURCE_DIR "/examples/digits/x_test.npy")}};
  std::vector<std::string> outputs;
  for (const Graph::Output& output : model.graph.outputs()) outputs.push_back(output.name);
  OnnxSession session = OnnxSession::of_file(runtime(), folder / "digits.onnx");
  std::vector<Tensor> actual = run_onnx(runtime(), session, inputs, outputs);
  std::vector<Tensor> expected = interpret(model.graph, model.weights, inputs);
  ASSERT_EQ(actual.size(), 8u);
  for (std::size_t i = 0; i < actual.size(); ++i)
    EXPECT_LE(compare(actual[i], expected[i]).relative(), 1e-5) << outputs[i];
}

}  // namespace
}  // namespace weir::test
