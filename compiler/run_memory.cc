#include "compiler/run_memory.h"

#include <algorithm>
#include <limits>
#include <vector>

#include <fmt/format.h>

#include "ir/graph.h"

namespace weir {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

std::int64_t sum(std::int64_t a, std::int64_t b) {
  std::int64_t result;
  return __builtin_add_overflow(a, b, &result) ? kMost : result;
}

std::int64_t bytes_of_weights(const Weights& weights) {
  std::int64_t bytes = 0;
  for (const auto& [name, tensor] : weights)
    bytes = sum(bytes, static_cast<std::int64_t>(tensor.byte_count()));
  return bytes;
}

// The most that results of nodes take at one time, if each is dropped after its last use.
std::int64_t peak_of_results(const Graph& graph, const Dim::Bindings& bindings) {
  std::vector<std::size_t> uses(graph.value_count(), 0);
  for (const Node& node : graph.nodes())
    for (ValueId operand : node.operands) ++uses[operand.index];
  for (const Graph::Output& output : graph.outputs()) ++uses[output.value.index];
  std::int64_t live = 0, peak = 0;
  for (const Node& node : graph.nodes()) {
    for (ValueId result : node.results)
      live = sum(live, bytes_of_type(graph.type(result), bindings));
    peak = std::max(peak, live);
    if (live == kMost) return kMost;
    auto drop = [&](ValueId id) {
      if (uses[id.index] == 0 && graph.value(id).kind == Value::Kind::result)
        live -= bytes_of_type(graph.type(id), bindings);
    };
    for (ValueId operand : node.operands)
      if (--uses[operand.index] == 0) drop(operand);
    std::for_each(node.results.begin(), node.results.end(), drop);
  }
  return peak;
}

}  // namespace

std::int64_t RunMemory::total() const { return sum(sum(inputs, outputs), sum(weights, between)); }

void RunMemory::check(std::int64_t limit) const {
  if (total() <= limit) return;
  auto shown = [](std::int64_t bytes) {
    return bytes == kMost ? std::string("more than 2^63") : fmt::format("{}", bytes);
  };
  throw Error(fmt::format(
      "a run takes {} bytes ({} of inputs, {} of outputs, {} of weights and {} of "
      "workspace), and at most {} are allowed; --max-memory sets this limit",
      shown(total()), shown(inputs), shown(outputs), shown(weights), shown(between), limit));
}

std::int64_t bytes_of_type(const TensorType& type, const Dim::Bindings& bindings) {
  std::int64_t bytes = byte_size(type.dtype);
  bool overflows = false;
  for (const Dim& dim : type.shape) {
    std::int64_t size = dim.evaluate(bindings).value_or(kMost);
    if (size == 0) return 0;
    overflows = overflows || __builtin_mul_overflow(bytes, size, &bytes);
  }
  return overflows ? kMost : bytes;
}

RunMemory memory_of_run(const Model& model, const Executable& executable,
                        const Dim::Bindings& bindings) {
  RunMemory memory;
  for (const Signature& input : executable.inputs())
    memory.inputs = sum(memory.inputs, bytes_of_type(input.type, bindings));
  for (const Signature& output : executable.outputs())
    memory.outputs = sum(memory.outputs, bytes_of_type(output.type, bindings));
  memory.weights = bytes_of_weights(model.weights);
  std::vector<std::ptrdiff_t> dims;
  for (const std::string& symbol : executable.symbols())
    dims.push_back(static_cast<std::ptrdiff_t>(bindings.at(symbol)));
  std::size_t workspace = executable.workspace_bytes(dims);
  memory.between =
      workspace > static_cast<std::size_t>(kMost) ? kMost : static_cast<std::int64_t>(workspace);
  return memory;
}

RunMemory memory_of_interpreting(const Model& model, const Dim::Bindings& bindings) {
  RunMemory memory;
  const Graph& graph = model.graph;
  for (ValueId input : graph.inputs())
    memory.inputs = sum(memory.inputs, bytes_of_type(graph.type(input), bindings));
  memory.weights = bytes_of_weights(model.weights);
  // Outputs are among the results of nodes, and last to the end.
  memory.between = peak_of_results(graph, bindings);
  return memory;
}

}  // namespace weir
