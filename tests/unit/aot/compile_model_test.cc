// Models compiled ahead of time: their code is the JIT's, they load where they fit, and nothing
// else is loaded.

#include "compiler/aot/compile_model.h"

#include <cstring>

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/aot/model_programs.h"
#include "compiler/aot/shared_weights.h"
#include "compiler/autodiff/gradient.h"
#include "compiler/frontend/file.h"
#include "compiler/frontend/model_file.h"
#include "compiler/frontend/npy.h"
#include "compiler/trainer.h"
#include "function_bytes.h"
#include "ir/text.h"
#include "runtime/thread_pool.h"
#include "runtime/weir_runtime.h"
#include "runtime/workspace.h"
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
    Program program = lower_graph(model.graph, options.compile);
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

TEST(CompileModel, ProgramsShareKernels) {
  Model model = digits();
  auto kernels = [&](std::vector<ModelProgram> programs) {
    auto functions = test::function_bytes(compile_model(programs, model.weights).code);
    return std::count_if(functions.begin(), functions.end(),
                         [](const auto& function) { return function.first.starts_with("k"); });
  };
  auto alone = kernels({{"forward", model.graph}});
  EXPECT_GE(alone, 3);
  EXPECT_EQ(kernels({{"forward", model.graph}, {"again", model.graph}}), alone);
  std::vector<std::string> wrt{"x"};
  Graph both = gradient(model.graph, wrt);
  EXPECT_LT(kernels({{"forward", model.graph}, {"gradient", both}}),
            alone + kernels({{"gradient", both}}));
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
  ThreadPool pool(3);
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
    for (const weir_executor* executor :
         {static_cast<const weir_executor*>(nullptr), &pool.executor()}) {
      weir_call call{
          inputs, pointers.data(), info->weights, weir_workspace_reserve(workspace, fixed),
          &rows,  executor,        nullptr};
      EXPECT_EQ(run->run(&call), WEIR_OK);
      for (std::size_t i = 0; i < outputs.size(); ++i) {
        EXPECT_TRUE(compare(outputs[i], expected[i]).identical) << program.name << " " << i;
        std::memset(outputs[i].mutable_data(), 1, outputs[i].byte_count());
      }
    }
    for (std::size_t i = 0; i < outputs.size(); ++i)
      EXPECT_EQ(std::string(run->tensors[run->inputs + static_cast<int>(i)].name),
                program.graph.outputs()[i].name);
    weir_workspace_destroy(workspace);
  }
  weir_model_close(loaded);
}

// Calls that take turns do so in all variants of the code, whose schedules differ, and each worker
// has its band; the bits are those of code for one processor.
TEST(LoadedModel, RunsInBandsInEveryVariant) {
  if (!resolve_target({}).triple.starts_with("x86_64")) GTEST_SKIP() << "variants are for x86-64";
  Model model;
  model.graph = parse_graph(R"(graph @pooled(%x: f32[3, 4, 66, 37]) -> (f32[3, 40, 33, 18]) {
  param %w: f32[40, 4, 3, 3]
  %h = conv(%x, %w) {low = [1, 1], high = [1, 1]}
  %a = leaky_relu(%h)
  %y = max_pool(%a) {kernel = [2, 2], strides = [2, 2]}
  return %y
})",
                            "pooled.weir");
  auto filled = [](Tensor::Sizes sizes) {
    Tensor tensor(DType::f32, std::move(sizes));
    float next = 0.25F;
    for (float& element : tensor.mutable_elements<float>()) {
      element = next - 0.5F;
      next = next * 3.6875F * (1 - next);
    }
    return tensor;
  };
  model.weights.emplace("w", filled({40, 4, 3, 3}));
  const Tensor x = filled({3, 4, 66, 37});
  const std::vector<Tensor> expected = compile(model).run({{"x", x}});
  ThreadPool pool(3);
  test::TemporaryFolder folder;
  const std::vector<std::string> lists[] = {
      {"x86-64", "x86-64-v3"}, {"x86-64-v3", "x86-64-v4"}, {"x86-64", "x86-64-v3", "x86-64-v4"}};
  for (std::size_t number = 0; number < std::size(lists); ++number) {
    CompileModelOptions options;
    options.form = ObjectForm::shared;
    options.variants = lists[number];
    const std::string path = folder / ("pooled" + std::to_string(number) + ".so");
    const ModelProgram program{"forward", model.graph};
    write_file(path, {compile_model({&program, 1}, model.weights, options).code});
    char reason[200] = "";
    weir_loaded_model* loaded = weir_model_open(path.c_str(), reason, sizeof(reason));
    ASSERT_NE(loaded, nullptr) << reason;
    void* library = dlopen(path.c_str(), RTLD_NOW);
    ASSERT_NE(library, nullptr);
    // Which of the variants runs is noted in the workspace.
    auto* choose = reinterpret_cast<int (*)(void*)>(dlsym(library, "pooled_init"));
    ASSERT_NE(choose, nullptr);
    const weir_program_info* run = weir_model_program(loaded, "forward");
    std::size_t fixed = 0, per_worker = 0;
    ASSERT_EQ(run->workspace_size(nullptr, &fixed, &per_worker), WEIR_OK);
    EXPECT_GE(per_worker, 2 * 37 * 40 * sizeof(float));
    EXPECT_LT(fixed + per_worker, 3 * 40 * 66 * 37 * sizeof(float));
    weir_workspace* workspace = weir_workspace_create();
    for (const weir_executor* executor :
         {static_cast<const weir_executor*>(nullptr), &pool.executor()}) {
      Tensor y(DType::f32, {3, 40, 33, 18});
      const void* inputs[] = {x.data()};
      void* outputs[] = {y.mutable_data()};
      const std::size_t workers =
          executor == nullptr ? 1 : static_cast<std::size_t>(executor->max_workers);
      void* memory = weir_workspace_reserve(workspace, fixed + per_worker * workers);
      ASSERT_EQ(choose(memory), WEIR_OK);
      weir_call call{inputs,   outputs, weir_model_describe(loaded)->weights, memory, nullptr,
                     executor, nullptr};
      EXPECT_EQ(run->run(&call), WEIR_OK);
      EXPECT_TRUE(compare(y, expected[0]).identical) << number;
    }
    weir_workspace_destroy(workspace);
    dlclose(library);
    weir_model_close(loaded);
  }
}

// The digits with a loss, and their training step and evaluation on one block of state.
struct Training {
  Model model = digits();
  Optimizer optimizer{"adagrad"};
  TrainingOptions options;
  std::vector<ModelProgram> programs;
  Weights first;

  Training() {
    model.graph = with_loss(model.graph, {"cross_entropy"});
    // A param that is not trained is a weight of both.
    options.trained = {"w1", "b1", "w3", "b3"};
    optimizer.values["initial_sum"] = 0.25;
    TrainingStep step = training_step(model.graph, optimizer, options);
    programs = {{"evaluate", on_state(model.graph, options)}, {"step", step.graph}};
    first = model.weights;
    first.merge(step.initial);
  }
};

// One call of a loaded program, with memory of its own.
int run(const weir_program_info& program, const void* weights, void* state,
        std::span<const Tensor> inputs, std::span<Tensor> outputs) {
  std::ptrdiff_t rows = inputs[0].sizes()[0];
  std::size_t fixed = 0, per_worker = 0;
  EXPECT_EQ(program.workspace_size(&rows, &fixed, &per_worker), WEIR_OK);
  Workspace workspace;
  std::vector<const void*> from;
  std::vector<void*> to;
  for (const Tensor& tensor : inputs) from.push_back(tensor.data());
  for (Tensor& tensor : outputs) to.push_back(tensor.mutable_data());
  weir_call call{from.data(), to.data(), weights, workspace.reserve(fixed + per_worker),
                 &rows,       nullptr,   state};
  return program.run(&call);
}

TEST(LoadedModel, TrainsAsTheTrainerDoes) {
  Training training;
  Trainer trainer(training.model, training.optimizer, training.options);
  test::TemporaryFolder folder;
  Tensor x = read_npy(WEIR_SOURCE_DIR "/examples/digits/x_test.npy");
  Tensor labels = read_npy(WEIR_SOURCE_DIR "/examples/digits/labels.npy");
  Tensor rate = Tensor::from<float>({0.01F}, {});
  std::vector<std::string> states;
  for (bool embed : {true, false}) {
    CompileModelOptions options;
    options.form = ObjectForm::shared;
    options.embed_weights = embed;
    CompiledModel compiled = compile_model(training.programs, training.first, options);
    std::string path = folder / (embed ? "embedded.so" : "apart.so");
    write_file(path, {compiled.code});
    char reason[200] = "";
    weir_loaded_model* loaded = weir_model_open(path.c_str(), reason, sizeof(reason));
    ASSERT_NE(loaded, nullptr) << reason;
    const weir_model_info* info = weir_model_describe(loaded);
    Workspace block, copy;
    auto* weights = static_cast<char*>(copy.reserve(info->weight_bytes));
    ASSERT_EQ(info->weights == nullptr, !embed);
    if (!embed) {
      ASSERT_EQ(compiled.weights.size(), info->weight_bytes);
      std::memcpy(weights, compiled.weights.data(), info->weight_bytes);
    }
    const void* given = embed ? info->weights : weights;
    // What evaluation reads stands first, the optimizer's memory behind it.
    ASSERT_EQ(info->state_bytes, trainer.step_executable().state_bytes());
    auto* state = static_cast<char*>(block.reserve(info->state_bytes));
    EXPECT_EQ(info->init_state(nullptr, given), WEIR_INVALID_CALL);
    EXPECT_EQ(info->init_state(state, nullptr), WEIR_INVALID_CALL);
    std::memset(state, 1, info->state_bytes);
    ASSERT_EQ(info->init_state(state, given), WEIR_OK);
    for (int i = 0; i < info->variables; ++i) {
      const weir_variable& variable = info->variable[i];
      const StateVariable& expected = trainer.state()[static_cast<std::size_t>(i)];
      EXPECT_EQ(variable.name, expected.name);
      EXPECT_EQ(variable.text, to_string(expected.type));
      Tensor first = read_state(expected, trainer.step_executable().initial_state());
      EXPECT_EQ(std::memcmp(state + variable.offset, first.data(), variable.bytes), 0)
          << variable.name;
    }
    const weir_program_info* step = weir_model_program(loaded, "step");
    const weir_program_info* evaluate = weir_model_program(loaded, "evaluate");
    EXPECT_EQ(step->state, WEIR_UPDATES_STATE);
    EXPECT_EQ(evaluate->state, WEIR_READS_STATE);
    std::vector<Tensor> inputs{x, labels, rate}, loss{Tensor(DType::f32, {})};
    EXPECT_EQ(run(*step, given, nullptr, inputs, loss), WEIR_INVALID_CALL);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(run(*step, given, state, inputs, loss), WEIR_OK);
    std::vector<Tensor> results{Tensor(DType::f32, {x.sizes()[0], 10}), Tensor(DType::f32, {})};
    EXPECT_EQ(run(*evaluate, given, state, std::vector{x, labels}, results), WEIR_OK);
    if (embed)
      for (int i = 0; i < 3; ++i) trainer.step(std::vector{x, labels}, 0.01F);
    std::vector<Tensor> expected = trainer.evaluate(std::vector{x, labels});
    for (std::size_t i = 0; i < results.size(); ++i)
      EXPECT_TRUE(compare(results[i], expected[i]).identical) << evaluate->tensors[2 + i].name;
    for (int i = 0; i < info->variables; ++i) {
      const weir_variable& variable = info->variable[i];
      Tensor now = trainer.read(variable.name);
      EXPECT_EQ(std::memcmp(state + variable.offset, now.data(), variable.bytes), 0)
          << variable.name;
    }
    weir_model_close(loaded);
  }
}

TEST(CompileModel, KnowsTheFirstValuesOfAnOptimizerWithoutThoseOfParams) {
  Training training;
  for (const auto& [name, value] : training.model.weights) training.first.erase(name);
  CompileModelOptions options;
  options.form = ObjectForm::shared;
  options.strip_weights = true;
  test::TemporaryFolder folder;
  std::string path = folder / "bare.so";
  write_file(path, {compile_model(training.programs, training.first, options).code});
  weir_loaded_model* loaded = weir_model_open(path.c_str(), nullptr, 0);
  ASSERT_NE(loaded, nullptr);
  const weir_model_info* info = weir_model_describe(loaded);
  Workspace block;
  auto* state = static_cast<char*>(block.reserve(info->state_bytes));
  std::memset(state, 1, info->state_bytes);
  EXPECT_EQ(info->init_state(state, nullptr), WEIR_OK);
  for (int i = 0; i < info->variables; ++i) {
    const weir_variable& variable = info->variable[i];
    float first = 0;
    std::memcpy(&first, state + variable.offset, sizeof(first));
    bool remembered = std::string(variable.name).find('.') != std::string::npos &&
                      std::string(variable.name) != "optimizer.step";
    EXPECT_EQ(first, remembered ? 0.25F : 0.0F) << variable.name;
  }
  weir_model_close(loaded);
}

TEST(CompileModel, DrawsFirstValuesWhereItRuns) {
  Model model;
  model.graph = load_graph(WEIR_SOURCE_DIR "/tests/lit/tools/Inputs/drawn.weir");
  TrainingOptions training{.loss = "error"};
  // Not all is trained: what is not is drawn all the same, and not kept.
  training.trained = {"w1", "b1", "shift", "b2", "rest", "zero"};
  TrainingPrograms programs = training_programs(model.graph, {"sgd"}, training);
  CompileModelOptions options;
  options.form = ObjectForm::shared;
  options.strip_weights = true;
  options.drawn = drawn_params(model.graph, model.weights, {"he"});
  options.seed = 11;
  test::TemporaryFolder folder;
  std::string path = folder / "drawn.so";
  CompiledModel compiled = compile_model(programs.programs, programs.initial, options);
  write_file(path, {compiled.code});
  EXPECT_THAT(compiled.header, HasSubstr("params are drawn, from the seed 11."));
  weir_loaded_model* loaded = weir_model_open(path.c_str(), nullptr, 0);
  ASSERT_NE(loaded, nullptr);
  const weir_model_info* info = weir_model_describe(loaded);
  Workspace block;
  auto* state = static_cast<char*>(block.reserve(info->state_bytes));
  std::memset(state, 1, info->state_bytes);
  EXPECT_EQ(info->init_state(nullptr, nullptr), WEIR_INVALID_CALL);
  EXPECT_EQ(info->init_state(state, nullptr), WEIR_OK);
  initialize(model, {"he"}, 11);
  EXPECT_EQ(info->variables, 6);
  for (int i = 0; i < info->variables; ++i) {
    const weir_variable& variable = info->variable[i];
    const Tensor& expected = model.weights.at(variable.name);
    ASSERT_EQ(expected.byte_count(), variable.bytes);
    EXPECT_EQ(std::memcmp(state + variable.offset, expected.data(), variable.bytes), 0)
        << variable.name;
  }
  weir_model_close(loaded);
  // Another seed makes another model.
  options.seed = 12;
  EXPECT_NE(compile_model(programs.programs, programs.initial, options).header, compiled.header);
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
  for (int version : {99, WEIR_ABI_VERSION + 1, WEIR_ABI_OLDEST_VERSION - 1}) {
    code[note + 12] = static_cast<char>(version);
    EXPECT_THAT(shared.reason_of(code), HasSubstr("the model has version " +
                                                  std::to_string(version) + " of the interface"));
  }
}

TEST(LoadedModel, MayBeOfTheOldestVersion) {
  SharedDigits shared;
  std::string code = shared.code;
  std::size_t note = code.find(std::string("\1\0\0\0Weir\0\0\0\0", 12));
  ASSERT_NE(note, std::string::npos);
  code[note + 12] = WEIR_ABI_OLDEST_VERSION;
  write_file(shared.path, {code});
  char reason[200] = "";
  weir_loaded_model* loaded = weir_model_open(shared.path.c_str(), reason, sizeof(reason));
  EXPECT_NE(loaded, nullptr) << reason;
  weir_model_close(loaded);
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
