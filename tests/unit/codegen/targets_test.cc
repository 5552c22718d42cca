// Every op, its gradient and every element type, compiled for every kind of target: an object needs
// no function from any library. LLVM calls one wherever a target lacks an instruction, without a
// word, so this is the only way to know.

#include <ostream>

#include <gtest/gtest.h>

#include "compiler/autodiff/gradient.h"
#include "compiler/pipeline.h"
#include "op_graphs.h"
#include "tests/support/graphs.h"
#include "undefined_symbols.h"

namespace weir {
namespace {

using test::OpCase;

struct Machine {
  const char* name;
  TargetSpec spec;
};

void PrintTo(const Machine& machine, std::ostream* stream) { *stream << machine.name; }

const Machine kMachines[] = {
    {"x86_64_v1", {"x86_64", "x86-64", ""}},
    {"x86_64_v2", {"x86_64", "x86-64-v2", ""}},
    {"x86_64_v3", {"x86_64", "x86-64-v3", ""}},
    {"x86_64_v4", {"x86_64", "x86-64-v4", ""}},
    {"aarch64", {"aarch64", "", ""}},
    {"armv7", {"armv7", "", ""}},
    {"rv64gc", {"riscv64", "", ""}},
    {"wasm32", {"wasm32", "", ""}},
    {"wasm32_simd", {"wasm32", "", "+simd128"}},
};

bool is_allowed(const std::string& symbol) {
  // What every freestanding C environment has.
  if (symbol == "memcpy" || symbol == "memset") return true;
  // Every WebAssembly object imports its memory, its stack pointer and the table of its function
  // pointers; the linker defines them.
  return symbol == "__linear_memory" || symbol == "__stack_pointer" ||
         symbol == "__indirect_function_table" || symbol == "__memory_base" ||
         symbol == "__table_base";
}

std::string needed_symbols(const Graph& graph, const TargetSpec& spec) {
  CompileOptions options;
  options.target = spec;
  options.debug_lines = false;
  ObjectCode object = compile_object(graph, options);
  std::string needed;
  for (const std::string& symbol : test::ObjectReader(object.bytes).undefined_symbols())
    if (!is_allowed(symbol)) needed += (needed.empty() ? "" : ", ") + symbol;
  return needed;
}

class Targets : public testing::TestWithParam<Machine> {};

TEST_P(Targets, NoOpNeedsALibrary) {
  std::vector<OpCase> group;
  auto check = [&] {
    std::string needed = needed_symbols(test::graph_of(group), GetParam().spec);
    // Who needs it is worth a compilation each only when somebody does.
    if (!needed.empty()) {
      for (const OpCase& one : group)
        EXPECT_EQ(needed_symbols(test::graph_of({one}), GetParam().spec), "") << one.name;
    }
    EXPECT_EQ(needed, "");
    group.clear();
  };
  for (const auto& declared : all_ops()) {
    for (const OpDef* op : test::with_gradients(*declared)) {
      std::vector<OpCase> cases = test::cases_of(*op);
      EXPECT_FALSE(cases.empty()) << "op_graphs.h finds no operands and attributes for "
                                  << op->name;
      for (OpCase& one : cases) group.push_back(std::move(one));
    }
    if (group.size() > 40) check();
  }
  if (!group.empty()) check();
}

// Of sizes at which operands are copied into panels and frames, folds are cut into chunks, and
// stores go past the caches.
TEST_P(Targets, NoSizeNeedsALibrary) {
  const Graph forward = test::parse(
      R"(graph @m(%images: f32[N, 16, 24, 24], %far: f32[4194304]) -> (f32[], f32[4194304]) {
  param %filters: f32[32, 16, 3, 3] = normal
  param %w: f16[40, 4608] = normal
  param %bias: f32[40] = zeros
  %conv = conv(%images, %filters) {low = [1, 1], high = [1, 1]}
  %active = leaky_relu(%conv)
  %pooled = max_pool(%active) {kernel = [2, 2], strides = [2, 2]}
  %flat = reshape(%pooled) {shape = [N, 4608]}
  %wide = cast(%w) {dtype = f32}
  %scores = linear(%flat, %wide, %bias)
  %parts = softmax(%scores)
  %loss = reduce_sum(%parts)
  %streamed = leaky_relu(%far)
  return %loss, %streamed
})");
  const Graph both = gradient(forward, std::vector<std::string>{"filters", "w", "bias"});
  EXPECT_EQ(needed_symbols(both, GetParam().spec), "");
}

INSTANTIATE_TEST_SUITE_P(Long, Targets, testing::ValuesIn(kMachines),
                         [](const auto& machine) { return std::string(machine.param.name); });

// The reader sees what is there: a symbol that the object defines is not undefined, and the two
// entry points are defined in every format.
TEST(ObjectReader, EntryPointsAreDefined) {
  GraphBuilder builder("small");
  Var x = builder.input("x", DType::f32, {4});
  builder.output("y", builder.apply("relu", {x}));
  Graph graph = builder.finish().graph;
  for (const Machine& machine : kMachines) {
    CompileOptions options;
    options.target = machine.spec;
    ObjectCode object = compile_object(graph, options);
    EXPECT_NE(object.bytes.find(object.program_symbol), std::string::npos) << machine.name;
    for (const std::string& symbol : test::ObjectReader(object.bytes).undefined_symbols())
      EXPECT_TRUE(is_allowed(symbol)) << machine.name << " needs " << symbol;
  }
}

}  // namespace
}  // namespace weir
