// What ops share that find their elements by an operand of indices.
//
// Such an op takes -size ... size - 1, negative ones counting from the end; anything else is a data
// fault (IndexOperand in ir/op.h). Two layouts occur. Along an axis, as in gather_elements: indices
// have the rank of x, and stand for its index along one axis. By tuples, as in gather_nd: the last
// dimension of indices holds the first few indices of x, behind batch_dims that both have in
// common.
#pragma once

#include <string>
#include <vector>

#include "ir/ops/helpers.h"

namespace weir::ops {

OpDef indexed(Text text);
// An operand of indices, apart from the others in its element type.
OperandSpec index_spec();

// The index that the operand holds there, counted from the start.
Expr place(const Element& element, int operand, std::span<const Expr> at, const Dim& size);
// The same of all elements of a value, as i64.
Var places(GraphBuilder& builder, Var indices, const Dim& size);

// The product of some dimensions.
Dim product(std::span<const Dim> dims);

// Tuples of indices: x is [batch, sizes, rest] and indices are [batch, tuples, count of sizes].
struct TupleLayout {
  std::size_t batch = 0;  // dimensions in common
  Shape tuples;           // behind those
  Shape sizes;            // the dimensions of x that are indexed
  Shape rest;             // behind those
  // batch, tuples, rest: of what the indices find
  Shape found(const Shape& x) const;
};
// Of operands 0 and 1. Error where they do not fit.
TupleLayout tuple_layout(const OpInstance& instance);
// The index into x for an index into what is found.
std::vector<Expr> tuple_place(const Element& element, const TupleLayout& layout);

// Error unless the indices have x's rank, and are not larger but along the axis.
void check_along_axis(const OpInstance& instance, std::size_t axis);

// The operand as ONNX takes it, which has indices of i32 and i64 alone; or of i64 alone.
OnnxValue onnx_indices(OnnxNodes& nodes, const OpInstance& instance,
                       std::span<const OnnxValue> operands, bool only_i64);

}  // namespace weir::ops
