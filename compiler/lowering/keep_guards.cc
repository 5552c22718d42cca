#include "compiler/lowering/keep_guards.h"

#include <algorithm>
#include <optional>

#include "compiler/lowering/reads_axis.h"
#include "ir/scalar/affine.h"

namespace weir {
namespace {

using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// Of vectors of an image's row, so many that most of them are not at its ends.
constexpr std::int64_t kLeastVectors = 8;
// Rows of a tile of four vectors, as it is with many registers.
constexpr std::int64_t kRowsOfTile = 6;

// Whether neighbours along an axis are neighbours in memory.
bool lies_along(const Arena& arena, Id load, std::uint32_t axis) {
  const std::span<const Id> indices = arena.load_indices(load);
  for (std::size_t i = 0; i + 1 < indices.size(); ++i)
    if (reads_axis(arena, indices[i], axis)) return false;
  return !indices.empty() &&
         std::ranges::any_of(scalar::decompose(arena, indices.back()).terms, [&](const auto& term) {
           return is_axis(arena, term.first, axis) && term.second == Dim(1);
         });
}

// Whether the first cache keeps a line of each step of a loop, so far apart as these are.
bool keeps_lines(const Kernel& kernel, Id load, std::uint32_t axis, const Cache& cache) {
  const Arena& arena = kernel.arena;
  const TensorType& type = kernel.parameters[arena[load].payload].type;
  const std::span<const Id> indices = arena.load_indices(load);
  Dim apart(byte_size(type.dtype));
  for (std::size_t i = indices.size(); i-- > 0; apart = apart * type.shape[i])
    if (reads_axis(arena, indices[i], axis)) break;
  const std::optional<std::int64_t> bytes = apart.constant(),
                                    steps = arena.axis_extent(axis).constant();
  return bytes && *bytes > 0 && steps && *steps <= cache.lines_kept(*bytes);
}

}  // namespace

bool may_keep_guards(const Processor& processor) {
  constexpr int kBytesWithMasks = 64;
  return processor.vectors.bytes >= kBytesWithMasks;
}

bool keeps_guards(const Kernel& kernel, const Processor& processor) {
  if (!may_keep_guards(processor) || kernel.rows.size() < 3 || kernel.stages.empty() ||
      !kernel.stages[0].fold)
    return false;
  const auto columns = static_cast<std::uint32_t>(kernel.rows.size() - 1), rows = columns - 1;
  const Stage& stage = kernel.stages[0];
  const Arena& arena = kernel.arena;
  Dim outside = 1;
  for (std::uint32_t i = 0; i < rows; ++i) outside = outside * kernel.rows[i];
  if (stage.digits.empty() || outside.constant().value_or(kRowsOfImage) < kRowsOfImage)
    return false;
  bool any = false;
  for (Id id : scalar::reachable(arena, stage.fold->elements)) {
    if (!scalar::is_load(arena[id].primitive)) continue;
    if (arena[id].primitive != Primitive::load_if) {
      if (reads_axis(arena, id, columns)) return false;
      continue;
    }
    if (reads_axis(arena, id, rows) || !lies_along(arena, id, columns) ||
        !keeps_lines(kernel, id, stage.digits.back(), processor.core.first))
      return false;
    const std::int64_t lanes = processor.vectors.lanes(arena[id].type);
    if (kernel.rows[columns].constant().value_or(0) < kLeastVectors * lanes) return false;
    any = true;
  }
  const std::int64_t tile_rows = kernel.rows[rows].constant().value_or(0);
  return any && tile_rows > 1 && tile_rows <= kGroupsOfRow * kRowsOfTile;
}

}  // namespace weir
