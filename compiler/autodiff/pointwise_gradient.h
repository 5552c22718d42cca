// Gradients of pointwise nodes.
//
// The gradient with respect to an operand is a scalar expression of the operands' elements and the
// cotangent. It becomes, in this order of preference,
//   nothing              where it is the cotangent itself: add
//   the same op          where that is linear in the operand, with the cotangent in the operand's
//                        place: mul, neg, and every gradient op, so that leaky_relu differentiates
//                        twice
//   another declared op  where it is one primitive of operands, result, cotangent and constants:
//   exp
//                        gives mul(g, y), the branches of select give select(c, g, 0)
//   the gradient op      otherwise: leaky_relu.grad
// All are found by comparing expressions, so nothing here knows any op.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "ir/builder.h"
#include "ir/op.h"

namespace weir {

// The gradient with respect to one operand, as a node yet to be made.
struct PointwiseGradient {
  const OpDef* op = nullptr;  // absent: the gradient is the cotangent
  Attributes attributes;
  std::vector<Var> operands;
  std::size_t hole = 0;  // the operand that is the cotangent, if there is just one such
  // Whether it is zero for a part of the elements, whatever the cotangent is, and only in `hole`
  // made of it; and whether it then is a choice between cotangent and zero.
  bool masks = false;
  bool selects = false;
};

// Remembers what it found for the op, so that many nodes of one kind cost little.
class PointwiseGradients {
 public:
  // The operand's gradient before it is summed over broadcast axes: its shape broadcasts to the
  // result's. Nothing if the gradient is zero everywhere.
  std::optional<PointwiseGradient> find(const OpInstance& instance, std::size_t operand,
                                        std::span<const Var> operands, Var result, Var cotangent);

 private:
  // Where an operand of the gradient's node comes from: an operand of the node by number, then the
  // cotangent, then the result; or a constant.
  struct Source {
    std::size_t number = 0;
    std::optional<double> constant;
  };
  // The op that computes the gradient, and its operands. Without an op the gradient is the only
  // source, or zero.
  struct Plan {
    std::vector<TensorType> types;
    Attributes attributes;
    const OpDef* op = nullptr;
    std::vector<Source> sources;
    bool takes_attributes = false;
    bool masks = false;
    bool selects = false;
  };

  const Plan& plan(const OpInstance& instance, std::size_t operand, DType result_type);
  static Plan make_plan(const OpInstance& instance, std::size_t operand, DType result_type);

  // The latest plan for an op and operand.
  std::map<std::pair<const OpDef*, std::size_t>, Plan> plans_;
};

}  // namespace weir
