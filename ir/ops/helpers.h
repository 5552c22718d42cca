// What the op declarations share: short ways to fill in an OpDef, index arithmetic for
// comprehensions, and the few formulas that several ops are made of.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "ir/builder.h"
#include "ir/op.h"
#include "ir/registry.h"

namespace weir::ops {

using scalar::Expr;
using Arguments = std::span<const Expr>;

// --- Declarations ------------------------------------------------------------

// The texts of an op.
struct Text {
  std::string name;
  std::string summary;
  std::string semantics;
  OnnxOp onnx = {};
};

OpDef declare(std::string family, Text text);
// A pointwise op of one operand x, or of two operands a and b of one element type.
OpDef unary(std::string family, TypeSet types, Text text, std::function<Expr(Expr)> meaning);
OpDef unary(std::string family, TypeSet types, Text text,
            std::function<Expr(Expr, const Attributes&)> meaning);
OpDef binary(std::string family, TypeSet types, Text text, std::function<Expr(Expr, Expr)> meaning);

// A movement of one operand x of any type.
OpDef movement(Text text);

// The derivative of a unary op where the derived one would not be accurate or finite everywhere.
OpDef with_derivative(OpDef op, std::function<Expr(Expr)> derivative);
OpDef with_derivative(OpDef op, std::function<Expr(Expr, const Attributes&)> derivative);
OpDef with_attribute(OpDef op, std::string name, AttributeKind kind, std::string summary,
                     std::string onnx = {});
OpDef with_attribute(OpDef op, std::string name, Attribute default_value, std::string summary,
                     std::string onnx = {});

OpDef without_gradient(OpDef op, std::string reason);
OpDef with_gradient(OpDef op, std::function<std::vector<Var>(const GradientContext&)> rule);
// The same for a rule that computes as a composite body does: of half types it is given everything
// in f32, and each gradient is rounded once.
OpDef with_wide_gradient(OpDef op, std::function<std::vector<Var>(const GradientContext&)> rule);
// The same for a rule that only moves elements (GradientRule::moves).
OpDef with_moving_gradient(OpDef op, std::function<std::vector<Var>(const GradientContext&)> rule);

// What "axis" says, of operand 0's axes: from 0.
std::size_t axis_of(const OpInstance& instance);

// Error unless the number attribute is finite.
void check_finite(const OpInstance& instance, std::string_view attribute);

// --- Dimensions --------------------------------------------------------------

// Whether `from` broadcasts to exactly `to`.
bool broadcasts_to(const Shape& from, const Shape& to);

// --- Indices -----------------------------------------------------------------

// The row-major position of an index. Dimensions of size 1 take no part.
Expr linearize(const Element& element, std::span<const Expr> index, std::span<const Dim> sizes);
// The index at a row-major position: floor divisions and remainders by sizes.
std::vector<Expr> delinearize(const Element& element, Expr position, std::span<const Dim> sizes);
// The index into an operand that is broadcast to the result: aligned right, 0 where its size is 1.
std::vector<Expr> broadcast_index(const Element& element, std::span<const Expr> index,
                                  const Shape& operand);
// The comprehension whose elements are those of operand 0 at the indices that the map gives.
Comprehension gather_from(std::function<std::vector<Expr>(const Element&)> map);

// --- Formulas ----------------------------------------------------------------

// x within -1000 ... 1000, NaN kept: enough for exp to reach 0 in every type, so that a product
// with a factor that has vanished is 0 for infinite x too, and not NaN.
Expr bounded(Expr x);
Expr bounded_below(Expr x);

// --- Contractions ------------------------------------------------------------

// The type that products of an element type are added up in, as a result: itself for floats.
DType product_type(DType type);
// The sum of products of two elements: a chain of fused multiply-adds in chunks of 1024.
Reduction dot(DType type);
// The same of elements with a condition behind them: where that is false, they take no part.
Reduction dot_if(DType type);
// A sum as a chain, in chunks of so many elements.
Reduction sum(DType type, std::int64_t chunk);
// The chunks of sums along the innermost axis, whose elements are adjacent, and along any other.
inline constexpr std::int64_t kRowChunk = 4096;
inline constexpr std::int64_t kColumnChunk = 256;

// --- Graphs ------------------------------------------------------------------

// The sum of `value` over whatever broadcasting from `shape` to its own shape has repeated.
Var sum_to(GraphBuilder& builder, Var value, const Shape& shape);
Var reshape_to(GraphBuilder& builder, Var value, const Shape& shape);
Var broadcast_to(GraphBuilder& builder, Var value, const Shape& shape);
// Those of the slice that is this part of a tensor of the shape.
Attributes slice_attributes(const Shape& shape, const AxisRange& part);
// A reduction over axes that stay, with one element each: what broadcasts to x again.
Var reduce_keeping(GraphBuilder& builder, std::string_view op, Var x,
                   std::vector<std::int64_t> axes);

}  // namespace weir::ops
