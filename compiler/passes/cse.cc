#include "compiler/passes/cse.h"

#include <algorithm>
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

// Which values are equal: each has the first of its equals.
class ValueNumbers {
 public:
  explicit ValueNumbers(const Graph& graph) : graph_(graph) {
    for (std::uint32_t i = 0; i < graph.value_count(); ++i) first_.push_back({i});
    for (std::uint32_t i = 0; i < graph.nodes().size(); ++i) add({i});
  }

  bool any() const { return any_; }
  ValueId first(ValueId value) const { return first_[value.index]; }

 private:
  void add(NodeId id) {
    const Node& node = graph_.node(id);
    std::size_t hash = hash_of(node);
    auto [begin, end] = seen_.equal_range(hash);
    for (auto it = begin; it != end; ++it) {
      const Node& other = graph_.node(it->second);
      if (!equal(node, other)) continue;
      for (std::size_t i = 0; i < node.results.size(); ++i)
        first_[node.results[i].index] = other.results[i];
      any_ = true;
      return;
    }
    seen_.emplace(hash, id);
  }

  std::size_t hash_of(const Node& node) const {
    std::size_t hash = std::hash<const OpDef*>()(node.op);
    for (ValueId operand : node.operands) hash = combine(hash, first(operand).index);
    for (const auto& [name, value] : node.attributes) hash = combine(hash, weir::hash_of(value));
    return hash;
  }

  bool equal(const Node& a, const Node& b) const {
    return a.op == b.op &&
           std::equal(a.operands.begin(), a.operands.end(), b.operands.begin(), b.operands.end(),
                      [&](ValueId x, ValueId y) { return first(x) == first(y); }) &&
           a.attributes == b.attributes;
  }

  const Graph& graph_;
  std::vector<ValueId> first_;                         // by value
  std::unordered_multimap<std::size_t, NodeId> seen_;  // by hash
  bool any_ = false;
};

}  // namespace

Graph cse(Graph graph) {
  ValueNumbers numbers(graph);
  if (!numbers.any()) return graph;
  GraphRewriter rewriter(graph);
  for (const Node& node : graph.nodes()) {
    if (numbers.first(node.results[0]) == node.results[0]) {
      rewriter.copy(node);
    } else {
      for (ValueId result : node.results)
        rewriter.replace(result, rewriter.mapped(numbers.first(result)));
    }
  }
  return std::move(rewriter).finish();
}

}  // namespace weir
