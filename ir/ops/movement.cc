// Movement of whole tensors: each result element is one operand element, found by an index map.
//
// reshape matches runs of dimensions with equal products on both sides, so that a dimension that
// does not change keeps its own index, and only what is really merged or split goes through a
// row-major position. All gradients are movements again, or sums.

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ir/ops/helpers.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;

using Integers = std::vector<std::int64_t>;

// --- reshape -----------------------------------------------------------------

// Runs of dimensions, from[from_begin, from_end) and to[to_begin, to_end), with equal products.
struct Run {
  std::size_t from_begin, from_end, to_begin, to_end;
};

std::vector<Run> matching_runs(const Shape& from, const Shape& to) {
  std::vector<Run> runs;
  std::size_t i = 0, j = 0;
  while (i < from.size() || j < to.size()) {
    // The shortest run that matches; the rest of both shapes always does, unless they are empty,
    // when no element is ever looked up.
    Run best{i, from.size(), j, to.size()};
    Dim left = 1;
    for (std::size_t p = i; p <= from.size(); ++p) {
      if (p > i) left = left * from[p - 1];
      Dim right = 1;
      for (std::size_t q = j; q <= to.size(); ++q) {
        if (q > j) right = right * to[q - 1];
        if (p + q > i + j && p + q < best.from_end + best.to_end && left == right)
          best = {i, p, j, q};
      }
    }
    runs.push_back(best);
    i = best.from_end;
    j = best.to_end;
  }
  return runs;
}

std::vector<Expr> reshape_index(const Element& element, const Shape& from, const Shape& to,
                                std::span<const Run> runs) {
  std::vector<Expr> index;
  for (const Run& run : runs) {
    std::span<const Dim> sizes(from.data() + run.from_begin, run.from_end - run.from_begin);
    std::size_t count = run.to_end - run.to_begin;
    Expr position = linearize(element, element.index.subspan(run.to_begin, count),
                              std::span(to.data() + run.to_begin, count));
    for (Expr i : delinearize(element, position, sizes)) index.push_back(i);
  }
  return index;
}

// The shape as numbers, if that is exact: 0 for a dimension that x has in the same place, and -1
// for one that follows from the others, which must not be 0 then.
std::optional<Integers> shape_in_numbers(const Shape& from, const Shape& to) {
  Integers numbers;
  bool may_be_zero = false;
  for (std::size_t i = 0; i < to.size(); ++i) {
    if (to[i].is_constant()) {
      if (to[i].value() == 0) return std::nullopt;
      numbers.push_back(to[i].value());
    } else if (i < from.size() && from[i] == to[i]) {
      numbers.push_back(0);
      may_be_zero = true;
    } else {
      numbers.push_back(-1);
    }
  }
  auto unknown = std::count(numbers.begin(), numbers.end(), -1);
  if (unknown > 1 || (unknown == 1 && may_be_zero)) return std::nullopt;
  return numbers;
}

std::vector<OnnxValue> reshape_to_onnx(OnnxNodes& nodes, const OpInstance& instance,
                                       std::span<const OnnxValue> operands) {
  const Shape& shape = instance.attributes.dims("shape");
  if (auto numbers = shape_in_numbers(instance.operand(0).shape, shape))
    return {nodes.add(instance.op->onnx.name, {operands[0], nodes.integers(*numbers)})};
  // A size that is 0 at run time is meant.
  return {
      nodes.add(instance.op->onnx.name, {operands[0], nodes.sizes(shape)}, {{"allowzero", true}})};
}

OpDef reshape_op() {
  OpDef op = with_attribute(
      movement({"reshape",
                "The same elements in row-major order, in another shape.",
                "The element counts must be equal, as polynomials where there are symbols; every "
                "dimension is stated. The gradient is reshaped back.",
                {"Reshape"}}),
      "shape", AttributeKind::dims, "Shape of the result.");
  op.keeps_elements = true;
  op.keeps_order = true;
  op.infer = [](const OpInstance& instance) {
    const TensorType& x = instance.operand(0);
    const Shape& shape = instance.attributes.dims("shape");
    for (const Dim& dim : shape)
      if (dim.is_constant() && dim.value() < 0)
        throw Error(
            fmt::format("the shape {} has a negative dimension; every dimension must be stated",
                        to_string(shape)));
    if (element_count(x.shape) != element_count(shape))
      throw Error(fmt::format("{} has {} elements and does not fit the shape {}, which has {}",
                              to_string(x), element_count(x.shape).to_string(), to_string(shape),
                              element_count(shape).to_string()));
    return std::vector<TensorType>{{x.dtype, shape}};
  };
  op.comprehension = [](const OpInstance& instance) {
    Shape from = instance.operand(0).shape, to = instance.attributes.dims("shape");
    return gather_from([from, to, runs = matching_runs(from, to)](const Element& element) {
      return reshape_index(element, from, to, runs);
    });
  };
  op.to_onnx = reshape_to_onnx;
  return with_moving_gradient(
      std::move(op), [](const GradientContext& context) -> std::vector<Var> {
        return {
            reshape_to(context.builder, context.cotangents[0], context.instance.operand(0).shape)};
      });
}

// --- transpose ---------------------------------------------------------------

// Result axis i is operand axis permutation[i].
std::vector<std::size_t> permutation_of(const OpInstance& instance) {
  int rank = instance.operand(0).rank();
  Integers given = instance.attributes.integers("permutation");
  if (given.empty())
    for (int i = rank; i-- > 0;) given.push_back(i);
  std::vector<bool> seen(static_cast<std::size_t>(rank));
  bool fits = given.size() == seen.size();
  std::vector<std::size_t> permutation;
  for (std::int64_t axis : given) {
    fits = fits && axis >= 0 && axis < rank && !seen[static_cast<std::size_t>(axis)];
    if (!fits) break;
    seen[static_cast<std::size_t>(axis)] = true;
    permutation.push_back(static_cast<std::size_t>(axis));
  }
  if (!fits)
    throw Error(fmt::format("the permutation [{}] must hold each of the axes 0 to {} of {} once",
                            fmt::join(given, ", "), rank - 1, to_string(instance.operand(0))));
  return permutation;
}

OpDef transpose_op() {
  OpDef op = with_attribute(
      movement(
          {"transpose",
           "The axes in another order.",
           "Axis i of the result is axis permutation[i] of x. The gradient is transposed back.",
           {"Transpose", 1}}),
      "permutation", Integers{}, "An axis of x for each axis of the result; none reverses them.",
      "perm");
  op.keeps_elements = true;
  op.infer = [](const OpInstance& instance) {
    TensorType result{instance.operand(0).dtype, {}};
    for (std::size_t axis : permutation_of(instance))
      result.shape.push_back(instance.operand(0).shape[axis]);
    return std::vector<TensorType>{std::move(result)};
  };
  op.comprehension = [](const OpInstance& instance) {
    return gather_from([permutation = permutation_of(instance)](const Element& element) {
      std::vector<Expr> index(permutation.size());
      for (std::size_t i = 0; i < permutation.size(); ++i) index[permutation[i]] = element.index[i];
      return index;
    });
  };
  return with_moving_gradient(
      std::move(op), [](const GradientContext& context) -> std::vector<Var> {
        std::vector<std::size_t> permutation = permutation_of(context.instance);
        Integers inverse(permutation.size());
        for (std::size_t i = 0; i < permutation.size(); ++i)
          inverse[permutation[i]] = static_cast<std::int64_t>(i);
        return {context.builder.apply("transpose", {context.cotangents[0]},
                                      {{"permutation", inverse}})};
      });
}

// --- broadcast ---------------------------------------------------------------

OpDef broadcast_op() {
  OpDef op = with_attribute(
      movement(
          {"broadcast",
           "Repeated along new axes and along axes of size 1.",
           "NumPy's rule, aligned at the last axis. The gradient is the sum over the repetitions.",
           {"Expand"}}),
      "shape", AttributeKind::dims, "Shape of the result.");
  op.keeps_elements = true;
  op.infer = [](const OpInstance& instance) {
    const TensorType& x = instance.operand(0);
    const Shape& shape = instance.attributes.dims("shape");
    if (!broadcasts_to(x.shape, shape))
      throw Error(
          fmt::format("{} does not broadcast to {}: aligned at the last axis, each dimension must "
                      "be the same or 1",
                      to_string(x), to_string(shape)));
    return std::vector<TensorType>{{x.dtype, shape}};
  };
  op.comprehension = [](const OpInstance& instance) {
    return gather_from([shape = instance.operand(0).shape](const Element& element) {
      return broadcast_index(element, element.index, shape);
    });
  };
  op.to_onnx = [](OnnxNodes& nodes, const OpInstance& instance,
                  std::span<const OnnxValue> operands) -> std::vector<OnnxValue> {
    return {nodes.add(instance.op->onnx.name,
                      {operands[0], nodes.sizes(instance.attributes.dims("shape"))})};
  };
  return with_gradient(std::move(op), [](const GradientContext& context) -> std::vector<Var> {
    return {sum_to(context.builder, context.cotangents[0], context.instance.operand(0).shape)};
  });
}

}  // namespace

void add_movement_ops(OpTable& table) {
  table.add(reshape_op());
  table.add(transpose_op());
  table.add(broadcast_op());
}

}  // namespace weir
