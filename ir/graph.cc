#include "ir/graph.h"

#include <algorithm>

#include <fmt/format.h>

#include "ir/escape.h"
#include "ir/op.h"

namespace weir {
namespace {

// Refuses types whose values no code could index.
void check_type(const TensorType& type) {
  const Shape& shape = type.shape;
  if (shape.size() > kMaximumRank)
    throw Error(
        fmt::format("a tensor of {} dimensions; {} are the most", shape.size(), kMaximumRank));
  for (const Dim& dim : shape)
    if (dim.is_constant() && dim.value() < 0)
      throw Error(fmt::format("a dimension of {} is negative", to_string(shape)));
  static_cast<void>(element_count(shape) * Dim(byte_size(type.dtype)));
}

void check_type(const std::string& name, const TensorType& type, const Location& location) {
  try {
    check_type(type);
  } catch (const Error& error) {
    throw Error(location, fmt::format("{}: {}", value_name(name), error.diagnostic().message));
  }
}

}  // namespace

ValueId Graph::add_value(Value value) {
  ValueId id{static_cast<std::uint32_t>(values_.size())};
  take_name(value.name, id);
  values_.push_back(std::move(value));
  return id;
}

void Graph::take_name(std::string& name, ValueId value) {
  if (name.empty() || by_name_.try_emplace(name, value).second) return;
  for (std::uint64_t& i = next_suffix_.try_emplace(name, 1).first->second;; ++i) {
    std::string candidate = fmt::format("{}_{}", name, i);
    if (!by_name_.try_emplace(candidate, value).second) continue;
    name = std::move(candidate);
    return;
  }
}

void Graph::reserve(std::size_t nodes) {
  nodes_.reserve(nodes);
  by_name_.reserve(nodes);
}

ValueId Graph::add_input(std::string name, TensorType type, Location location) {
  if (name.empty()) throw Error(location, "an input needs a name");
  if (by_name_.contains(name))
    throw Error(location,
                fmt::format("the name {} is already taken; choose another one", value_name(name)));
  check_type(name, type, location);
  ValueId id =
      add_value({Value::Kind::input, std::move(type), std::move(name), {}, 0, std::move(location)});
  inputs_.push_back(id);
  return id;
}

ValueId Graph::add_param(std::string name, TensorType type, Location location) {
  if (name.empty()) throw Error(location, "a param needs a name");
  if (by_name_.contains(name))
    throw Error(location,
                fmt::format("the name {} is already taken; choose another one", value_name(name)));
  check_type(name, type, location);
  ValueId id =
      add_value({Value::Kind::param, std::move(type), std::move(name), {}, 0, std::move(location)});
  params_.push_back(id);
  return id;
}

void Graph::set_initializer(ValueId param, Initializer initializer) {
  const Value& target = values_[param.index];
  WEIR_CHECK(target.kind == Value::Kind::param, target.name);
  initializers_.insert_or_assign(param.index, completed(std::move(initializer), target.type));
}

const Initializer* Graph::initializer(ValueId param) const {
  auto found = initializers_.find(param.index);
  return found == initializers_.end() ? nullptr : &found->second;
}

NodeId Graph::add_node(const OpDef& op, std::vector<ValueId> operands, Attributes attributes,
                       Location location, std::span<const std::string> result_names) {
  for (ValueId operand : operands) WEIR_CHECK(operand.index < values_.size(), op.name);
  std::vector<TensorType> operand_types = types_of(*this, operands);
  std::vector<TensorType> result_types;
  try {
    result_types = check_and_infer(op, operand_types, attributes);
    // What an operand has was checked when that was added.
    for (const TensorType& type : result_types)
      if (std::ranges::find(operand_types, type) == operand_types.end()) check_type(type);
  } catch (const Error& error) {
    throw Error(location, fmt::format("{}: {}", op.name, error.diagnostic().message));
  }
  NodeId id{static_cast<std::uint32_t>(nodes_.size())};
  std::vector<ValueId> results;
  results.reserve(result_types.size());
  for (std::size_t i = 0; i < result_types.size(); ++i) {
    std::string name = i < result_names.size() ? result_names[i] : std::string();
    results.push_back(add_value({Value::Kind::result, std::move(result_types[i]), std::move(name),
                                 id, static_cast<int>(i), location}));
  }
  nodes_.push_back(
      {&op, std::move(operands), std::move(attributes), std::move(results), std::move(location)});
  return id;
}

void Graph::name_result(ValueId result, std::string name) {
  Value& value = values_[result.index];
  if (value.kind != Value::Kind::result || !value.name.empty() || name.empty()) return;
  value.name = std::move(name);
  take_name(value.name, result);
}

void Graph::add_output(ValueId value, std::string name) {
  if (name.empty()) name = values_[value.index].name;
  if (name.empty()) name = fmt::format("output{}", outputs_.size());
  if (!output_names_.insert(name).second)
    throw Error(
        fmt::format("there are two outputs named {}; give each its own name", in_quotes(name)));
  outputs_.push_back({std::move(name), value});
}

void Graph::add_update(ValueId param, ValueId value, const std::string& name) {
  const Value& target = values_[param.index];
  if (target.kind != Value::Kind::param)
    throw Error(
        fmt::format("{} is no param, and only a param can be updated", value_name(target.name)));
  if (!(target.type == values_[value.index].type))
    throw Error(fmt::format("the param {} is {} and cannot be updated with {}",
                            value_name(target.name), to_string(target.type),
                            to_string(values_[value.index].type)));
  if (!updated_.insert(param.index).second)
    throw Error(fmt::format("the param {} is updated twice", value_name(target.name)));
  add_output(value, name.empty() ? target.name : name);
  outputs_.back().updates = param;
}

void Graph::add_output_like(const Output& output, ValueId value, ValueId updates) {
  if (updates.valid()) {
    add_update(updates, value, output.name);
  } else {
    add_output(value, output.name);
  }
}

ValueId Graph::result(NodeId id) const {
  WEIR_CHECK(node(id).results.size() == 1, node(id).op->name);
  return node(id).results[0];
}

ValueId Graph::find(std::string_view name) const {
  auto found = by_name_.find(std::string(name));
  return found == by_name_.end() ? ValueId{} : found->second;
}

std::vector<std::string> Graph::symbols() const {
  std::vector<std::string> names;
  std::unordered_set<std::string> seen;
  auto collect = [&](ValueId id) {
    for (const Dim& dim : type(id).shape) {
      std::vector<std::string> symbols;
      dim.collect_symbols(symbols);
      for (std::string& symbol : symbols)
        if (seen.insert(symbol).second) names.push_back(std::move(symbol));
    }
  };
  for (ValueId id : inputs_) collect(id);
  for (ValueId id : params_) collect(id);
  return names;
}

std::vector<TensorType> types_of(const Graph& graph, std::span<const ValueId> values) {
  std::vector<TensorType> types;
  types.reserve(values.size());
  for (ValueId value : values) types.push_back(graph.type(value));
  return types;
}

}  // namespace weir
