// Gradients of pointwise nodes.
//
// The gradient with respect to an operand is a scalar expression of the operands' elements and the
// cotangent. It becomes, in this order of preference,
//   nothing              where it is the cotangent itself: add
//   the same op          where that is linear in the operand, with the cotangent in the operand's
//   place:
//                        mul, neg, and every gradient op, so that leaky_relu differentiates twice
//   another declared op  where it is one primitive of operands, result and cotangent: exp gives
//   mul(g, y) the gradient op      otherwise: leaky_relu.grad
// All are found by comparing expressions, so nothing here knows any op.
#pragma once

#include <map>
#include <span>
#include <utility>
#include <vector>

#include "ir/builder.h"
#include "ir/op.h"

namespace weir {

// Remembers what it found for the op, so that many nodes of one kind cost little.
class PointwiseGradients {
 public:
  // Adds the node, if one is needed, and returns the operand's gradient before it is summed over
  // broadcast axes: its shape broadcasts to the result's. Invalid if the gradient is zero
  // everywhere.
  Var apply(const OpInstance& instance, std::size_t operand, std::span<const Var> operands,
            Var result, Var cotangent);

 private:
  // The op that computes the gradient, and where its operands come from: an operand of the node by
  // number, then the cotangent, then the result. Without an op the gradient is the only source, or
  // zero.
  struct Plan {
    std::vector<TensorType> types;
    Attributes attributes;
    const OpDef* op = nullptr;
    std::vector<std::size_t> sources;
    bool takes_attributes = false;
  };

  const Plan& plan(const OpInstance& instance, std::size_t operand, DType result_type);
  static Plan make_plan(const OpInstance& instance, std::size_t operand, DType result_type);

  // The latest plan for an op and operand.
  std::map<std::pair<const OpDef*, std::size_t>, Plan> plans_;
};

}  // namespace weir
