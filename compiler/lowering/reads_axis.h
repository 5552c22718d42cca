// Whether expressions depend on an axis of a kernel.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "ir/scalar/arena.h"

namespace weir {

inline bool is_axis(const scalar::Arena& arena, scalar::Id id, std::uint32_t axis) {
  return arena[id].primitive == scalar::Primitive::axis && arena[id].payload == axis;
}

inline bool reads_axis(const scalar::Arena& arena, std::span<const scalar::Id> roots,
                       std::uint32_t axis) {
  return std::ranges::any_of(scalar::reachable(arena, roots),
                             [&](scalar::Id id) { return is_axis(arena, id, axis); });
}

inline bool reads_axis(const scalar::Arena& arena, scalar::Id root, std::uint32_t axis) {
  return reads_axis(arena, std::span(&root, 1), axis);
}

}  // namespace weir
