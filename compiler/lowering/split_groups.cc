#include "compiler/lowering/split_groups.h"

#include <algorithm>

#include "ir/scalar/affine.h"

namespace weir {
namespace {

using scalar::Affine;
using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// A row axis and how many of its points in a row are of one group.
struct Groups {
  std::uint32_t axis;
  std::int64_t size;
};

bool is_some_axis(const Arena& arena, Id id) { return arena[id].primitive == Primitive::axis; }

std::optional<Groups> groups_of(const Kernel& kernel, Id atom) {
  const Arena& arena = kernel.arena;
  if (arena[atom].primitive != Primitive::floor_div) return std::nullopt;
  const Id row = arena.operand(atom, 0);
  if (!is_some_axis(arena, row) || arena[row].payload >= kernel.rows.size()) return std::nullopt;
  const Affine divisor = scalar::decompose(arena, arena.operand(atom, 1));
  const std::optional<std::int64_t> size = divisor.constant.constant(),
                                    extent = kernel.rows[arena[row].payload].constant();
  if (!divisor.is_constant() || !size || !extent || *size < 2 || *extent <= *size ||
      *extent % *size != 0)
    return std::nullopt;
  return Groups{static_cast<std::uint32_t>(arena[row].payload), *size};
}

std::optional<Groups> find_groups(const Kernel& kernel) {
  for (const Stage& stage : kernel.stages) {
    if (!stage.fold || stage.fold->order != Reduction::Order::chain) continue;
    for (Id load : scalar::reachable(kernel.arena, stage.fold->elements)) {
      if (!scalar::is_load(kernel.arena[load].primitive)) continue;
      for (Id index : kernel.arena.load_indices(load)) {
        const Affine sum = scalar::decompose(kernel.arena, index);
        if (std::ranges::none_of(sum.terms, [&](const auto& term) {
              return is_some_axis(kernel.arena, term.first);
            }))
          continue;
        for (const auto& [atom, coefficient] : sum.terms)
          if (std::optional<Groups> groups = groups_of(kernel, atom)) return groups;
      }
    }
  }
  return std::nullopt;
}

}  // namespace

void split_groups(Kernel& kernel) {
  // A cut leaves no quotient of its axis by that size.
  while (const std::optional<Groups> groups = find_groups(kernel)) {
    const std::int64_t count = kernel.rows[groups->axis].value() / groups->size;
    cut_row(kernel, groups->axis, {Dim(count), Dim(groups->size)}, {Dim(groups->size), Dim(1)});
  }
}

std::vector<bool> group_axes(const Kernel& kernel) {
  std::vector<bool> result(kernel.rows.size(), true);
  const Arena& arena = kernel.arena;
  auto look_at = [&](std::span<const Id> indices) {
    for (Id index : indices)
      if (is_some_axis(arena, index) && arena[index].payload < result.size())
        result[arena[index].payload] = false;
  };
  for (Id id : scalar::reachable(arena, roots_of(kernel)))
    if (scalar::is_load(arena[id].primitive)) look_at(arena.load_indices(id));
  for (const Stage& stage : kernel.stages)
    for (const Store& store : stage.stores) look_at(store.indices);
  return result;
}

std::optional<std::uint32_t> axis_within_group(const Kernel& kernel,
                                               const std::vector<bool>& group_axes, Id index) {
  const Arena& arena = kernel.arena;
  auto axis_of = [&](Id id) { return static_cast<std::uint32_t>(arena[id].payload); };
  if (is_some_axis(arena, index)) return axis_of(index);
  const Affine sum = scalar::decompose(arena, index);
  if (sum.constant != Dim(0) || sum.terms.size() != 2) return std::nullopt;
  for (std::size_t i = 0; i < 2; ++i) {
    const auto& [inner, one] = sum.terms[i];
    const auto& [outer, size] = sum.terms[1 - i];
    // A quotient counts parts, too, but stands behind its residue.
    if (is_some_axis(arena, inner) && is_some_axis(arena, outer) &&
        axis_of(outer) < axis_of(inner) && axis_of(outer) < group_axes.size() &&
        group_axes[axis_of(outer)] && one == Dim(1) && size.is_constant() && size.value() > 1 &&
        size == arena.axis_extent(axis_of(inner)))
      return axis_of(inner);
  }
  return std::nullopt;
}

}  // namespace weir
