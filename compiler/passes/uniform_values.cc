#include "compiler/passes/uniform_values.h"

#include "ir/scalar/expr.h"

namespace weir {
namespace {

using scalar::Bits;
using scalar::Expr;

std::optional<Bits> uniform_element(const Tensor& tensor) {
  if (tensor.element_count() == 0) return std::nullopt;
  Bits first = tensor.bits(0);
  for (std::int64_t i = 1; i < tensor.element_count(); ++i)
    if (tensor.bits(i) != first) return std::nullopt;
  return first;
}

// Whether every element of the result is some element of the only operand: its expression is a
// load.
bool only_moves(const OpInstance& instance, const Shape& result) {
  const OpDef& op = *instance.op;
  if (!op.is_movement || instance.operands.size() != 1 || op.composite_for(instance)) return false;
  Comprehension meaning = op.comprehension(instance);
  scalar::Arena arena;
  std::vector<Expr> axes;
  for (std::size_t i = 0; i < result.size(); ++i)
    axes.emplace_back(arena, arena.axis(static_cast<std::uint32_t>(i), result[i]));
  std::optional<scalar::Id> loaded;
  Element element{arena,
                  instance,
                  axes,
                  {},
                  [&](int, std::span<const Expr>) {
                    Expr value(arena, arena.local(0, instance.operand(0).dtype));
                    loaded = value.id();
                    return value;
                  },
                  [&](int, Expr, Expr otherwise, std::span<const Expr>) { return otherwise; }};
  std::vector<Expr> body = meaning.body(element);
  return loaded && body[0].id() == *loaded;
}

}  // namespace

void UniformValues::learn(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (node.results.size() != 1) return;
  std::optional<Bits> element;
  if (node.op->data) {
    element = uniform_element(*node.op->data(node.attributes));
  } else if (node.operands.size() == 1) {
    element = find(node.operands[0]);
    std::vector<TensorType> types = types_of(graph, node.operands);
    if (element &&
        !only_moves({node.op, types, node.attributes}, graph.type(node.results[0]).shape))
      element.reset();
  }
  if (element) known_.emplace(node.results[0], *element);
}

std::optional<Bits> UniformValues::find(ValueId value) const {
  auto found = known_.find(value);
  return found == known_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace weir
