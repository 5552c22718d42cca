#include "compiler/passes/graph_rewriter.h"

#include <fmt/format.h>

namespace weir {

GraphRewriter::GraphRewriter(const Graph& source, const std::function<bool(ValueId)>& keeps_input)
    : source_(source), target_(source.name()), map_(source.value_count()) {
  target_.reserve(source.nodes().size());
  // Inputs and params may be declared in any order between each other; their ids keep it.
  for (std::uint32_t i = 0; i < source.value_count(); ++i) {
    const Value& value = source.value({i});
    if (value.kind == Value::Kind::input && (!keeps_input || keeps_input({i}))) {
      map_[i] = target_.add_input(value.name, value.type, value.location);
    } else if (value.kind == Value::Kind::param) {
      map_[i] = target_.add_param(value.name, value.type, value.location);
      if (const Initializer* declared = source.initializer({i}))
        target_.set_initializer(map_[i], *declared);
    }
  }
}

ValueId GraphRewriter::mapped(ValueId value) const {
  WEIR_CHECK(map_[value.index].valid(),
             fmt::format("value {} is used before it is mapped", value.index));
  return map_[value.index];
}

std::vector<ValueId> GraphRewriter::mapped(std::span<const ValueId> values) const {
  std::vector<ValueId> result;
  result.reserve(values.size());
  for (ValueId value : values) result.push_back(mapped(value));
  return result;
}

void GraphRewriter::replace(ValueId value, ValueId replacement) {
  WEIR_CHECK(source_.type(value) == target_.type(replacement),
             fmt::format("{} is replaced by {}", to_string(source_.type(value)),
                         to_string(target_.type(replacement))));
  map_[value.index] = replacement;
}

NodeId GraphRewriter::copy(const Node& node) {
  std::vector<std::string> names;
  for (ValueId result : node.results) names.push_back(source_.value(result).name);
  NodeId id =
      target_.add_node(*node.op, mapped(node.operands), node.attributes, node.location, names);
  const std::vector<ValueId>& results = target_.node(id).results;
  for (std::size_t i = 0; i < results.size(); ++i) replace(node.results[i], results[i]);
  return id;
}

ValueId GraphRewriter::add(const OpDef& op, std::vector<ValueId> operands, Attributes attributes,
                           const Location& location, const std::string& name) {
  return target_.result(
      target_.add_node(op, std::move(operands), std::move(attributes), location, {&name, 1}));
}

Graph GraphRewriter::finish() && {
  for (const Graph::Output& output : source_.outputs())
    target_.add_output_like(output, mapped(output.value),
                            output.updates.valid() ? mapped(output.updates) : ValueId{});
  return std::move(target_);
}

}  // namespace weir
