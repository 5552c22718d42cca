// Models that others trained, in ONNX's test folders: those that the project has, and those of the
// folder that the environment variable WEIR_MODELS names, if it names one.
//
// A model passes with its gradients, or it needs an op that Weir does not have at all, and says
// which. One whose sizes are symbols computes at other sizes than that of its folder, too.
#include <cstdlib>
#include <filesystem>
#include <regex>
#include <set>
#include <span>

#include <gtest/gtest.h>

#include "compiler/autodiff/gradient.h"
#include "compiler/frontend/model_file.h"
#include "compiler/frontend/onnx/op_table.h"
#include "compiler/frontend/onnx/test_folder.h"
#include "compiler/pipeline.h"
#include "compiler/verify.h"
#include "ir/interpreter.h"
#include "runtime/thread_pool.h"
#include "tests/support/onnxruntime.h"

namespace weir {
namespace {

constexpr std::string_view kOurs = WEIR_SOURCE_DIR "/tests/data/models";

Verdict verdict_of(const std::string& folder) {
  VerifyOptions options;
  options.gradients = true;
  return verify(folder, options);
}

TEST(RealModels, OfTheProjectPassWithTheirGradients) {
  std::vector<std::string> folders = find_test_folders(std::string(kOurs));
  EXPECT_GE(folders.size(), 5u);
  for (const std::string& folder : folders) {
    Verdict verdict = verdict_of(folder);
    EXPECT_EQ(verdict.kind, Verdict::Kind::pass) << folder << ": " << verdict.reason;
  }
}

// The model with the gradients of all inputs and params of floating point behind its outputs, if it
// has any.
Model with_gradients(Model model) {
  std::vector<std::string> names;
  for (std::span<const ValueId> values : {model.graph.inputs(), model.graph.params()})
    for (ValueId value : values)
      if (is_float(model.graph.type(value).dtype)) names.push_back(model.graph.value(value).name);
  model.graph = gradient(model.graph, names);
  return model;
}

// Outputs and gradients of the project's models, and of those of WEIR_MODELS.
TEST(RealModels, GiveTheSameBitsOnTwoThreads) {
  std::vector<std::string> folders = find_test_folders(std::string(kOurs));
  if (const char* folder = std::getenv("WEIR_MODELS"))
    for (std::string& each : find_test_folders(folder)) folders.push_back(std::move(each));
  ThreadPool pool(2);
  for (const std::string& folder : folders) {
    SCOPED_TRACE(folder);
    TestFolder test = read_test_folder(folder, false);
    const Model model = load_model(test.model);
    const Executable forward = compile(model), backward = compile(with_gradients(model));
    EXPECT_GT(backward.outputs().size(), forward.outputs().size());
    for (const TestData& data : test.data)
      for (const Executable* executable : {&forward, &backward}) {
        std::vector<Tensor> alone = executable->run(data.inputs),
                            shared = executable->run(data.inputs, &pool.executor());
        ASSERT_EQ(alone.size(), shared.size());
        for (std::size_t i = 0; i < alone.size(); ++i)
          EXPECT_TRUE(compare(shared[i], alone[i]).identical)
              << (executable == &forward ? "forward" : "with gradients") << ", "
              << executable->outputs()[i].name;
      }
  }
}

// Whether what is lacking is some op of which no form is read (compiler/frontend/onnx/op_table.h).
bool names_op_outside(const std::string& reason) {
  static const std::string table = onnx_op_table();
  static const std::regex subject("(\\w+) of opset");
  for (std::sregex_iterator each(reason.begin(), reason.end(), subject), end; each != end; ++each)
    if (!std::regex_search(table, std::regex("\\| " + (*each)[1].str() + " \\| \\d+ and later")))
      return true;
  return false;
}

TEST(RealModels, OfAnotherFolderPassUnlessAnOpIsOutsideTheRegistry) {
  EXPECT_TRUE(names_op_outside("2 nodes: NonZero of opset 13 (node a) is not there"));
  EXPECT_FALSE(names_op_outside("Conv of opset 13 (node a): its kernel is symbolic"));
  const char* folder = std::getenv("WEIR_MODELS");
  if (folder == nullptr) GTEST_SKIP() << "WEIR_MODELS names no folder of models";
  const std::vector<std::string> folders = find_test_folders(folder);
  EXPECT_FALSE(folders.empty());
  for (const std::string& each : folders) {
    Verdict verdict = verdict_of(each);
    std::string name = std::filesystem::path(each).filename().string();
    std::printf("%s: %s\n", name.c_str(),
                verdict.reason.empty() ? "passes" : verdict.reason.c_str());
    if (verdict.kind == Verdict::Kind::unsupported && names_op_outside(verdict.reason)) continue;
    EXPECT_EQ(verdict.kind, Verdict::Kind::pass) << name << ": " << verdict.reason;
  }
}

Tensor picture(std::int64_t height, std::int64_t width) {
  Tensor result(DType::f32, {1, 3, height, width});
  std::uint32_t state = 1;
  for (float& element : result.mutable_elements<float>()) {
    state = state * 1664525 + 1013904223;
    element = static_cast<float>(state >> 24) - 128;
  }
  return result;
}

// Strided convolutions of sizes that are odd, shape arithmetic between levels, and results as long
// as the picture has places. The reference is ONNX Runtime, or the interpreter.
TEST(RealModels, ADetectorComputesEverySizeInOneProgram) {
  const char* folder = std::getenv("WEIR_MODELS");
  if (folder == nullptr) GTEST_SKIP() << "WEIR_MODELS names no folder of models";
  std::string path = std::string(folder) + "/retinaface_mbnet025/model.onnx";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  Model model = load_model(path);
  Executable executable = compile(model);
  std::optional<test::OnnxRuntime> runtime;
  std::optional<test::OnnxSession> session;
  if (test::onnxruntime_path() != nullptr) {
    runtime.emplace(test::onnxruntime_path());
    session.emplace(test::OnnxSession::of_file(*runtime, path));
  }
  std::vector<std::string> outputs;
  for (const Graph::Output& output : model.graph.outputs()) outputs.push_back(output.name);
  for (auto [height, width] : {std::pair{32, 64}, {37, 50}, {65, 33}, {96, 161}}) {
    Inputs inputs{{"input", picture(height, width)}};
    std::vector<Tensor> actual = executable.run(inputs);
    std::vector<Tensor> expected = session ? test::run_onnx(*runtime, *session, inputs, outputs)
                                           : interpret(model.graph, model.weights, inputs);
    ASSERT_EQ(actual.size(), 3u);
    for (std::size_t i = 0; i < actual.size(); ++i) {
      ASSERT_EQ(to_string(actual[i].type()), to_string(expected[i].type()));
      EXPECT_LE(compare(actual[i], expected[i]).relative(), 1e-5)
          << outputs[i] << " at " << height << " x " << width;
    }
  }
}

}  // namespace
}  // namespace weir
