// Programs compiled in parts: every kernel in one of them, and the same code whoever compiles it.

#include <string>
#include <utility>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compiler/codegen/object.h"
#include "compiler/codegen/partition.h"
#include "compiler/make_executable.h"
#include "compiler/pipeline.h"
#include "ir/text.h"
#include "runtime/thread_pool.h"

namespace weir {
namespace {

// Kernels that differ, for the number of features is a constant in each.
int different(int kernel) { return kernel + 2; }

Program program_of(int kernels, int (*features)(int kernel) = different) {
  std::string inputs, nodes, types, results;
  for (int i = 0; i < kernels; ++i) {
    const char* comma = i == 0 ? "" : ", ";
    inputs += fmt::format("{}%x{}: f32[N, {}]", comma, i, features(i));
    nodes +=
        fmt::format("  %s{0} = softmax(%x{0}) {{axis = -1}}\n  %y{0} = leaky_relu(%s{0})\n", i);
    types += fmt::format("{}f32[N, {}]", comma, features(i));
    results += fmt::format("{}%y{}", comma, i);
  }
  std::string text =
      fmt::format("graph @many({}) -> ({}) {{\n{}  return {}\n}}\n", inputs, types, nodes, results);
  return lower_graph(parse_graph(text, "many"));
}

TEST(Partition, every_kernel_is_in_one_range) {
  for (int kernels : {1, 2, 7, 40}) {
    Program program = program_of(kernels);
    ASSERT_EQ(program.kernels.size(), static_cast<std::size_t>(kernels));
    std::size_t next = 0;
    for (KernelRange range : partition_kernels(program)) {
      EXPECT_EQ(range.first, next);
      EXPECT_LT(range.first, range.last);
      next = range.last;
    }
    EXPECT_EQ(next, program.kernels.size());
  }
  EXPECT_GE(partition_kernels(program_of(40)).size(), 4u) << "enough for several threads";
}

// A few layers take longer to compile than as many kernels of maps, for their tiles are written
// out.
TEST(Partition, a_few_layers_are_worth_several_parts) {
  std::string params, nodes, value = "x";
  for (int i = 0; i < 4; ++i) {
    params += fmt::format("  param %w{}: f32[{}, {}]\n", i, 64 - i, 63 - i);
    nodes += fmt::format("  %t{0} = matmul(%{1}, %w{0})\n  %a{0} = leaky_relu(%t{0})\n", i, value);
    value = fmt::format("a{}", i);
  }
  const Program layers = lower_graph(parse_graph(
      fmt::format("graph @layers(%x: f32[N, 64]) -> (f32[N, 60]) {{\n{}{}  return %{}\n}}\n",
                  params, nodes, value),
      "layers"));
  ASSERT_EQ(layers.kernels.size(), 4u);
  EXPECT_GT(partition_kernels(layers).size(), 1u);
  EXPECT_EQ(partition_kernels(program_of(2)).size(), 1u);
}

TEST(Partition, a_program_without_kernels_has_one_part) {
  Program program =
      lower_graph(parse_graph("graph @same(%x: f32[4]) -> (f32[4]) { return %x }", "same"));
  Program empty = program;
  empty.kernels.clear();
  EXPECT_EQ(partition_kernels(empty).size(), 1u);
}

TEST(Partition, code_does_not_depend_on_who_compiles_it) {
  Program program = program_of(12);
  Target target = resolve_target({});
  ThreadPool pool(3);
  LoadableCode alone = compile_for_loading(program, target);
  LoadableCode together =
      compile_for_loading(program, target, {.executor = &pool.executor(), .timing = {}});
  ASSERT_GT(alone.objects.size(), 1u);
  ASSERT_EQ(alone.objects.size(), together.objects.size());
  for (std::size_t i = 0; i < alone.objects.size(); ++i)
    EXPECT_TRUE(alone.objects[i] == together.objects[i]) << "object " << i;
}

TEST(Partition, parts_find_each_other) {
  Program program = program_of(12);
  Executable executable =
      make_executable(program, LoadedCode(compile_for_loading(program, resolve_target({}))), {});
  std::vector<Tensor> inputs;
  for (int i = 0; i < 12; ++i) inputs.push_back(Tensor(DType::f32, {3, i + 2}));
  std::vector<Tensor> outputs = executable.run(inputs);
  // Equal inputs: every element of a softmax is one over their number.
  for (int i = 0; i < 12; ++i)
    for (float y : outputs[static_cast<std::size_t>(i)].elements<float>())
      EXPECT_FLOAT_EQ(y, 1.0f / static_cast<float>(i + 2));
}

// Functions of their own check the pointers of many inputs and outputs: each one is missed, unless
// it has no elements.
TEST(Partition, each_of_many_pointers_is_checked) {
  constexpr int kernels = 40;
  Program program = program_of(kernels);
  for (bool whole : {false, true}) {
    LoadableCode parts = compile_for_loading(program, resolve_target({}));
    if (whole) {
      ObjectCode object = compile_object(program, resolve_target({}));
      parts = {{object.bytes}, object.program_symbol, object.workspace_symbol};
    }
    LoadedCode code(parts);
    std::vector<float> memory(2 * kernels * (kernels + 2));
    std::vector<const void*> inputs(kernels);
    std::vector<void*> outputs(kernels);
    for (std::size_t i = 0; i < kernels; ++i) {
      inputs[i] = memory.data() + i * (kernels + 2);
      outputs[i] = memory.data() + (kernels + i) * (kernels + 2);
    }
    std::ptrdiff_t rows = 1;
    weir_call call{inputs.data(), outputs.data(), nullptr, nullptr, &rows, nullptr, nullptr};
    EXPECT_EQ(code.program()(&call), WEIR_OK);
    for (std::size_t i = 0; i < kernels; ++i) {
      const void* input = std::exchange(inputs[i], nullptr);
      EXPECT_EQ(code.program()(&call), WEIR_INVALID_CALL) << "input " << i;
      inputs[i] = input;
      void* output = std::exchange(outputs[i], nullptr);
      EXPECT_EQ(code.program()(&call), WEIR_INVALID_CALL) << "output " << i;
      outputs[i] = output;
    }
    rows = 0;
    inputs.assign(kernels, nullptr);
    outputs.assign(kernels, nullptr);
    EXPECT_EQ(code.program()(&call), WEIR_OK);
  }
}

// Rows of as many features each: one kernel, whatever memory it works on.
TEST(Partition, equal_kernels_are_compiled_once) {
  constexpr int calls = 30;
  Program program = program_of(calls, [](int) { return 6; });
  EXPECT_EQ(program.calls.size(), std::size_t{calls});
  EXPECT_EQ(program.kernels.size(), 1u);
  std::string assembly = assembly_text(program, resolve_target({}));
  std::size_t functions = 0;
  for (std::size_t at = 0; (at = assembly.find("\nk", at)) != std::string::npos; ++at)
    functions += assembly[at + 2] >= '0' && assembly[at + 2] <= '9' ? 1 : 0;
  EXPECT_EQ(functions, 1u) << assembly;
  EXPECT_EQ(compile_for_loading(program, resolve_target({})).objects.size(), 1u);
}

TEST(Partition, the_fault_of_a_task_reaches_the_caller) {
  Program program = program_of(12);
  Target target = resolve_target({});
  target.triple = "no-such-machine";
  ThreadPool pool(2);
  EXPECT_ANY_THROW(
      compile_for_loading(program, target, {.executor = &pool.executor(), .timing = {}}));
}

}  // namespace
}  // namespace weir
