// The table of all ops.
//
// Ops are added by one explicit call for each file in ir/ops/, in registry.cc. Besides the ops in
// the table there are gradient ops, made on demand from a pointwise op's expression: for an op f
// with one differentiable operand `f.grad`, with several `f.grad0`, `f.grad1`, ... by operand
// number. Such an op takes f's operands and then the cotangent, has f's attributes, and is
// pointwise itself, so it can be differentiated again.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ir/op.h"

namespace weir {

class OpTable {
 public:
  // Adds a copy of the declaration. A name twice is a fault of ours.
  void add(OpDef op);
  const std::vector<std::unique_ptr<const OpDef>>& ops() const { return ops_; }

 private:
  std::vector<std::unique_ptr<const OpDef>> ops_;
};

// All declared ops, in order of declaration. Gradient ops are not listed.
const std::vector<std::unique_ptr<const OpDef>>& all_ops();
// The op of that name, gradient ops included; null if there is none.
const OpDef* find_op(std::string_view name);
// The op of that name, which exists.
const OpDef& get_op(std::string_view name);
// The gradient op of a pointwise op with respect to one operand; null where that gradient is zero
// everywhere or the operand is not a float.
const OpDef* gradient_op(const OpDef& op, std::size_t operand);
// Scalar operands and attributes on which a pointwise op can be looked at by itself: f32 where an
// operand admits it, which stands for f64 as well, and the attributes' defaults.
std::vector<TensorType> example_types(const OpDef& op);
Attributes example_attributes(const OpDef& op);
// Names near to one that does not exist, nearest first; at most three.
std::vector<std::string> similar_ops(std::string_view name);

}  // namespace weir
