#include "compiler/lowering/classify_access.h"

#include <algorithm>
#include <map>
#include <utility>

#include "compiler/lowering/find_levels.h"
#include "ir/scalar/subexpressions.h"

namespace weir {

using scalar::Affine;
using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

Level level_of_index(const Kernel& kernel, Id index) {
  Level level = Level::call;
  for (Id id : scalar::reachable(kernel.arena, std::span(&index, 1))) {
    const scalar::Node& node = kernel.arena[id];
    if (node.primitive == Primitive::axis)
      level = std::max(level, level_of(kernel, static_cast<std::uint32_t>(node.payload)));
    else if (scalar::is_load(node.primitive) || node.primitive == Primitive::local)
      level = Level::stage;
  }
  return level;
}

bool depends_on_vector_axis(const Schedule& schedule, bool along_stages, Id root) {
  const Arena& arena = schedule.kernel.arena;
  for (Id id : scalar::reachable(arena, std::span(&root, 1))) {
    const scalar::Node& node = arena[id];
    // A local has a value for each row.
    if (node.primitive == Primitive::local && schedule.vector_row) return true;
    if (node.primitive == Primitive::axis &&
        is_vector_axis(schedule, along_stages, static_cast<std::uint32_t>(node.payload)))
      return true;
  }
  return false;
}

Id sum_by_level(Kernel& kernel, const Affine& affine) {
  std::map<Level, Affine> parts;
  parts[Level::call].constant = affine.constant;
  for (const auto& term : affine.terms)
    parts[level_of_index(kernel, term.first)].terms.push_back(term);
  Id sum;
  for (const auto& [level, part] : parts) {
    if (part.is_constant() && part.constant == Dim(0) && parts.size() > 1) continue;
    Id own = scalar::rebuild_index(kernel.arena, part);
    sum = sum.valid() ? kernel.arena.make(Primitive::add, {sum, own}) : own;
  }
  return sum;
}

Access classify_access(Schedule& schedule, bool along_stages, const Affine& offset) {
  Arena& arena = schedule.kernel.arena;
  Access access;
  Affine rest;
  rest.constant = offset.constant;
  Dim stride = 0;
  bool computed = false;
  for (const auto& [atom, value] : offset.terms) {
    const scalar::Node& node = arena[atom];
    if (node.primitive == Primitive::axis &&
        is_vector_axis(schedule, along_stages, static_cast<std::uint32_t>(node.payload))) {
      stride = stride + value;
    } else {
      computed = computed || depends_on_vector_axis(schedule, along_stages, atom);
      rest.terms.emplace_back(atom, value);
    }
  }
  std::sort(rest.terms.begin(), rest.terms.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  if (computed) {
    Affine whole = offset;
    std::sort(whole.terms.begin(), whole.terms.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    access.kind = Access::Kind::computed;
    access.offset = scalar::rebuild_index(arena, whole);
    return access;
  }
  access.offset = sum_by_level(schedule.kernel, rest);
  access.stride = stride;
  access.kind = stride == Dim(0)   ? Access::Kind::uniform
                : stride == Dim(1) ? Access::Kind::contiguous
                                   : Access::Kind::strided;
  return access;
}

void part_by_step(Kernel& kernel, Access& access) {
  if (access.kind == Access::Kind::computed) return;
  Affine outside = scalar::decompose(kernel.arena, access.offset), inside;
  std::erase_if(outside.terms, [&](const auto& term) {
    if (level_of_index(kernel, term.first) < Level::stage) return false;
    inside.terms.push_back(term);
    return true;
  });
  if (inside.terms.empty()) return;
  access.outside = sum_by_level(kernel, outside);
  access.inside = scalar::rebuild_index(kernel.arena, inside);
}

}  // namespace weir
