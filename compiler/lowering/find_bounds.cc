#include "compiler/lowering/find_bounds.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "compiler/lowering/classify_access.h"
#include "ir/scalar/affine.h"
#include "ir/scalar/subexpressions.h"

namespace weir {

using scalar::Affine;
using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

namespace {

// Of a sum of axes, if their extents are known.
std::optional<std::int64_t> greatest(const Arena& arena, Id index) {
  const Affine sum = scalar::decompose(arena, index);
  std::optional<std::int64_t> result = sum.constant.constant();
  for (const auto& [atom, coefficient] : sum.terms) {
    const scalar::Node& node = arena[atom];
    if (!result || node.primitive != Primitive::axis || !coefficient.is_constant())
      return std::nullopt;
    const Dim& extent = arena.axis_extent(node.payload);
    if (!extent.is_constant()) return std::nullopt;
    *result += std::max<std::int64_t>(coefficient.value() * (extent.value() - 1), 0);
  }
  return result;
}

std::optional<IndexBound> bound_of_steps(Kernel& kernel, const Affine& difference) {
  Affine rest;
  rest.constant = difference.constant;
  std::optional<std::int64_t> stride;
  for (const auto& term : difference.terms) {
    const scalar::Node& node = kernel.arena[term.first];
    if (level_of_index(kernel, term.first) < Level::stage) {
      rest.terms.push_back(term);
    } else if (node.primitive == Primitive::axis && !stride && term.second.is_constant()) {
      stride = term.second.value();
    } else {
      return std::nullopt;
    }
  }
  if (!stride) return std::nullopt;
  return IndexBound{sum_by_level(kernel, rest), *stride, std::nullopt};
}

bool loads_any(const Arena& arena, Id root) {
  std::vector<Id> reached = scalar::reachable(arena, std::span(&root, 1));
  return std::any_of(reached.begin(), reached.end(), [&](Id id) {
    Primitive primitive = arena[id].primitive;
    return scalar::is_load(primitive) || primitive == Primitive::local;
  });
}

}  // namespace

// The comparisons in guards. What they compare are indices, whose differences do not overflow;
// what is loaded may be any number.
void find_bounds(Schedule& schedule, bool along_stages, std::span<const Id> loads) {
  Arena& arena = schedule.kernel.arena;
  if (schedule.width == 1 || !schedule.vector_row) return;
  std::vector<Id> guards;
  for (Id id : loads)
    if (arena[id].primitive == Primitive::load_if) guards.push_back(arena.operand(id, 0));
  for (Id id : scalar::reachable(arena, guards)) {
    const scalar::Node node = arena[id];
    if (node.primitive != Primitive::lt && node.primitive != Primitive::le) continue;
    Id low = arena.operand(id, 0), high = arena.operand(id, 1);
    if (arena[low].type != DType::i64 || loads_any(arena, id)) continue;
    Affine difference = scalar::decompose(arena, low) - scalar::decompose(arena, high);
    // At most 0 is less than 1.
    if (node.primitive == Primitive::le) difference.constant = difference.constant - Dim(1);
    if (!depends_on_vector_axis(schedule, along_stages, id)) {
      if (std::optional<IndexBound> bound = bound_of_steps(schedule.kernel, difference))
        schedule.step_bounds.emplace(id.index, *bound);
      continue;
    }
    Access access = classify_access(schedule, along_stages, difference);
    bool grows = access.kind == Access::Kind::contiguous || access.kind == Access::Kind::strided;
    if (!grows || !access.stride.is_constant()) continue;
    schedule.bounds.emplace(
        id.index, IndexBound{access.offset, access.stride.value(), greatest(arena, access.offset)});
  }
}

}  // namespace weir
