#include "compiler/lowering/spread_rows.h"

#include <numeric>

#include "compiler/lowering/cache_line.h"
#include "compiler/lowering/choose_tile_axes.h"
#include "compiler/lowering/linear_offset.h"
#include "ir/scalar/affine.h"

namespace weir {
namespace {

using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// The elements from one point of an axis to the next, where they are known.
std::int64_t elements_apart(Arena& arena, const Shape& shape, Id load, std::uint64_t axis) {
  const std::vector<Id> indices(arena.load_indices(load).begin(), arena.load_indices(load).end());
  for (const auto& [atom, stride] : linear_offset(arena, shape, indices).terms)
    if (arena[atom].primitive == Primitive::axis && arena[atom].payload == axis)
      return stride.constant().value_or(0);
  return 0;
}

}  // namespace

void spread_rows(Kernel& kernel, PackedCopy& copy, const Processor& processor) {
  if (copy.low.empty() || copy.panel != 0 || copy.low.back() != 0 || kernel.rows.size() < 2 ||
      !copy.type.shape.back().is_constant())
    return;
  const Cache& cache = processor.core.first;
  const std::int64_t size = byte_size(copy.type.dtype), way = cache.bytes_of_way();
  const std::int64_t rows = tile_vectors(processor.vectors) > 2 ? kFarRowsOfTwo : kTileRows;
  Arena arena = kernel.arena;
  bool share = false;
  for (const Stage& stage : kernel.stages) {
    if (!stage.fold) continue;
    for (Id id : scalar::reachable(arena, stage.fold->elements)) {
      if (!scalar::is_load(arena[id].primitive) || arena[id].payload != copy.parameter) continue;
      const scalar::Node& last = arena[arena.load_indices(id).back()];
      if (last.primitive != Primitive::axis || last.payload < kernel.rows.size()) return;
      const std::int64_t apart =
          elements_apart(arena, copy.type.shape, id, kernel.rows.size() - 2) * size;
      share = share || (apart != 0 && cache.ways * (way / std::gcd(apart, way)) < rows);
    }
  }
  if (!share) return;
  copy.spare = kLineBytes / size;
  copy.type.shape.back() = copy.type.shape.back() + Dim(copy.spare);
  kernel.parameters[copy.parameter].type = copy.type;
}

}  // namespace weir
