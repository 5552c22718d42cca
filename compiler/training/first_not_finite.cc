#include "compiler/training/first_not_finite.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "compiler/passes/graph_rewriter.h"
#include "compiler/pipeline.h"
#include "ir/escape.h"
#include "ir/op.h"

namespace weir {
namespace {

// What can be wrong with a value, the worse the larger.
enum class Fault : std::uint8_t { none, infinite, nan };

Fault fault_of(double value) {
  if (std::isnan(value)) return Fault::nan;
  return std::isinf(value) ? Fault::infinite : Fault::none;
}

// The step with what every node computes as an output, and nothing updated.
Graph with_all_results(const Graph& step) {
  GraphRewriter rewriter(step);
  std::size_t count = 0;
  for (const Node& node : step.nodes()) {
    rewriter.copy(node);
    for (ValueId result : node.results)
      rewriter.target().add_output(rewriter.mapped(result), fmt::format("result{}", count++));
  }
  return std::move(rewriter.target());
}

bool is_updated(const Graph& graph, ValueId param) {
  return std::any_of(graph.outputs().begin(), graph.outputs().end(),
                     [&](const Graph::Output& output) { return output.updates == param; });
}

Weights weights_now(const Trainer& trainer) {
  Weights weights = trainer.model().weights;
  for (auto& [name, value] : trainer.read_state()) weights.insert_or_assign(name, value);
  return weights;
}

}  // namespace

double not_finite_element(const Tensor& tensor) {
  double worst = 0;
  if (!is_float(tensor.dtype())) return worst;
  for (std::int64_t i = 0; i < tensor.element_count(); ++i) {
    double value = scalar::to_double(tensor.dtype(), tensor.bits(i));
    if (std::isnan(value)) return value;
    if (std::isinf(value) && worst == 0) worst = value;
  }
  return worst;
}

Error not_finite_error(const Trainer& trainer, std::span<const Tensor> inputs, double learning_rate,
                       std::int64_t step) {
  const Graph& graph = trainer.step_graph();
  auto error = [&](const Location& location, double value, std::string_view where) {
    return Error(location, fmt::format("step {} gives {} first in {}; it updated nothing", step,
                                       scalar::shortest(value), where));
  };
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (double value = not_finite_element(inputs[i]); fault_of(value) != Fault::none) {
      const Value& input = graph.value(graph.inputs()[i]);
      return error(input.location, value, fmt::format("the input {}", value_name(input.name)));
    }
  Weights weights = weights_now(trainer);
  std::map<ValueId, Fault> faults;
  for (ValueId id : graph.params()) {
    const Value& param = graph.value(id);
    double value = not_finite_element(weights.at(param.name));
    Fault fault = faults[id] = fault_of(value);
    if (fault == Fault::nan || (fault == Fault::infinite && is_updated(graph, id)))
      return error(param.location, value, fmt::format("the param {}", value_name(param.name)));
  }
  std::vector<Tensor> all(inputs.begin(), inputs.end());
  Tensor rate(graph.type(graph.inputs().back()).dtype, {});
  rate.set_bits(0, scalar::bits_of(rate.dtype(), learning_rate));
  all.push_back(rate);
  std::vector<Tensor> results = compile({with_all_results(graph), weights}).run(all);
  std::optional<Error> passed_on;
  std::size_t next = 0;
  for (const Node& node : graph.nodes()) {
    Fault given = Fault::none;
    for (ValueId operand : node.operands) given = std::max(given, faults[operand]);
    for (ValueId id : node.results) {
      double value = not_finite_element(results[next++]);
      Fault fault = faults[id] = fault_of(value);
      if (fault == Fault::none || node.operands.empty()) continue;
      const Value& result = graph.value(id);
      Error found = error(node.location, value,
                          result.name.empty()
                              ? node.op->name
                              : fmt::format("{} = {}", value_name(result.name), node.op->name));
      if (fault > given) return found;
      if (!passed_on) passed_on = std::move(found);
    }
  }
  if (passed_on) return *passed_on;
  return Error(
      fmt::format("step {} gives numbers that are infinite or NaN; it updated nothing", step));
}

}  // namespace weir
