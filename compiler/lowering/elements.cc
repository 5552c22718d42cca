#include "compiler/lowering/elements.h"

#include "ir/op.h"
#include "ir/scalar/affine.h"

namespace weir {

using scalar::Arena;
using scalar::Expr;
using scalar::Id;

namespace {

std::vector<Expr> expressions(Arena& arena, std::span<const Id> ids) {
  std::vector<Expr> result;
  result.reserve(ids.size());
  for (Id id : ids) result.emplace_back(arena, id);
  return result;
}

std::vector<Id> ids_of(std::span<const Expr> expressions) {
  std::vector<Id> ids;
  ids.reserve(expressions.size());
  for (const Expr& expression : expressions) ids.push_back(expression.id());
  return ids;
}

// Indices of an operand that broadcasts to a result at `indices`.
std::vector<Id> broadcast_indices(Arena& arena, const Shape& operand, const Shape& result,
                                  std::span<const Id> indices) {
  std::vector<Id> out;
  std::size_t offset = result.size() - operand.size();
  for (std::size_t i = 0; i < operand.size(); ++i)
    out.push_back(operand[i] == Dim(1) ? arena.index(0) : indices[offset + i]);
  return out;
}

}  // namespace

Id load_element(Arena& arena, std::uint32_t buffer, const TensorType& type,
                std::span<const Id> indices, Id guard) {
  std::vector<Id> simple;
  for (std::size_t i = 0; i < indices.size(); ++i)
    simple.push_back(type.shape[i] == Dim(1) ? arena.index(0)
                                             : scalar::simplify_index(arena, indices[i]));
  if (!guard.valid()) return arena.load(buffer, type.dtype, simple);
  return arena.load_if(buffer, guard, arena.constant(type.dtype, scalar::Bits{}), simple);
}

std::vector<Id> delinearize(Arena& arena, Id linear, std::span<const Dim> dims) {
  std::vector<Id> indices(dims.size());
  Dim below = 1;
  Dim total = 1;
  for (const Dim& dim : dims) total = total * dim;
  for (std::size_t i = dims.size(); i-- > 0;) {
    Id index = below == Dim(1)
                   ? linear
                   : arena.make(scalar::Primitive::floor_div, {linear, arena.size_of(below)});
    below = below * dims[i];
    if (i > 0) index = arena.make(scalar::Primitive::modulo, {index, arena.size_of(dims[i])});
    indices[i] = scalar::simplify_index(arena, index);
  }
  return indices;
}

std::vector<Id> spread_indices(Arena& arena, const Shape& shape, std::span<const Id> axes) {
  std::vector<Id> indices;
  std::size_t next = 0;
  for (const Dim& dim : shape) indices.push_back(dim == Dim(1) ? arena.index(0) : axes[next++]);
  WEIR_CHECK(next == axes.size());
  return indices;
}

std::optional<scalar::Bits> splat_value(const Tensor& tensor) {
  if (tensor.element_count() == 0) return std::nullopt;
  // Large constants are data, whatever they hold: looking at them all would cost more than it
  // gives.
  if (tensor.element_count() > 4096) return std::nullopt;
  scalar::Bits first = tensor.bits(0);
  for (std::int64_t i = 1; i < tensor.element_count(); ++i)
    if (tensor.bits(i) != first) return std::nullopt;
  return first;
}

ElementBuilder::ElementBuilder(const Graph& graph, Arena& arena, std::vector<Location>& locations,
                               Available available)
    : graph_(graph), arena_(arena), locations_(locations), available_(std::move(available)) {}

void ElementBuilder::note(std::size_t first, const Location& location) {
  if (locations_.size() < arena_.size()) locations_.resize(arena_.size());
  for (std::size_t i = first; i < arena_.size(); ++i)
    if (!locations_[i].known()) locations_[i] = location;
}

Id ElementBuilder::element(ValueId value, std::span<const Id> indices, Id guard) {
  std::vector<std::uint32_t> key{value.index, guard.index};
  for (Id index : indices) key.push_back(index.index);
  if (auto found = memo_.find(key); found != memo_.end()) return found->second;
  Id result = available_(value, indices, guard);
  if (!result.valid()) result = written_out(value, indices, guard);
  memo_.emplace(std::move(key), result);
  return result;
}

Id ElementBuilder::written_out(ValueId value, std::span<const Id> indices, Id guard) {
  const Value& info = graph_.value(value);
  WEIR_CHECK(info.kind == Value::Kind::result, info.name);
  const Node& node = graph_.node(info.producer);
  std::vector<TensorType> types = types_of(graph_, node.operands);
  OpInstance instance{node.op, types, node.attributes};
  if (node.op->data) {
    std::optional<scalar::Bits> splat = splat_value(*node.op->data(node.attributes));
    WEIR_CHECK(splat.has_value(), "a constant that is not a splat must be in a buffer");
    return arena_.constant(info.type.dtype, *splat);
  }
  if (node.op->pointwise) {
    std::vector<Expr> arguments;
    for (std::size_t i = 0; i < node.operands.size(); ++i)
      arguments.emplace_back(
          arena_,
          element(node.operands[i],
                  broadcast_indices(arena_, types[i].shape, info.type.shape, indices), guard));
    return located(node.location,
                   [&] { return pointwise_result(*node.op, arguments, node.attributes).id(); });
  }
  WEIR_CHECK(node.op->comprehension != nullptr, node.op->name);
  Comprehension comprehension = node.op->comprehension(instance);
  WEIR_CHECK(!comprehension.reduction, node.op->name);
  return body(node, comprehension, indices, {}, guard)[static_cast<std::size_t>(info.result_index)];
}

std::vector<Id> ElementBuilder::folded_elements(const Node& node,
                                                const Comprehension& comprehension,
                                                std::span<const Id> indices,
                                                std::span<const Id> reduced) {
  return body(node, comprehension, indices, reduced, {});
}

std::vector<Id> ElementBuilder::step(const Node& node, const Steps& steps,
                                     std::span<const Id> indices) {
  return body_of(node, indices, {}, {}, [&](const Element& at) {
    Steps::Step made = steps.body(at);
    std::vector<Id> ids = ids_of(made.place);
    for (Id& id : ids) id = scalar::simplify_index(arena_, id);
    ids.push_back(made.value.id());
    return ids;
  });
}

std::vector<Id> ElementBuilder::body(const Node& node, const Comprehension& comprehension,
                                     std::span<const Id> indices, std::span<const Id> reduced,
                                     Id guard) {
  return body_of(node, indices, reduced, guard,
                 [&](const Element& at) { return ids_of(comprehension.body(at)); });
}

std::vector<Id> ElementBuilder::body_of(
    const Node& node, std::span<const Id> indices, std::span<const Id> reduced, Id guard,
    const std::function<std::vector<Id>(const Element&)>& write) {
  std::vector<TensorType> types = types_of(graph_, node.operands);
  OpInstance instance{node.op, types, node.attributes};
  std::vector<Expr> index = expressions(arena_, indices), reduce = expressions(arena_, reduced);
  auto operand = [&](int k) {
    return k == Element::kResult ? node.results[0] : node.operands[static_cast<std::size_t>(k)];
  };
  auto simplified = [&](std::span<const Expr> at) {
    std::vector<Id> ids = ids_of(at);
    for (Id& id : ids) id = scalar::simplify_index(arena_, id);
    return ids;
  };
  Element at{arena_, instance, index, reduce, {}, {}};
  at.load = [&](int k, std::span<const Expr> where) {
    return Expr(arena_, element(operand(k), simplified(where), guard));
  };
  at.load_if = [&](int k, Expr condition, Expr otherwise, std::span<const Expr> where) {
    if (arena_.is_constant(condition.id()))
      return scalar::as_bool(arena_.bits(condition.id()))
                 ? Expr(arena_, element(operand(k), simplified(where), guard))
                 : otherwise;
    Id inner = guard.valid() ? arena_.make(scalar::Primitive::bit_and, {guard, condition.id()})
                             : condition.id();
    Expr loaded(arena_, element(operand(k), simplified(where), inner));
    // A load that already gives the wanted value where the condition fails needs no selection.
    const scalar::Node& made = arena_[loaded.id()];
    if (made.primitive == scalar::Primitive::load_if &&
        arena_.operand(loaded.id(), 0) == condition.id() &&
        arena_.operand(loaded.id(), 1) == otherwise.id())
      return loaded;
    return select(condition, loaded, otherwise);
  };
  return located(node.location, [&] { return write(at); });
}

}  // namespace weir
