#include "compiler/lowering/order_rows.h"

#include <algorithm>

#include "compiler/lowering/choose_tile.h"
#include "compiler/lowering/kernel_cost.h"

namespace weir {
namespace {

using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// The chosen row axis, and if it depends on that which steps of a fold that is written out count,
// all on which it does.
std::vector<bool> deciding_rows(const Kernel& kernel, std::uint32_t chosen) {
  std::vector<bool> decide(kernel.rows.size());
  for (const Stage& stage : kernel.stages) {
    if (!stage.fold || !is_written_out(kernel, stage, 1)) continue;
    std::optional<Id> condition = step_condition(kernel, *stage.fold);
    if (!condition) continue;
    for (Id id : scalar::reachable(kernel.arena, std::span(&*condition, 1))) {
      const scalar::Node& node = kernel.arena[id];
      if (node.primitive == Primitive::axis && node.payload < decide.size())
        decide[node.payload] = true;
    }
  }
  if (!decide[chosen]) decide.assign(decide.size(), false);
  decide[chosen] = true;
  return decide;
}

// Bytes of weights that the second cache holds beside what else it has to.
std::int64_t near_weights(const Core& core) { return core.second.bytes / 2; }

// Residues, which are rows that decide which steps count, where vectors run along the image that
// all of them read, and the weights are few. They stand next to the tile: what one of them reads of
// the image is near when the next one does.
std::vector<bool> near_residues(const Kernel& kernel, std::uint32_t vector_axis, const Core& core) {
  const std::vector<bool> none(kernel.rows.size());
  std::vector<bool> decide = none;
  const Arena& arena = kernel.arena;
  auto depends = [&](std::span<const Id> roots, auto&& of_interest) {
    return std::ranges::any_of(scalar::reachable(arena, roots), [&](Id id) {
      return arena[id].primitive == Primitive::axis && of_interest(arena[id].payload);
    });
  };
  for (const Stage& stage : kernel.stages) {
    if (!stage.fold) continue;
    std::optional<Id> condition = step_condition(kernel, *stage.fold);
    if (!condition || is_written_out(kernel, stage, 1)) continue;
    for (Id id : scalar::reachable(arena, std::span(&*condition, 1)))
      if (arena[id].primitive == Primitive::axis && arena[id].payload < decide.size())
        decide[arena[id].payload] = true;
    for (Id load : scalar::reachable(arena, stage.fold->elements)) {
      if (!scalar::is_load(arena[load].primitive)) continue;
      std::span<const Id> indices = arena.load_indices(load);
      const bool is_image = depends(
          indices, [&](std::uint64_t axis) { return axis < decide.size() && decide[axis]; });
      if (depends(indices, [&](std::uint64_t axis) { return axis == vector_axis; }) != is_image)
        return none;
      const TensorType& type = kernel.parameters[arena[load].payload].type;
      const std::optional<std::int64_t> elements = element_count(type.shape).constant();
      if (!is_image && (!elements || *elements > near_weights(core) / byte_size(type.dtype)))
        return none;
    }
  }
  return decide;
}

// The rows in their new order: those that are chosen last, before them the others as they were, or
// in a kernel that only stores, where none is a tile's, in the order in which memory holds them.
// Beside a residue that is the tile's row stand the others, so that it has all of their points.
std::vector<std::uint32_t> new_order(const Kernel& kernel, const KernelCost& cost,
                                     const TileAxes& last, const Core& core) {
  std::vector<std::uint32_t> order;
  const std::uint32_t first = cost.first_joined(last.axis);
  const bool has_row = cost.has_fold() && last.row != last.axis;
  const std::vector<bool> tile = deciding_rows(kernel, last.row);
  auto is_last = [&](std::uint32_t axis) {
    return (axis >= first && axis <= last.axis) || (has_row && tile[axis]);
  };
  const std::vector<bool> near = near_residues(kernel, last.axis, core);
  for (bool is_near : {false, true})
    for (std::uint32_t axis = 0; axis < kernel.rows.size(); ++axis)
      if (!is_last(axis) && near[axis] == is_near) order.push_back(axis);
  if (cost.has_fold()) {
    for (std::uint32_t axis = 0; axis < kernel.rows.size(); ++axis)
      if (has_row && tile[axis] && axis != last.row && !(axis >= first && axis <= last.axis))
        order.push_back(axis);
    if (has_row) order.push_back(last.row);
  } else {
    std::vector<double> strides = cost.store_strides();
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
      return strides[a] != strides[b] ? strides[a] > strides[b] : a < b;
    });
  }
  for (std::uint32_t axis = first; axis <= last.axis; ++axis) order.push_back(axis);
  return order;
}

}  // namespace

void order_rows(Kernel& kernel, const std::function<bool(std::uint32_t parameter)>& may_copy,
                bool moved, const Processor& processor) {
  if (kernel.rows.size() < 2) return;
  KernelCost cost(kernel, may_copy, processor.vectors);
  if (moved) cost.set_moved();
  TileAxes best = cost.best();
  if (best == cost.given() && (cost.has_fold() || !cost.is_moved())) return;
  const std::vector<std::uint32_t> order = new_order(kernel, cost, best, processor.core);
  if (!std::ranges::is_sorted(order)) reorder_rows(kernel, order);
}

void reorder_rows(Kernel& kernel, const std::vector<std::uint32_t>& order) {
  std::vector<std::uint32_t> number(order.size());
  std::vector<Dim> rows;
  for (std::uint32_t i = 0; i < order.size(); ++i) {
    number[order[i]] = i;
    rows.push_back(kernel.rows[order[i]]);
  }
  kernel.rows = std::move(rows);
  rewrite(kernel, [&](const Arena& from, Id id, Arena& into) -> Id {
    const scalar::Node& node = from[id];
    if (node.primitive != Primitive::axis || node.payload >= number.size()) return {};
    return into.axis(number[node.payload], from.axis_extent(node.payload));
  });
}

}  // namespace weir
