// Copying a graph node by node, while a pass changes what it wants to change.
//
//   GraphRewriter rewriter(graph);
//   for (const Node& node : graph.nodes())
//     if (...) rewriter.replace(...); else rewriter.copy(node);
//   return std::move(rewriter).finish();
//
// The new graph has the inputs, params and outputs of the old one, in order and under their names,
// and the outputs have their types. Node names and locations are kept. A value of the old graph may
// be used once it is mapped to one of the new graph; since nodes stand in topological order, one
// pass over them suffices.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace weir {

class GraphRewriter {
 public:
  // Starts a graph with the source's name, inputs and params. The source must outlive the rewriter.
  // Of the inputs it has those that `keeps_input` admits, if that is given; the others are not
  // mapped.
  explicit GraphRewriter(const Graph& source, const std::function<bool(ValueId)>& keeps_input = {});

  const Graph& source() const { return source_; }
  Graph& target() { return target_; }

  // What became of a value of the source, which has been mapped.
  ValueId mapped(ValueId value) const;
  std::vector<ValueId> mapped(std::span<const ValueId> values) const;
  // `replacement` is a value of the target, of the same type.
  void replace(ValueId value, ValueId replacement);

  // Copies a node on its mapped operands and maps its results.
  NodeId copy(const Node& node);

  // Adds a node with one result.
  ValueId add(const OpDef& op, std::vector<ValueId> operands, Attributes attributes,
              const Location& location, const std::string& name);

  // Adds the outputs and gives the graph away.
  Graph finish() &&;

 private:
  const Graph& source_;
  Graph target_;
  std::vector<ValueId> map_;  // by value of the source
};

}  // namespace weir
