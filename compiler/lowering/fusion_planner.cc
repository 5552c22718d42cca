#include "compiler/lowering/fusion_planner.h"

#include <algorithm>
#include <optional>

#include "compiler/lowering/elements.h"
#include "ir/scalar/affine.h"
namespace weir {

using scalar::Arena;
using scalar::Id;

namespace {

// Of each operand of a concat beyond two: a guard of two bounds, a choice and an index.
constexpr int kPartCost = 6;
// Operands of a concat that is written out, at most.
constexpr std::size_t kFewParts = 8;

}  // namespace

OpInstance instance_of(const Node& node, std::span<const TensorType> types) {
  return {node.op, types, node.attributes};
}

Planner::Planner(const Graph& g, const FusionOptions& o) : graph(g), options(o) {
  plan.group_of.assign(graph.nodes().size(), FusionPlan::kInline);
  plan.stored.assign(graph.value_count(), false);
  use_count.assign(graph.value_count(), 0);
  is_output.assign(graph.value_count(), false);
  is_checked.assign(graph.value_count(), false);
  cost.assign(graph.nodes().size(), 0);
  for (const Node& node : graph.nodes())
    for (ValueId operand : node.operands) ++use_count[operand.index];
  for (const Graph::Output& output : graph.outputs()) {
    ++use_count[output.value.index];
    is_output[output.value.index] = true;
  }
  for (const std::vector<ValueId>& values : options.checked)
    for (ValueId value : values) is_checked[value.index] = true;
  has_waits = !options.checked.empty();
  for (const Node& node : graph.nodes()) {
    if (!node.op->waits_for) continue;
    has_waits = true;
    is_checked[node.operands[*node.op->waits_for].index] = true;
  }
}

bool Planner::has_reduction(const Node& node) const {
  if (!node.op->comprehension || node.op->pointwise || node.op->data) return false;
  std::vector<TensorType> types = types_of(graph, node.operands);
  return node.op->comprehension(instance_of(node, types)).reduction.has_value();
}

bool Planner::is_stepped(const Node& node) const {
  if (!node.op->steps) return false;
  std::vector<TensorType> types = types_of(graph, node.operands);
  return !node.op->composite_for(instance_of(node, types));
}

bool Planner::is_parted(const Node& node) const {
  return node.op->operand_ranges && node.operands.size() > kFewParts;
}

int Planner::own_cost(const Node& node) const {
  if (node.op->data) return 0;
  std::vector<TensorType> types = types_of(graph, node.operands);
  if (!node.op->pointwise) {
    const int parts = static_cast<int>(node.operands.size()) - (node.op->waits_for ? 1 : 0);
    return node.op->is_movement ? std::min(parts - 1, 1) + kPartCost * std::max(parts - 2, 0) : 1;
  }
  Arena arena;
  Id root = pointwise_expression(arena, instance_of(node, types)).id();
  int total = 0;
  for (Id id : scalar::reachable(arena, std::span(&root, 1)))
    total += scalar::info(arena[id].primitive).cost;
  return total;
}

Probe Planner::probe(const Node& node) const {
  Probe result;
  std::vector<Location> locations;
  Arena& arena = result.arena;
  ElementBuilder builder(
      graph, arena, locations, [&](ValueId value, std::span<const Id> indices, Id guard) {
        if (is_inline(value)) return Id{};
        const Value& info = graph.value(value);
        if (info.kind == Value::Kind::result) {
          const Node& producer = graph.node(info.producer);
          if (producer.op->data && splat_value(*producer.op->data(producer.attributes)))
            return Id{};
        }
        return load_element(arena, value.index, info.type, indices, guard);
      });
  Shape shape = without_ones(graph.type(node.results[0]).shape);
  result.result_axes = shape.size();
  std::vector<Id> axes;
  for (std::size_t i = 0; i < shape.size(); ++i)
    axes.push_back(arena.axis(static_cast<std::uint32_t>(i), shape[i]));
  std::vector<Id> indices = spread_indices(arena, graph.type(node.results[0]).shape, axes);
  std::vector<Id> roots;
  std::vector<TensorType> types = types_of(graph, node.operands);
  if (is_stepped(node)) {
    Steps steps = node.op->steps(instance_of(node, types));
    for (const Dim& extent : without_ones(steps.extents))
      axes.push_back(arena.axis(static_cast<std::uint32_t>(axes.size()), extent));
    std::span<const Id> own = std::span<const Id>(axes).subspan(result.result_axes);
    roots = builder.step(node, steps, spread_indices(arena, steps.extents, own));
    if (steps.start) roots.push_back(builder.element(node.operands[*steps.start], indices));
  } else if (has_reduction(node)) {
    Comprehension comprehension = node.op->comprehension(instance_of(node, types));
    result.folds = true;
    result.order = comprehension.reduction->order;
    for (const Dim& extent : comprehension.reduce_extents)
      result.reduced_extent = result.reduced_extent * extent;
    Id reduced = arena.axis(static_cast<std::uint32_t>(axes.size()), result.reduced_extent);
    std::vector<Id> split = delinearize(arena, reduced, comprehension.reduce_extents);
    roots = builder.folded_elements(node, comprehension, indices, split);
    result.multiplies = roots.size() != comprehension.reduction->types.size();
  } else {
    for (ValueId value : node.results) roots.push_back(builder.written_out(value, indices));
  }
  for (Id id : scalar::reachable(arena, roots)) {
    const scalar::Node& made = arena[id];
    if (!scalar::is_load(made.primitive)) continue;
    if (made.payload == node.results[0].index) continue;  // a step's own result
    std::span<const Id> element = arena.load_indices(id);
    result.accesses.push_back(
        {ValueId{static_cast<std::uint32_t>(made.payload)}, {element.begin(), element.end()}});
  }
  return result;
}

}  // namespace weir
