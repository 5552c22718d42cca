#include "ir/ops/indexed.h"

#include <fmt/format.h>

namespace weir::ops {

OpDef indexed(Text text) { return declare("indexed", std::move(text)); }

OperandSpec index_spec() {
  return {"indices", TypeSet::integers, OperandSpec::Presence::required, 1};
}

Expr place(const Element& element, int operand, std::span<const Expr> at, const Dim& size) {
  Expr loaded = element.load(operand, at);
  Expr index = cast(loaded, DType::i64);
  if (!is_signed(loaded.type())) return index;
  return select(index < 0, index + element.size(size), index);
}

Var places(GraphBuilder& builder, Var indices, const Dim& size) {
  bool counts_from_end = is_signed(indices.dtype());
  if (indices.dtype() != DType::i64)
    indices = builder.apply("cast", {indices}, {{"dtype", DType::i64}});
  if (!counts_from_end) return indices;
  Var count = builder.apply("size_of", {}, {{"dims", Shape{size}}});
  Var below = builder.apply("less", {indices, builder.scalar(DType::i64, 0)});
  return builder.apply("select", {below, builder.apply("add", {indices, count}), indices});
}

Dim product(std::span<const Dim> dims) {
  Dim result = 1;
  for (const Dim& dim : dims) result = result * dim;
  return result;
}

Shape TupleLayout::found(const Shape& x) const {
  Shape shape(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(batch));
  shape.insert(shape.end(), tuples.begin(), tuples.end());
  shape.insert(shape.end(), rest.begin(), rest.end());
  return shape;
}

TupleLayout tuple_layout(const OpInstance& instance) {
  const Shape& x = instance.operand(0).shape;
  const Shape& indices = instance.operand(1).shape;
  std::int64_t batch = instance.attributes.integer("batch_dims");
  if (indices.empty())
    throw Error(
        "the indices are a scalar; their last dimension must hold an index for each of the first "
        "axes of x");
  if (!indices.back().is_constant() || indices.back().value() < 1)
    throw Error(
        fmt::format("the indices are {}; their last dimension must be a number, and at least 1",
                    to_string(instance.operand(1))));
  std::int64_t count = indices.back().value();
  auto most = std::min<std::int64_t>(instance.operand(1).rank() - 1, instance.operand(0).rank());
  if (batch < 0 || batch > most)
    throw Error(fmt::format("batch_dims is {}; of {} and {} it must be 0 to {}", batch,
                            to_string(instance.operand(0)), to_string(instance.operand(1)), most));
  if (count > instance.operand(0).rank() - batch)
    throw Error(
        fmt::format("the last dimension of {} must be at most {}, the axes of {} behind batch_dims",
                    to_string(instance.operand(1)), instance.operand(0).rank() - batch,
                    to_string(instance.operand(0))));
  TupleLayout layout;
  layout.batch = static_cast<std::size_t>(batch);
  for (std::size_t i = 0; i < layout.batch; ++i)
    if (x[i] != indices[i])
      throw Error(fmt::format("{} and {} must be alike in their first {} dimensions",
                              to_string(instance.operand(0)), to_string(instance.operand(1)),
                              batch));
  layout.tuples.assign(indices.begin() + batch, indices.end() - 1);
  layout.sizes.assign(x.begin() + batch, x.begin() + batch + count);
  layout.rest.assign(x.begin() + batch + count, x.end());
  return layout;
}

std::vector<Expr> tuple_place(const Element& element, const TupleLayout& layout) {
  std::size_t leading = layout.batch + layout.tuples.size();
  std::vector<Expr> result(element.index.begin(),
                           element.index.begin() + static_cast<std::ptrdiff_t>(layout.batch));
  for (std::size_t k = 0; k < layout.sizes.size(); ++k) {
    std::vector<Expr> at(element.index.begin(),
                         element.index.begin() + static_cast<std::ptrdiff_t>(leading));
    at.push_back(element.number(static_cast<std::int64_t>(k)));
    result.push_back(place(element, 1, at, layout.sizes[k]));
  }
  result.insert(result.end(), element.index.begin() + static_cast<std::ptrdiff_t>(leading),
                element.index.end());
  return result;
}

void check_along_axis(const OpInstance& instance, std::size_t axis) {
  const TensorType &x = instance.operand(0), &indices = instance.operand(1);
  bool fits = x.rank() == indices.rank();
  for (std::size_t i = 0; fits && i < x.shape.size(); ++i)
    fits = i == axis || never_negative(x.shape[i] - indices.shape[i]);
  if (!fits)
    throw Error(
        fmt::format("the indices are {}; beside {} they must have as many axes, none of them "
                    "larger but axis {}",
                    to_string(indices), to_string(x), axis));
}

OnnxValue onnx_indices(OnnxNodes& nodes, const OpInstance& instance,
                       std::span<const OnnxValue> operands, bool only_i64) {
  DType type = instance.operand(1).dtype;
  if (type == DType::i64 || (type == DType::i32 && !only_i64)) return operands[1];
  return nodes.add("Cast", {operands[1]}, {{"to", DType::i64}});
}

}  // namespace weir::ops
