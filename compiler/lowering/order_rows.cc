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

// The rows in their new order: those that are chosen last, before them the others as they were, or
// in a kernel that only stores, where none is a tile's, in the order in which memory holds them.
// Beside a residue that is the tile's row stand the others, so that it has all of their points.
std::vector<std::uint32_t> new_order(const Kernel& kernel, const KernelCost& cost,
                                     const TileAxes& last) {
  std::vector<std::uint32_t> order;
  const std::uint32_t first = cost.first_joined(last.axis);
  const bool has_row = cost.has_fold() && last.row != last.axis;
  const std::vector<bool> tile = deciding_rows(kernel, last.row);
  auto is_last = [&](std::uint32_t axis) {
    return (axis >= first && axis <= last.axis) || (has_row && tile[axis]);
  };
  for (std::uint32_t axis = 0; axis < kernel.rows.size(); ++axis)
    if (!is_last(axis)) order.push_back(axis);
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
                bool moved) {
  if (kernel.rows.size() < 2) return;
  KernelCost cost(kernel, may_copy);
  if (moved) cost.set_moved();
  TileAxes best = cost.best();
  if (best == cost.given()) return;
  std::vector<std::uint32_t> order = new_order(kernel, cost, best);
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
