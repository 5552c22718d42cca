// Scalar expressions in ONNX: every primitive of the scalar language has an ONNX op, or is first
// written in primitives that have one. So any pointwise op can be exported, gradient ops included,
// and none of them is known here by name.
//
// What is kept: NaN, infinities and signs of zeros; both branches of a select are computed and the
// one not chosen has no influence; integer division by zero and out-of-range conversions, which
// ONNX leaves undefined, are guarded and never happen. `fma` rounds twice.
#pragma once

#include <span>

#include "ir/onnx_nodes.h"
#include "ir/scalar/arena.h"

namespace weir {

// The same values, in primitives that have ONNX ops: expm1, log1p, erfc, trunc, fma, the remainder
// and division of integers and conversions to them are replaced. Those without any (shifts, bits of
// integers, bitcast) stay.
scalar::Id in_onnx_primitives(scalar::Arena& arena, scalar::Id root);

// Writes an expression of arguments; each primitive a node, subexpressions once. Error if a
// primitive has no ONNX op.
OnnxValue write_expression(OnnxNodes& nodes, scalar::Arena& arena, scalar::Id root,
                           std::span<const OnnxValue> arguments);

}  // namespace weir
