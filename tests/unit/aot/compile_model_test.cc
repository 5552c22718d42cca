// Models compiled ahead of time: their code is the JIT's, they load where they fit, and nothing
// else is loaded.

#include "compiler/aot/compile_model.h"

#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/aot/shared_weights.h"
#include "compiler/autodiff/gradient.h"
#include "compiler/frontend/file.h"
#include "compiler/frontend/model_file.h"
#include "compiler/frontend/npy.h"
#include "function_bytes.h"
#include "runtime/weir_runtime.h"
#include "tests/support/temporary_folder.h"

namespace weir {
namespace {

using testing::HasSubstr;

Model digits() { return load_model(WEIR_SOURCE_DIR "/examples/digits/digits.weir"); }

std::vector<ModelProgram> forward_and_gradient(const Graph& graph) {
  std::vector<std::string> wrt{"x", "w1"};
  return {{"forward", graph}, {"gradient", gradient(graph, wrt)}};
}

TEST(CompileModel, CodeIsTheJitsBeforeRelocation) {
  Model model = digits();
  for (const char* cpu : {"x86-64-v2", "x86-64-v3", "x86-64-v4"}) {
    CompileModelOptions options;
    options.compile.target = {"x86_64-linux-gnu", cpu, ""};
    std::vector<ModelProgram> forward{{"forward", model.graph}};
    auto ahead = test::function_bytes(compile_model(forward, model.weights, options).code);
    Program program = lower_graph(model.graph);
    program.name = "digits_forward";
    CodegenOptions sections;
    sections.sections = true;
    LoadableCode code =
        compile_for_loading(program, resolve_target(options.compile.target), sections);
    std::size_t compared = 0;
    for (const std::string& object : code.objects)
      for (const auto& [name, bytes] : test::function_bytes(object)) {
        ASSERT_TRUE(ahead.contains(name)) << name;
        EXPECT_EQ(ahead[name], bytes) << name << " for " << cpu;
        ++compared;
      }
    // At least three kernels, the entry, its size function, and the two that run tasks.
    EXPECT_GE(compared, 7u);
  }
}

TEST(CompileModel, ProgramsShareWeights) {
  Model model = digits();
  std::vector<ModelProgram> programs = forward_and_gradient(model.graph);
  Program forward = lower_graph(programs[0].graph), both = lower_graph(programs[1].graph);
  std::uint64_t alone = forward.weight_bytes, other = both.weight_bytes;
  std::vector<Program*> sharing{&forward, &both};
  WeightLayout layout = share_weights(sharing);
  EXPECT_LT(layout.bytes, alone + other);
  EXPECT_GE(layout.bytes, std::max(alone, other));
  EXPECT_EQ(forward.weight_bytes, layout.bytes);
  // What the first one reads is where it was.
  Program again = lower_graph(programs[0].graph);
  for (std::size_t i = 0; i < again.buffers.size(); ++i)
    EXPECT_EQ(again.buffers[i].offset, forward.buffers[i].offset);
}

// A shared object of the digits, in a folder of its own.
struct SharedDigits {
  explicit SharedDigits(const TargetSpec& target = {}) {
    model = digits();
    CompileModelOptions options;
    options.form = ObjectForm::shared;
    options.compile.target = target;
    code = compile_model(forward_and_gradient(model.graph), model.weights, options).code;
    write_file(path, {code});
  }
  std::string reason_of(const std::string& bytes) {
    write_file(path, {bytes});
    char reason[200] = "";
    weir_loaded_model* loaded = weir_model_open(path.c_str(), reason, sizeof(reason));
    EXPECT_EQ(loaded, nullptr);
    weir_model_close(loaded);
    return reason;
  }
  Model model;
  std::string code;
  test::TemporaryFolder folder;
  std::string path = folder / "digits.so";
};

TEST(LoadedModel, HasTheBitsOfTheJit) {
  SharedDigits shared;
  char reason[200] = "";
  weir_loaded_model* loaded = weir_model_open(shared.path.c_str(), reason, sizeof(reason));
  ASSERT_NE(loaded, nullptr) << reason;
  const weir_model_info* info = weir_model_describe(loaded);
  EXPECT_STREQ(info->name, "digits");
  EXPECT_EQ(info->programs, 2);
  EXPECT_EQ(weir_model_program(loaded, "step"), nullptr);
  Tensor x = read_npy(WEIR_SOURCE_DIR "/examples/digits/x_test.npy");
  for (const ModelProgram& program : forward_and_gradient(shared.model.graph)) {
    const weir_program_info* run = weir_model_program(loaded, program.name.c_str());
    ASSERT_NE(run, nullptr);
    Executable executable = compile({program.graph, shared.model.weights});
    std::vector<Tensor> expected = executable.run({{"x", x}});
    ASSERT_EQ(run->outputs, static_cast<int>(expected.size()));
    std::ptrdiff_t rows = x.sizes()[0];
    std::size_t fixed = 0, per_worker = 0;
    ASSERT_EQ(run->workspace_size(&rows, &fixed, &per_worker), WEIR_OK);
    weir_workspace* workspace = weir_workspace_create();
    std::vector<Tensor> outputs;
    std::vector<void*> pointers;
    for (const Tensor& tensor : expected) outputs.emplace_back(tensor.dtype(), tensor.sizes());
    for (Tensor& tensor : outputs) pointers.push_back(tensor.mutable_data());
    const void* inputs[] = {x.data()};
    weir_call call{inputs, pointers.data(), info->weights, weir_workspace_reserve(workspace, fixed),
                   &rows,  nullptr,         nullptr};
    EXPECT_EQ(run->run(&call), WEIR_OK);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      EXPECT_TRUE(compare(outputs[i], expected[i]).identical) << program.name << " " << i;
      EXPECT_EQ(std::string(run->tensors[run->inputs + static_cast<int>(i)].name),
                program.graph.outputs()[i].name);
    }
    weir_workspace_destroy(workspace);
  }
  weir_model_close(loaded);
}

TEST(LoadedModel, TellsSizes) {
  SharedDigits shared;
  weir_loaded_model* loaded = weir_model_open(shared.path.c_str(), nullptr, 0);
  ASSERT_NE(loaded, nullptr);
  const weir_program_info* forward = weir_model_program(loaded, "forward");
  EXPECT_STREQ(forward->tensors[0].text, "f32[N, 64]");
  EXPECT_STREQ(forward->dim_names[0], "N");
  std::ptrdiff_t rows = 7, sizes[4] = {};
  EXPECT_EQ(forward->shapes(&rows, sizes), WEIR_OK);
  EXPECT_THAT(sizes, testing::ElementsAre(7, 64, 7, 10));
  rows = -1;
  EXPECT_EQ(forward->shapes(&rows, sizes), WEIR_INVALID_CALL);
  weir_model_close(loaded);
}

TEST(LoadedModel, IsRefusedWhenItIsCutAnywhere) {
  SharedDigits shared;
  for (std::size_t length = 0; length < shared.code.size(); length += 1 + length / 7)
    EXPECT_THAT(
        shared.reason_of(shared.code.substr(0, length)),
        testing::AnyOf(HasSubstr("the file ends early"), HasSubstr("this is not a shared object")))
        << length;
  EXPECT_THAT(shared.reason_of(shared.code.substr(0, shared.code.size() - 1)),
              HasSubstr("the file ends early"));
}

TEST(LoadedModel, IsRefusedWhenItIsOfAnotherVersion) {
  SharedDigits shared;
  std::string code = shared.code;
  std::size_t note = code.find(std::string("\1\0\0\0Weir\0\0\0\0", 12));
  ASSERT_NE(note, std::string::npos);
  code[note + 12] = 99;
  EXPECT_THAT(shared.reason_of(code), HasSubstr("the model has version 99 of the interface"));
}

TEST(LoadedModel, IsRefusedWhenItIsNoneOrMissing) {
  SharedDigits shared;
  EXPECT_THAT(shared.reason_of("a text"), HasSubstr("this is not a shared object"));
  std::string code = shared.code;
  std::size_t note = code.find(std::string("\1\0\0\0Weir\0\0\0\0", 12));
  code[note + 4] = 'X';
  EXPECT_THAT(shared.reason_of(code), HasSubstr("no model that was compiled by Weir"));
  char reason[20] = "";
  EXPECT_EQ(weir_model_open(shared.folder.path("missing.so").c_str(), reason, sizeof(reason)),
            nullptr);
  EXPECT_STREQ(reason, "No such file or dir");
  EXPECT_EQ(weir_model_open("/", reason, sizeof(reason)), nullptr);
  EXPECT_EQ(weir_model_open(nullptr, nullptr, 0), nullptr);
}

TEST(LoadedModel, IsRefusedByAProcessorThatLacksItsInstructions) {
  TargetSpec spec;
  spec.cpu = "x86-64-v3";
  // No processor has both of these.
  spec.features = "+xop,+avx512fp16";
  if (!resolve_target({}).triple.starts_with("x86_64")) GTEST_SKIP() << "x86-64 alone is asked";
  SharedDigits shared(spec);
  EXPECT_THAT(shared.reason_of(shared.code),
              HasSubstr("a processor with instructions that this one lacks: x86-64-v3"));
}

TEST(LoadedModel, IsRefusedWhenItIsForAnotherMachine) {
  SharedDigits shared({"riscv64", "", ""});
  EXPECT_THAT(shared.reason_of(shared.code), HasSubstr("another kind of machine"));
}

}  // namespace
}  // namespace weir
