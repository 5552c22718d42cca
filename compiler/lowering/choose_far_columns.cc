#include "compiler/lowering/choose_far_columns.h"

#include <cstdint>
#include <optional>

#include "compiler/lowering/cache_line.h"
#include "ir/scalar/affine.h"

namespace weir {
namespace {

using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// docs/decisions/panels.md#columns-that-are-far
constexpr std::int64_t kStepsAhead = 64;
// What a tile reads of columns in a cycle, at least.
constexpr std::int64_t kBytesOfCycle = 8;

// All columns of a tile in all steps stay in half of the second cache.
std::int64_t near_bytes(const Core& core) { return core.second.bytes / 2; }

// Whether the columns of the next step follow those of a step.
bool is_run(const Schedule& schedule, const Access& access, std::uint32_t axis) {
  if (access.kind != Access::Kind::contiguous || !access.inside.valid()) return false;
  const Arena& arena = schedule.kernel.arena;
  const scalar::Affine inside = scalar::decompose(arena, access.inside);
  if (inside.terms.size() != 1) return false;
  const auto& [atom, stride] = inside.terms.front();
  return arena[atom].primitive == Primitive::axis && arena[atom].payload == axis &&
         stride == Dim(std::int64_t{schedule.width} * schedule.tile_unroll);
}

}  // namespace

void choose_far_columns(Schedule& schedule, const Core& core) {
  if (!schedule.is_tile() || schedule.tile_axes != 1 || schedule.overlap) return;
  const Kernel& kernel = schedule.kernel;
  const Stage& stage = kernel.stages.front();
  if (stage.digits.empty() || !stage.fold->partials.empty()) return;
  const std::optional<std::int64_t> steps = kernel.arena.axis_extent(*stage.axis).constant();
  for (Id id : scalar::reachable(kernel.arena, stage.fold->elements)) {
    const auto load = schedule.loads.find(id.index);
    if (load == schedule.loads.end() || kernel.arena[id].primitive != Primitive::load ||
        schedule.varies_by_row[id.index] || !is_run(schedule, load->second, stage.digits.back()))
      continue;
    const std::int64_t vector_bytes = schedule.width * byte_size(kernel.arena[id].type);
    const std::int64_t step_bytes = vector_bytes * schedule.tile_unroll;
    const std::int64_t step_cycles =
        std::int64_t{schedule.rows_at_once} * step_bytes / (core.fma_ports * core.fma_bytes);
    if (!steps || *steps * step_bytes <= near_bytes(core) || vector_bytes != kLineBytes ||
        step_bytes < kBytesOfCycle * step_cycles)
      continue;
    schedule.far_columns = FarColumns{id, kStepsAhead * step_bytes};
    return;
  }
}

}  // namespace weir
