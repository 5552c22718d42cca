#include "compiler/passes/cse.h"

#include <bit>
#include <cmath>
#include <type_traits>
#include <unordered_map>

#include "compiler/passes/graph_rewriter.h"

namespace weir {
namespace {

std::size_t combine(std::size_t seed, std::size_t value) {
  return seed ^ (value + 0x9E3779B97F4A7C15u + (seed << 6) + (seed >> 2));
}

std::size_t hash_of_bytes(std::string_view text) { return std::hash<std::string_view>()(text); }

// Attributes that are the same by `same` hash alike.
std::size_t hash_of(const Attribute& attribute) {
  return std::visit(
      [](const auto& value) -> std::size_t {
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, double>) {
          return std::isnan(value) ? 1
                                   : static_cast<std::size_t>(std::bit_cast<std::uint64_t>(value));
        } else if constexpr (std::is_same_v<T, std::vector<std::int64_t>>) {
          std::size_t hash = value.size();
          for (std::int64_t each : value) hash = combine(hash, static_cast<std::size_t>(each));
          return hash;
        } else if constexpr (std::is_same_v<T, Shape>) {
          std::size_t hash = value.size();
          for (const Dim& dim : value) hash = combine(hash, dim.hash());
          return hash;
        } else if constexpr (std::is_same_v<T, std::string>) {
          return hash_of_bytes(value);
        } else if constexpr (std::is_same_v<T, std::shared_ptr<const Tensor>>) {
          return hash_of_bytes(
              std::string_view(static_cast<const char*>(value->data()), value->byte_count()));
        } else {
          return static_cast<std::size_t>(value);
        }
      },
      attribute);
}

std::size_t hash_of(const Node& node, std::span<const ValueId> operands) {
  std::size_t hash = std::hash<const OpDef*>()(node.op);
  for (ValueId operand : operands) hash = combine(hash, operand.index);
  for (const auto& [name, value] : node.attributes) hash = combine(hash, hash_of(value));
  return hash;
}

}  // namespace

Graph cse(const Graph& graph) {
  GraphRewriter rewriter(graph);
  std::unordered_multimap<std::size_t, NodeId> seen;  // nodes of the new graph
  for (const Node& node : graph.nodes()) {
    std::vector<ValueId> operands = rewriter.mapped(node.operands);
    std::size_t hash = hash_of(node, operands);
    NodeId equal;
    auto [begin, end] = seen.equal_range(hash);
    for (auto it = begin; it != end && !equal.valid(); ++it) {
      const Node& other = rewriter.target().node(it->second);
      if (other.op == node.op && other.operands == operands && other.attributes == node.attributes)
        equal = it->second;
    }
    if (equal.valid()) {
      for (std::size_t i = 0; i < node.results.size(); ++i)
        rewriter.replace(node.results[i], rewriter.target().node(equal).results[i]);
    } else {
      seen.emplace(hash, rewriter.copy(node));
    }
  }
  return std::move(rewriter).finish();
}

}  // namespace weir
