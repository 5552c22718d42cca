#include "compiler/autodiff/gradient_ends.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ir/diagnostic.h"
#include "ir/escape.h"
#include "ir/type.h"

namespace weir {
namespace {

std::string listed(const Graph& graph, std::span<const ValueId> values) {
  std::vector<std::string> names;
  for (ValueId value : values) names.push_back(printable(graph.value(value).name));
  return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

std::vector<ValueId> gradient_sources(const Graph& graph, std::span<const std::string> wrt) {
  std::vector<ValueId> result;
  for (const std::string& name : wrt) {
    ValueId id = graph.find(name);
    if (!id.valid() || graph.value(id).kind == Value::Kind::result)
      throw Error(
          fmt::format("{} is not an input or param of {}, so there is no gradient with respect to "
                      "it; inputs: {}; params: {}",
                      printable(name), printable(graph.name()), listed(graph, graph.inputs()),
                      listed(graph, graph.params())));
    const Value& value = graph.value(id);
    if (!is_float(value.type.dtype))
      throw Error(value.location,
                  fmt::format("{} has the type {}, and only floating-point values have a "
                              "gradient",
                              printable(name), to_string(value.type)));
    if (std::find(result.begin(), result.end(), id) != result.end())
      throw Error(
          fmt::format("the gradient with respect to {} is asked for twice", printable(name)));
    result.push_back(id);
  }
  return result;
}

std::vector<ValueId> gradient_targets(const Graph& graph, std::span<const std::string> names) {
  std::vector<std::string> known;
  for (const Graph::Output& output : graph.outputs())
    known.push_back(fmt::format("{} ({})", output.name, to_string(graph.type(output.value))));
  std::vector<ValueId> result;
  if (names.empty()) {
    for (const Graph::Output& output : graph.outputs())
      if (is_float(graph.type(output.value).dtype)) result.push_back(output.value);
    if (result.empty())
      throw Error(known.empty()
                      ? fmt::format("{} has no outputs to differentiate", graph.name())
                      : fmt::format("{} has no floating-point output to differentiate; its "
                                    "outputs: {}",
                                    graph.name(), fmt::join(known, ", ")));
  }
  for (const std::string& name : names) {
    auto outputs = graph.outputs();
    auto found = std::find_if(outputs.begin(), outputs.end(),
                              [&](const Graph::Output& output) { return output.name == name; });
    if (found == outputs.end())
      throw Error(fmt::format("{} has no output {}; its outputs: {}", graph.name(), name,
                              fmt::join(known, ", ")));
    if (!is_float(graph.type(found->value).dtype))
      throw Error(
          fmt::format("the output {} has the type {}, and only floating-point values have a "
                      "gradient",
                      name, to_string(graph.type(found->value))));
    result.push_back(found->value);
  }
  return result;
}

}  // namespace weir
