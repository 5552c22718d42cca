#include "compiler/lowering/join_rows.h"

#include <algorithm>
#include <array>
#include <span>

#include "compiler/lowering/linear_offset.h"
#include "compiler/lowering/reads_axis.h"

namespace weir {
namespace {

using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// Whether the axis is in the address, if at all, as a stride alone.
bool walks_through(Kernel& kernel, std::uint32_t axis, std::uint32_t parameter,
                   const std::vector<Id>& indices) {
  const scalar::Affine offset =
      linear_offset(kernel.arena, kernel.parameters[parameter].type.shape, indices);
  return std::ranges::all_of(offset.terms, [&](const auto& term) {
    return is_axis(kernel.arena, term.first, axis) || !reads_axis(kernel.arena, term.first, axis);
  });
}

// Whether a value is computed from the axis, as a guard is, and not only loaded at it.
bool computes_with(const Kernel& kernel, std::uint32_t axis) {
  std::vector<bool> is_value(kernel.arena.size());
  auto add = [&](std::span<const Id> roots) {
    for (Id root : roots) is_value[root.index] = true;
  };
  for (const Stage& stage : kernel.stages) {
    if (stage.fold) {
      add(stage.fold->elements);
      if (stage.fold->frame) add(std::array{stage.fold->frame->inside, stage.fold->frame->sum});
    }
    for (const Store& store : stage.stores) add(std::span(&store.value, 1));
  }
  for (std::size_t i = kernel.arena.size(); i-- > 0;) {
    const Id id{static_cast<std::uint32_t>(i)};
    if (!is_value[i]) continue;
    if (is_axis(kernel.arena, id, axis)) return true;
    for (Id operand : kernel.arena.value_operands(id)) is_value[operand.index] = true;
  }
  return false;
}

}  // namespace

std::optional<Kernel> join_rows(const Kernel& kernel, std::uint32_t outer) {
  if (kernel.across || outer + 1 >= kernel.rows.size()) return std::nullopt;
  Kernel joined = kernel;
  const Dim inner = kernel.rows[outer + 1];
  joined.rows[outer] = kernel.rows[outer] * inner;
  joined.rows.erase(joined.rows.begin() + outer + 1);
  rewrite(joined, [&](const Arena& from, Id id, Arena& into) -> Id {
    const scalar::Node& node = from[id];
    if (node.primitive != Primitive::axis || node.payload >= kernel.rows.size()) return {};
    const auto axis = static_cast<std::uint32_t>(node.payload);
    if (axis < outer) return {};
    if (axis > outer + 1) return into.axis(axis - 1, kernel.rows[axis]);
    const Id whole = into.axis(outer, kernel.rows[outer] * inner);
    return into.make(axis == outer ? Primitive::floor_div : Primitive::modulo,
                     {whole, into.size_of(inner)});
  });
  if (computes_with(joined, outer)) return std::nullopt;
  bool is_one_row = true;
  for (Id id : scalar::reachable(joined.arena, roots_of(joined))) {
    if (!scalar::is_load(joined.arena[id].primitive)) continue;
    const std::span<const Id> indices = joined.arena.load_indices(id);
    is_one_row = is_one_row &&
                 walks_through(joined, outer, static_cast<std::uint32_t>(joined.arena[id].payload),
                               {indices.begin(), indices.end()});
  }
  for (const Stage& stage : joined.stages)
    for (const Store& store : stage.stores)
      is_one_row = is_one_row && walks_through(joined, outer, store.parameter, store.indices);
  if (!is_one_row) return std::nullopt;
  joined.locations.resize(joined.arena.size());
  return joined;
}

}  // namespace weir
