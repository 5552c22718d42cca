#include "compiler/lowering/order_rows.h"

#include <algorithm>

#include "compiler/lowering/kernel_cost.h"

namespace weir {
namespace {

using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// The rows in their new order: those that are chosen last, before them the others as they were, or
// in a kernel that only stores, where none is a tile's, in the order in which memory holds them.
std::vector<std::uint32_t> new_order(const Kernel& kernel, const KernelCost& cost,
                                     const TileAxes& last) {
  std::vector<std::uint32_t> order;
  const std::uint32_t first = cost.first_joined(last.axis);
  auto is_last = [&](std::uint32_t axis) {
    return (axis >= first && axis <= last.axis) || (axis == last.row && cost.has_fold());
  };
  for (std::uint32_t axis = 0; axis < kernel.rows.size(); ++axis)
    if (!is_last(axis)) order.push_back(axis);
  if (cost.has_fold()) {
    if (last.row != last.axis) order.push_back(last.row);
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
