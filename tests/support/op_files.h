// tests/ops/NAME.weir: the graphs that every op has, for tests that walk the registry.
#pragma once

#include <cstdint>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ir/diagnostic.h"
#include "ir/op.h"
#include "ir/registry.h"
#include "ir/text.h"

namespace weir::test {

inline std::string op_file(const std::string& op) {
  return std::string(WEIR_SOURCE_DIR) + "/tests/ops/" + op + ".weir";
}

inline std::vector<Graph> graphs_of(const std::string& op) {
  std::ifstream file(op_file(op));
  if (!file) throw Error("there is no " + op_file(op) + ": every op needs a file of graphs");
  std::stringstream text;
  text << file.rdbuf();
  return parse_graphs(text.str(), op_file(op));
}

inline std::vector<std::string> op_names() {
  std::vector<std::string> names;
  for (const auto& op : all_ops()) names.push_back(op->name);
  return names;
}

// The graph with one element type in the place of another.
inline Graph retyped(const Graph& graph, DType from, DType to) {
  auto changed_type = [&](DType type) { return type == from ? to : type; };
  Graph result(graph.name());
  std::vector<ValueId> map(graph.value_count());
  auto type_of = [&](ValueId id) {
    return TensorType{changed_type(graph.type(id).dtype), graph.type(id).shape};
  };
  for (ValueId id : graph.inputs())
    map[id.index] = result.add_input(graph.value(id).name, type_of(id));
  for (ValueId id : graph.params())
    map[id.index] = result.add_param(graph.value(id).name, type_of(id));
  for (const Node& node : graph.nodes()) {
    Attributes attributes;
    for (const auto& [name, value] : node.attributes) {
      Attribute changed = value;
      if (auto type = std::get_if<DType>(&changed)) *type = changed_type(*type);
      if (auto tensor = std::get_if<std::shared_ptr<const Tensor>>(&changed);
          tensor && (*tensor)->dtype() == from) {
        Tensor other(to, (*tensor)->sizes());
        for (std::int64_t i = 0; i < other.element_count(); ++i)
          other.set_bits(i, scalar::bits_of(to, scalar::to_double(from, (*tensor)->bits(i))));
        *tensor = std::make_shared<const Tensor>(std::move(other));
      }
      attributes.set(name, std::move(changed));
    }
    std::vector<ValueId> operands;
    for (ValueId operand : node.operands) operands.push_back(map[operand.index]);
    NodeId made = result.add_node(*node.op, std::move(operands), std::move(attributes));
    for (std::size_t i = 0; i < node.results.size(); ++i)
      map[node.results[i].index] = result.node(made).results[i];
  }
  for (const Graph::Output& output : graph.outputs())
    result.add_output(map[output.value.index], output.name);
  return result;
}

// Whether the gradient is what the op's user asks for, which no differences show.
inline bool is_imposed(const GradientRule& rule) {
  return rule.kind == GradientRule::Kind::stops || rule.is_imposed;
}

}  // namespace weir::test
