// Which values of a graph have one known number in every element.
//
// Constants may be such values, and what only moves their elements about (broadcast, reshape) keeps
// the property: gradients start from a broadcast 1.
#pragma once

#include <optional>
#include <unordered_map>

#include "ir/graph.h"
#include "ir/op.h"

namespace weir {

class UniformValues {
 public:
  // Learns about the result of a node that has one. Nodes are told in order.
  void learn(const Graph& graph, NodeId node);
  // The bits of every element, if they are known to be the same; nothing for a value without
  // elements that is constant.
  std::optional<scalar::Bits> find(ValueId value) const;

 private:
  std::unordered_map<ValueId, scalar::Bits> known_;
};

}  // namespace weir
