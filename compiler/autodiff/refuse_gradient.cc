#include "compiler/autodiff/refuse_gradient.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ir/diagnostic.h"
#include "ir/op.h"

namespace weir {
namespace {

// A way along which the gradient comes, from an output to the value, which is not part of it.
std::vector<ValueId> path_from_output(const Graph& graph, ValueId value,
                                      std::span<const ValueId> outputs, const GradientFlow& flow) {
  std::unordered_map<ValueId, ValueId> read{
      {value, {}}};  // by value on a way to `value`: the next one on it
  auto passes = [&](ValueId id) { return flow.depends[id.index] && flow.reached[id.index]; };
  auto is_output = [&](ValueId id) {
    return std::find(outputs.begin(), outputs.end(), id) != outputs.end();
  };
  std::vector<ValueId> path;
  auto follow = [&](ValueId id) {
    for (; id.valid() && id != value; id = read.at(id)) path.push_back(id);
  };
  if (is_output(value)) return path;
  for (std::size_t i = graph.value(value).producer.index + 1; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    auto operand = std::find_if(node.operands.begin(), node.operands.end(),
                                [&](ValueId id) { return read.contains(id); });
    if (operand == node.operands.end()) continue;
    for (ValueId result : node.results) {
      if (!passes(result)) continue;
      read.emplace(result, *operand);
      if (!is_output(result)) continue;
      follow(result);
      return path;
    }
  }
  return path;
}

}  // namespace

void refuse_gradient(const Graph& graph, const Node& node, std::span<const ValueId> outputs,
                     const GradientFlow& flow) {
  constexpr std::size_t kShown = 3;  // at each end of a long run
  auto described = [&](ValueId id) {
    const Value& value = graph.value(id);
    std::string name = value.name.empty() ? "" : "%" + value.name;
    if (value.kind != Value::Kind::result) return name;
    const std::string& op = graph.node(value.producer).op->name;
    return name.empty() ? op : name + " = " + op;
  };
  std::vector<std::string> path;
  auto append = [&](std::span<const ValueId> values) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (values.size() > 2 * kShown + 1 && i == kShown) {
        path.push_back(fmt::format("... {} more ...", values.size() - 2 * kShown));
        i = values.size() - kShown;
      }
      path.push_back(described(values[i]));
    }
  };
  auto depends = [&](ValueId id) { return flow.depends[id.index]; };
  ValueId own = *std::find_if(node.results.begin(), node.results.end(), depends);
  append(path_from_output(graph, own, outputs, flow));
  append({&own, 1});
  // Any way on to a source shows why the node's gradient is needed.
  std::vector<ValueId> behind;
  ValueId source = own;
  for (;;) {
    const std::vector<ValueId>& operands = graph.node(graph.value(source).producer).operands;
    source = *std::find_if(operands.begin(), operands.end(), depends);
    if (graph.value(source).kind != Value::Kind::result) break;
    behind.push_back(source);
  }
  append(behind);
  throw Error(
      node.location,
      fmt::format("{} has no gradient: {}; the path from the outputs to %{} is {}", node.op->name,
                  node.op->gradient.reason, graph.value(source).name, fmt::join(path, ", ")));
}

}  // namespace weir
