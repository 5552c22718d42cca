#include "compiler/lowering/recomputed_values.h"

#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "ir/notes.h"
#include "ir/op.h"

namespace weir {

std::unordered_map<ValueId, ValueId> recomputed_values(const Graph& graph) {
  std::unordered_map<ValueId, ValueId> first;
  auto original = [&](ValueId value) {
    // What waits is what it waits with.
    while (graph.value(value).kind == Value::Kind::result) {
      const Node& node = graph.node(graph.value(value).producer);
      if (!node.op->waits_for || node.attributes.boolean("own_layout")) break;
      value = node.operands[*node.op->waits_for == 0 ? 1 : 0];
    }
    auto found = first.find(value);
    return found == first.end() ? value : found->second;
  };
  auto is_again = [](const Node& node) {
    return std::string_view(node.location.note).starts_with(kRecomputationOf);
  };
  bool any = false;
  for (const Node& node : graph.nodes()) any = any || is_again(node);
  if (!any) return first;
  std::map<std::pair<const OpDef*, std::vector<ValueId>>, std::vector<NodeId>> computed;
  for (std::uint32_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    std::vector<ValueId> operands;
    for (ValueId operand : node.operands) operands.push_back(original(operand));
    std::vector<NodeId>& alike = computed[{node.op, std::move(operands)}];
    if (!is_again(node)) {
      alike.push_back({i});
      continue;
    }
    for (NodeId id : alike) {
      const Node& other = graph.node(id);
      if (other.attributes != node.attributes) continue;
      for (std::size_t k = 0; k < node.results.size(); ++k)
        first.emplace(node.results[k], original(other.results[k]));
      break;
    }
  }
  return first;
}

}  // namespace weir
