#include "compiler/lowering/choose_far_columns.h"

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

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

// A window's tile whose columns do not stay near, and that reads them fast: docs/decisions/panels.md.
bool passes_by(const Schedule& schedule, const Core& core, std::optional<std::int64_t> steps,
               std::int64_t step_bytes) {
  const std::int64_t step_cycles =
      std::int64_t{schedule.rows_at_once} * step_bytes / (core.fma_ports * core.fma_bytes);
  return steps && *steps * step_bytes > near_bytes(core) &&
         step_bytes >= kBytesOfCycle * step_cycles;
}

// The columns of all tiles do not stay in the second cache from one run of the program to the next.
bool comes_from_afar(const TensorType& columns, const Core& core) {
  const std::optional<std::int64_t> elements = element_count(columns.shape).constant();
  return elements && *elements * byte_size(columns.dtype) > core.second.bytes;
}

// A tile that slides passes by an image once for each vector of its columns, from its first row
// downwards, and then by the one behind it: the next of the fold if it has several, or of the next
// unit. A line is asked for by each load.
void choose_next_images(Schedule& schedule, const Core& core) {
  const Kernel& kernel = schedule.kernel;
  const Stage& stage = kernel.stages.front();
  const auto tile = static_cast<std::size_t>(schedule.tile_axes);
  const bool is_folded = stage.digits.size() > 1;
  if (core.asks_ahead == 0 || (!is_folded && schedule.rows.size() <= tile)) return;
  const std::uint32_t next = is_folded ? stage.digits[stage.digits.size() - 2]
                                       : schedule.rows[schedule.rows.size() - tile - 1].number;
  std::vector<FarColumns> images;
  std::int64_t bytes = 0;
  for (Id id : scalar::reachable(kernel.arena, stage.fold->elements)) {
    const auto load = schedule.loads.find(id.index);
    if (load == schedule.loads.end()) continue;
    // What is gathered has no one address.
    if (load->second.kind == Access::Kind::computed) return;
    const TensorType& type = kernel.parameters[kernel.arena[id].payload].type;
    if (schedule.width * byte_size(type.dtype) != kLineBytes || !load->second.offset.valid())
      return;
    bytes +=
        element_count(type.shape).constant().value_or(core.first.bytes) * byte_size(type.dtype);
    for (const auto& [atom, stride] : scalar::decompose(kernel.arena, load->second.offset).terms)
      if (kernel.arena[atom].primitive == Primitive::axis && kernel.arena[atom].payload == next &&
          stride.is_constant() && stride.value() > 0)
        images.push_back({id, stride.value() * byte_size(type.dtype)});
  }
  if (bytes > core.first.bytes) schedule.next_images = std::move(images);
}

}  // namespace

void choose_far_columns(Schedule& schedule, const Core& core) {
  if (schedule.slides) return choose_next_images(schedule, core);
  if (!schedule.is_tile() || schedule.tile_axes != 1 || schedule.overlap) return;
  const Kernel& kernel = schedule.kernel;
  const Stage& stage = kernel.stages.front();
  if (!stage.fold || !stage.fold->partials.empty()) return;
  const bool is_window = !stage.digits.empty();
  if (!is_window && core.asks_ahead == 0) return;
  const std::uint32_t innermost = is_window ? stage.digits.back() : *stage.axis;
  const std::optional<std::int64_t> steps = kernel.arena.axis_extent(*stage.axis).constant();
  for (Id id : scalar::reachable(kernel.arena, stage.fold->elements)) {
    const auto load = schedule.loads.find(id.index);
    if (load == schedule.loads.end() || kernel.arena[id].primitive != Primitive::load ||
        schedule.varies_by_row[id.index] || !is_run(schedule, load->second, innermost))
      continue;
    const std::int64_t vector_bytes = schedule.width * byte_size(kernel.arena[id].type);
    if (vector_bytes != kLineBytes) continue;
    const std::int64_t step_bytes = vector_bytes * schedule.tile_unroll;
    if (is_window ? !passes_by(schedule, core, steps, step_bytes)
                  : !comes_from_afar(kernel.parameters[kernel.arena[id].payload].type, core))
      continue;
    schedule.far_columns = FarColumns{id, is_window ? kStepsAhead * step_bytes : core.asks_ahead};
    return;
  }
}

}  // namespace weir
