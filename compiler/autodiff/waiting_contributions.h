// Contributions to the gradient of a value that wait until all of them are there, because together
// they are less work than one by one.
//
// - A value that is read in parts alone, as the steps of a sequence are: each part's contribution
//   would be framed with zeros to the size of the whole, and all of those added. Parts that do not
//   overlap are one concat.
// - A factor of many products, as the recurrent weights of all steps: its gradient is the sum of as
//   many products, each of its own size. The products are one product, of their other operands one
//   after the other, and so is the gradient.
// - What is added to many values, as a bias in every step, and broadcast to them: one sum over all
//   of these.
//
// The last two change the order of additions, and are for more than a few contributions: fewer are
// added one by one, the last one of the forward pass first. So are large ones, for what waits is
// kept.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "ir/builder.h"
#include "ir/graph.h"
#include "ir/op.h"

namespace weir {

class WaitingContributions {
 public:
  // `graph` is what the builder began with.
  WaitingContributions(const Graph& graph, GraphBuilder& builder);

  // What comes back to operand `number` of a node whose result has this cotangent; whether it
  // waits.
  bool keep(const Node& node, std::size_t number, Var cotangent);
  // What comes back to a value before it is summed over what broadcasting has repeated; likewise.
  bool keep_broadcast(ValueId value, Var cotangent);

  bool any(ValueId value) const;
  // All that wait for the value, which then wait no longer.
  std::vector<Var> take(ValueId value);

 private:
  struct Part {
    const Node* node;
    AxisRange range;
    Var cotangent;
  };
  struct Product {
    const Node* node;
    std::size_t number;  // of the operand that the gradient is of
    OperandAxis beside;  // what goes along `axis` of the result
    std::size_t axis;
    Var cotangent;
  };
  struct Waiting {
    std::vector<Part> parts;
    std::vector<Product> products;
    std::vector<Var> broadcasts;
  };

  std::vector<Var> parts_of(ValueId value, std::vector<Part> parts);
  std::vector<Var> products_of(const std::vector<Product>& products);
  std::vector<Var> sums_of(ValueId value, const std::vector<Var>& broadcasts);
  bool is_alike(const Product& a, const Product& b) const;
  // The gradient by the rule of the node's op, with other operands in place of its own.
  Var by_rule(const Node& node, std::size_t number, std::span<const Var> operands, Var cotangent);
  std::vector<Var> operands_of(const Node& node);
  Var concat(std::vector<Var> values, std::size_t axis);

  const Graph& graph_;
  GraphBuilder& builder_;
  std::vector<std::size_t> uses_, part_uses_;  // by value
  std::vector<Waiting> waiting_;               // by value
};

}  // namespace weir
