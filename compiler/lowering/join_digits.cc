#include "compiler/lowering/join_digits.h"

#include <algorithm>
#include <vector>

#include "compiler/lowering/choose_tile.h"
#include "compiler/lowering/linear_offset.h"
#include "compiler/lowering/reads_axis.h"

namespace weir {
namespace {

using scalar::Affine;
using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// How far apart two neighbours along an axis lie; none if it has part in more than a stride.
std::optional<Dim> stride_along(const Arena& arena, const Affine& offset, std::uint32_t axis) {
  Dim stride = 0;
  for (const auto& [atom, coefficient] : offset.terms) {
    if (is_axis(arena, atom, axis)) {
      stride = coefficient;
      continue;
    }
    if (reads_axis(arena, atom, axis)) return std::nullopt;
  }
  return stride;
}

// Whether the elements of a fold depend on two digits by nothing but where they lie, and as on one
// digit whose last `points` positions the inner one has.
bool walks_on(Kernel& kernel, const Fold& fold, std::uint32_t outer, std::uint32_t inner,
              const Dim& points) {
  Arena& arena = kernel.arena;
  std::vector<Id> open(fold.elements);
  std::vector<bool> seen(arena.size());
  while (!open.empty()) {
    const Id id = open.back();
    open.pop_back();
    if (id.index >= seen.size() || seen[id.index]) continue;
    seen[id.index] = true;
    if (is_axis(arena, id, outer) || is_axis(arena, id, inner)) return false;
    for (Id operand : arena.value_operands(id)) open.push_back(operand);
    if (!scalar::is_load(arena[id].primitive)) continue;
    const std::vector<Id> indices(arena.load_indices(id).begin(), arena.load_indices(id).end());
    const Affine offset =
        linear_offset(arena, kernel.parameters[arena[id].payload].type.shape, indices);
    const std::optional<Dim> far = stride_along(arena, offset, outer),
                             near = stride_along(arena, offset, inner);
    if (!far || !near || *far != *near * points) return false;
  }
  return true;
}

// The last two digits of a stage, if they are to be one: how many points that has.
std::optional<std::int64_t> points_together(Kernel& kernel, const Stage& stage) {
  if (!stage.fold || stage.fold->order != Reduction::Order::chain || stage.digits.size() < 2 ||
      stage.fold->frame || is_written_out(kernel, stage, 1))
    return std::nullopt;
  const std::uint32_t outer = stage.digits[stage.digits.size() - 2], inner = stage.digits.back();
  const std::optional<std::int64_t> of_outer = kernel.arena.axis_extent(outer).constant(),
                                    of_inner = kernel.arena.axis_extent(inner).constant(),
                                    steps = kernel.arena.axis_extent(*stage.axis).constant();
  if (!of_outer || !of_inner || *of_outer < 2 || *of_inner < 2) return std::nullopt;
  const std::int64_t points = *of_outer * *of_inner;
  const bool ends_with_chunks =
      stage.fold->chunk % points == 0 || (steps && *steps <= stage.fold->chunk);
  if (!ends_with_chunks || !walks_on(kernel, *stage.fold, outer, inner, Dim(*of_inner)))
    return std::nullopt;
  return points;
}

}  // namespace

void join_digits(Kernel& kernel) {
  for (std::size_t i = 0; i < kernel.stages.size(); ++i) {
    while (const std::optional<std::int64_t> points = points_together(kernel, kernel.stages[i])) {
      Stage& stage = kernel.stages[i];
      const std::uint32_t outer = stage.digits[stage.digits.size() - 2],
                          inner = stage.digits.back();
      // A single digit is the stage's axis itself.
      const std::uint32_t joined = stage.digits.size() == 2 ? *stage.axis : unused_axis(kernel);
      stage.digits.pop_back();
      stage.digits.back() = joined;
      kernel.arena.axis(joined, Dim(*points));
      rewrite(kernel, [&](const Arena& from, Id id, Arena& into) {
        if (is_axis(from, id, outer)) return into.index(0);
        return is_axis(from, id, inner) ? into.axis(joined, Dim(*points)) : Id();
      });
    }
  }
}

}  // namespace weir
