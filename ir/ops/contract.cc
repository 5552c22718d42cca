// Contractions: sums of products over a shared axis, in f32 for f16 and bf16 and in i32, as is the
// result, for i8 and u8.

#include <numeric>

#include <fmt/format.h>

#include "ir/ops/helpers.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;

// The parts of matmul's operand shapes.
struct MatmulShape {
  Shape batch;        // of the result
  Dim rows, columns;  // M and N
  Dim inner;          // K
};

MatmulShape matmul_shape(const OpInstance& instance) {
  const Shape &a = instance.operand(0).shape, &b = instance.operand(1).shape;
  for (std::size_t i = 0; i < 2; ++i)
    if (instance.operand(i).rank() < 2)
      throw Error(
          fmt::format("operand {} is {}; matmul takes matrices, so reshape a vector to [1, K] or "
                      "[K, 1] first",
                      instance.op->operands[i].name, to_string(instance.operand(i))));
  bool transpose_a = instance.attributes.boolean("transpose_a");
  bool transpose_b = instance.attributes.boolean("transpose_b");
  Dim a_inner = transpose_a ? a.end()[-2] : a.end()[-1];
  Dim b_inner = transpose_b ? b.end()[-1] : b.end()[-2];
  if (a_inner != b_inner)
    throw Error(fmt::format("the contracted dimensions differ: {} in a, {}{}, and {} in b, {}{}",
                            a_inner.to_string(), to_string(instance.operand(0)),
                            transpose_a ? " transposed" : "", b_inner.to_string(),
                            to_string(instance.operand(1)), transpose_b ? " transposed" : ""));
  return {broadcast_shapes(Shape(a.begin(), a.end() - 2), Shape(b.begin(), b.end() - 2)),
          transpose_a ? a.end()[-1] : a.end()[-2], transpose_b ? b.end()[-2] : b.end()[-1],
          a_inner};
}

Comprehension matmul_comprehension(const OpInstance& instance) {
  Comprehension result;
  result.reduce_extents = {matmul_shape(instance).inner};
  DType type = accumulator_type(instance.operand(0).dtype);
  result.reduction = dot(type);
  bool transpose_a = instance.attributes.boolean("transpose_a");
  bool transpose_b = instance.attributes.boolean("transpose_b");
  result.body = [transpose_a, transpose_b, type](const Element& element) {
    std::size_t batch_rank = element.index.size() - 2;
    auto element_of = [&](int k, bool transposed, Expr row, Expr column) {
      const Shape& shape = element.instance.operand(static_cast<std::size_t>(k)).shape;
      std::vector<Expr> index = broadcast_index(element, element.index.first(batch_rank),
                                                Shape(shape.begin(), shape.end() - 2));
      index.push_back(transposed ? column : row);
      index.push_back(transposed ? row : column);
      return cast(element.load(k, index), type);
    };
    Expr k = element.reduce[0];
    return std::vector<Expr>{element_of(0, transpose_a, element.index[batch_rank], k),
                             element_of(1, transpose_b, k, element.index[batch_rank + 1])};
  };
  return result;
}

std::optional<OperandAxis> matmul_operand_axis(const OpInstance& instance, std::size_t axis) {
  const std::size_t a = instance.operand(0).shape.size(), b = instance.operand(1).shape.size();
  const std::size_t rank = std::max(a, b);
  if (axis + 1 == rank)
    return OperandAxis{1, instance.attributes.boolean("transpose_b") ? b - 2 : b - 1};
  if (axis + 2 == rank)
    return OperandAxis{0, instance.attributes.boolean("transpose_a") ? a - 1 : a - 2};
  return std::nullopt;
}

// With A and B as they enter the product and G the cotangent: dA = G B^T and dB = A^T G, each
// written for the operand as it is stored, and summed over batch dimensions that were broadcast.
std::vector<Var> matmul_gradient(const GradientContext& context) {
  GraphBuilder& builder = context.builder;
  bool transpose_a = context.instance.attributes.boolean("transpose_a");
  bool transpose_b = context.instance.attributes.boolean("transpose_b");
  Var a = context.operands[0], b = context.operands[1], cotangent = context.cotangents[0];
  auto product = [&](Var left, bool transpose_left, Var right, bool transpose_right) {
    return builder.apply("matmul", {left, right},
                         {{"transpose_a", transpose_left}, {"transpose_b", transpose_right}});
  };
  std::vector<Var> gradients(2);
  if (context.wanted[0]) {
    Var gradient = transpose_a ? product(b, transpose_b, cotangent, true)
                               : product(cotangent, false, b, !transpose_b);
    gradients[0] = sum_to(builder, gradient, a.shape());
  }
  if (context.wanted[1]) {
    Var gradient = transpose_b ? product(cotangent, true, a, transpose_a)
                               : product(a, !transpose_a, cotangent, false);
    gradients[1] = sum_to(builder, gradient, b.shape());
  }
  return gradients;
}

// ONNX's product has no transposes; Gemm has them, for matrices of floats.
std::vector<OnnxValue> matmul_to_onnx(OnnxNodes& nodes, const OpInstance& instance,
                                      std::span<const OnnxValue> operands) {
  bool transposed[] = {instance.attributes.boolean("transpose_a"),
                       instance.attributes.boolean("transpose_b")};
  if ((transposed[0] || transposed[1]) && instance.operand(0).rank() == 2 &&
      instance.operand(1).rank() == 2 && is_float(instance.operand(0).dtype)) {
    Attributes attributes;
    if (transposed[0]) attributes.set("transA", true);
    if (transposed[1]) attributes.set("transB", true);
    return {nodes.add("Gemm", {operands[0], operands[1]}, attributes)};
  }
  std::vector<OnnxValue> factors(operands.begin(), operands.end());
  for (std::size_t i = 0; i < 2; ++i) {
    if (!transposed[i]) continue;
    std::vector<std::int64_t> permutation(instance.operand(i).shape.size());
    std::iota(permutation.begin(), permutation.end(), 0);
    std::swap(permutation.end()[-1], permutation.end()[-2]);
    factors[i] = nodes.add("Transpose", {factors[i]}, {{"perm", permutation}});
  }
  return {nodes.add(instance.op->onnx.name, factors)};
}

OpDef matmul_op() {
  OpDef op = declare(
      "contract",
      {"matmul",
       "The matrix product of the last two axes.",
       "Operands of rank 2 or more; the axes before the last two are a batch and broadcast as "
       "in NumPy. Each element is a chain of fused multiply-adds in ascending order, in chunks "
       "of 1024 that are added in a balanced tree: in f32 for f16 and bf16, and rounded once. "
       "Integers wrap; the product of i8 or u8 is i32.",
       {"MatMul", 1}});
  op.operands = {{"a", TypeSet::numbers}, {"b", TypeSet::numbers}};
  op = with_attribute(std::move(op), "transpose_a", false, "Swap the last two axes of a first.");
  op = with_attribute(std::move(op), "transpose_b", false, "Swap the last two axes of b first.");
  op.infer = [](const OpInstance& instance) {
    MatmulShape parts = matmul_shape(instance);
    Shape shape = parts.batch;
    shape.push_back(parts.rows);
    shape.push_back(parts.columns);
    return std::vector<TensorType>{{product_type(instance.operand(0).dtype), std::move(shape)}};
  };
  op.comprehension = matmul_comprehension;
  op.is_contraction = true;
  op.operand_axis = matmul_operand_axis;
  op.to_onnx = matmul_to_onnx;
  return with_gradient(std::move(op), matmul_gradient);
}

void check_linear(const OpInstance& instance) {
  const TensorType &x = instance.operand(0), &w = instance.operand(1);
  if (x.rank() < 1) throw Error("operand x is a scalar; it must have an axis of features");
  if (w.rank() != 2)
    throw Error(fmt::format("operand w is {}; it must be a matrix [out, in]", to_string(w)));
  if (x.shape.back() != w.shape[1])
    throw Error(fmt::format(
        "x has {} features in its last axis and w takes {}: they are {} and {}, and w "
        "must be [out, in]",
        x.shape.back().to_string(), w.shape[1].to_string(), to_string(x), to_string(w)));
  if (!instance.has_operand(2)) return;
  const TensorType& bias = instance.operand(2);
  if (bias.shape != Shape{w.shape[0]})
    throw Error(
        fmt::format("operand bias is {}; it must have one element for each row of w, which is {}",
                    to_string(bias), to_string(w)));
  if (DType wanted = product_type(x.dtype); bias.dtype != wanted)
    throw Error(fmt::format("operand bias has element type {}, and products of {} are {}; cast it",
                            name(bias.dtype), name(x.dtype), name(wanted)));
}

std::vector<Var> linear_body(GraphBuilder& builder, std::span<const Var> operands,
                             const Attributes&) {
  Var x = operands[0], w = operands[1];
  // Leading axes are one long axis to the product: the weights' gradient then is one product too.
  Shape leading(x.shape().begin(), x.shape().end() - 1);
  Var rows = reshape_to(builder, x, {element_count(leading), x.shape().back()});
  Var y = builder.apply("matmul", {rows, w}, {{"transpose_b", true}});
  if (operands.size() > 2) y = builder.apply("add", {y, operands[2]});
  leading.push_back(w.shape()[0]);
  return {reshape_to(builder, y, leading)};
}

// On matrices of floats it is Gemm.
std::vector<OnnxValue> linear_to_onnx(OnnxNodes& nodes, const OpInstance& instance,
                                      std::span<const OnnxValue> operands) {
  if (instance.operand(0).rank() != 2 || !is_float(instance.operand(0).dtype)) return {};
  return {nodes.add("Gemm", {operands.begin(), operands.end()}, {{"transB", true}})};
}

OpDef linear_op() {
  OpDef op = declare(
      "contract", {"linear", "x times the transpose of w, plus a bias.",
                   "w is [out, in] and bias [out], as in PyTorch; x is [..., in]. See matmul for "
                   "the order of additions; the bias is added last. With i8 or u8 it is i32, as is "
                   "the result.",
                   OnnxOp::none()});
  op.operands = {{"x", TypeSet::numbers},
                 {"w", TypeSet::numbers},
                 {"bias", TypeSet::numbers, OperandSpec::Presence::optional, 1}};
  op.check = check_linear;
  op.composite = linear_body;
  op.to_onnx = linear_to_onnx;
  return op;
}

}  // namespace

void add_contract_ops(OpTable& table) {
  table.add(matmul_op());
  table.add(linear_op());
}

}  // namespace weir
