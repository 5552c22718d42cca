// See compiled.h. An executor may run tasks in any order; the backward one finds what depends on it
// without waiting for chance.
#include "tests/unit/pipeline/compiled.h"

#include <array>

#include <fmt/format.h>

#include "ir/text.h"
#include "runtime/thread_pool.h"

namespace weir::test {
namespace {

std::vector<VectorLevel> find_levels() {
#if defined(__x86_64__)
  bool fma = __builtin_cpu_supports("fma") != 0;
  bool has_avx2 = __builtin_cpu_supports("avx2") != 0 && fma;
  std::vector<VectorLevel> levels{{"", fma}};
  // Without AVX-512 this machine's own level is that of AVX2.
  if (has_avx2 && __builtin_cpu_supports("avx512f") != 0) levels.push_back({"x86-64-v3", true});
  if (__builtin_cpu_supports("sse4.2") != 0) levels.push_back({"x86-64-v2", false});
  levels.push_back({"x86-64", false});
  return levels;
#else
  return {{"", true}};
#endif
}

void run_backwards(void*, std::ptrdiff_t tasks, weir_task task, void* argument) {
  for (std::ptrdiff_t i = tasks; i-- > 0;) task(argument, i, static_cast<int>(i % 4));
}

const weir_executor kBackwards{nullptr, 4, run_backwards, nullptr, nullptr, nullptr};

}  // namespace

std::span<const VectorLevel> vector_levels() {
  static const std::vector<VectorLevel> levels = find_levels();
  return levels;
}

std::vector<VectorLevel> levels_of_turn(std::uint64_t turn) {
  std::vector<VectorLevel> levels;
  for (const VectorLevel& level : vector_levels())
    if (level.cpu != "x86-64-v2" || turn % 4 == 0) levels.push_back(level);
  return levels;
}

std::string Way::name() const {
  return fmt::format("{}{}{}{}{}", level.name(), fuse ? "" : ", not fused",
                     reuse_memory ? "" : ", no memory reused",
                     orders_state ? ", state in an order of its own" : "",
                     contract ? ", contracted" : "");
}

Executable compile(const Program& program, const Way& way) {
  CompileOptions options;
  options.target.cpu = way.level.cpu;
  options.fuse = way.fuse;
  options.reuse_memory = way.reuse_memory;
  options.orders_state = way.orders_state;
  options.contract = way.contract;
  options.debug_lines = false;
  return weir::compile(Model{program.graph, program.weights}, options);
}

std::vector<Tensor> interpret_expanded(const Program& program, bool has_fma, bool contract) {
  CompileOptions options;
  options.contract = contract;
  return interpret(has_fma && !contract ? program.graph : optimize(program.graph, options),
                   program.weights, program.inputs, {{scalar::Numerics::Mode::expanded, has_fma}});
}

std::optional<std::string> difference(const Graph& graph, std::span<const Tensor> actual,
                                      std::span<const Tensor> expected) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const std::string& name = graph.outputs()[i].name;
    if (to_string(actual[i].type()) != to_string(expected[i].type()))
      return fmt::format("output {} is {} instead of {}", name, to_string(actual[i].type()),
                         to_string(expected[i].type()));
    Difference found = compare(actual[i], expected[i]);
    if (found.identical) continue;
    for (std::int64_t at = 0; at < actual[i].element_count(); ++at)
      if (!scalar::same_value(actual[i].dtype(), actual[i].bits(at), expected[i].bits(at)))
        return fmt::format(
            "element {} of output {}, {}: {} ({:#x}) instead of {} ({:#x})", at, name,
            to_string(actual[i].type()), scalar::to_double(actual[i].dtype(), actual[i].bits(at)),
            actual[i].bits(at).value, scalar::to_double(expected[i].dtype(), expected[i].bits(at)),
            expected[i].bits(at).value);
    return fmt::format("output {} differs", name);
  }
  return std::nullopt;
}

std::optional<std::string> difference_run(const Graph& graph, const Executable& executable,
                                          const Inputs& inputs, std::span<const Tensor> expected,
                                          std::span<const weir_executor* const> executors) {
  if (auto found = difference(graph, executable.run(inputs), expected)) return found;
  for (const weir_executor* executor : executors)
    if (auto found = difference(graph, executable.run(inputs, executor), expected))
      return fmt::format("{} workers: {}", executor->max_workers, *found);
  return std::nullopt;
}

std::optional<std::string> difference_compiled(const Program& program, const Way& way,
                                               std::span<const Tensor> expected,
                                               std::span<const weir_executor* const> executors) {
  try {
    Executable executable = compile(program, way);
    if (auto found = difference_run(program.graph, executable, program.inputs, expected, executors))
      return way.name() + ": " + *found;
  } catch (const std::exception& error) {
    return way.name() + ": " + error.what();
  }
  return std::nullopt;
}

std::span<const weir_executor* const> test_executors() {
  static ThreadPool pool(2);
  static const std::array<const weir_executor*, 2> executors{&pool.executor(), &kBackwards};
  return executors;
}

std::optional<std::string> difference_on_levels(const Graph& graph, const Weights& weights,
                                                std::span<const Inputs> runs) try {
  std::vector<std::array<std::optional<std::vector<Tensor>>, 2>> expected(runs.size());
  Program program{graph, weights, {}};
  for (const VectorLevel& level : vector_levels()) {
    Executable executable = compile(program, {level});
    for (std::size_t i = 0; i < runs.size(); ++i) {
      program.inputs = runs[i];
      auto& results = expected[i][level.has_fma ? 1 : 0];
      if (!results) results = interpret_expanded(program, level.has_fma);
      if (auto found = difference_run(graph, executable, runs[i], *results, test_executors()))
        return fmt::format("{}: {}\n{}", level.name(), *found, describe(program));
    }
  }
  return std::nullopt;
} catch (const std::exception& error) {
  return fmt::format("{}\n{}", error.what(), print(graph));
}

std::string describe(const Program& program) {
  std::string text = print(program.graph);
  auto add = [&](const std::string& name, const Tensor& tensor) {
    text += fmt::format("// {} = {}", name, to_string(tensor.type()));
    if (tensor.element_count() <= 64) text += " " + tensor.to_string();
    text += "\n";
  };
  for (const auto& [name, tensor] : program.inputs) add(name, tensor);
  for (const auto& [name, tensor] : program.weights) add(name, tensor);
  return text;
}

}  // namespace weir::test
