#include "compiler/codegen/exchanged_buffers.h"

#include <cstdint>
#include <set>
#include <span>

#include "compiler/lowering/reads_axis.h"
#include "ir/scalar/arena.h"

namespace weir {
namespace {

// Whether a load reads what a worker has written itself: the outermost rows of units, outside of
// those that a tile has, are the outermost dimension of the buffer, as of a copy in panels.
bool reads_own_part(const Schedule& schedule, scalar::Id load) {
  const Kernel& kernel = schedule.kernel;
  const std::span<const scalar::Id> indices = kernel.arena.load_indices(load);
  if (indices.empty() || schedule.rows.size() <= static_cast<std::size_t>(schedule.tile_axes))
    return false;
  const LoopAxis& outermost = schedule.rows.front();
  return is_axis(kernel.arena, indices.front(), outermost.number) && outermost.extent != Dim(1);
}

}  // namespace

std::vector<bool> exchanged_buffers(const Program& program,
                                    const std::vector<Schedule>& schedules) {
  std::vector<bool> result(program.buffers.size());
  std::set<std::uint64_t> state;  // offsets: a param and its next value may be two buffers
  for (const KernelCall& call : program.calls) {
    const Kernel& kernel = schedules[call.kernel].kernel;
    if (!schedules[call.kernel].is_tile()) continue;
    for (const Stage& stage : kernel.stages) {
      if (!stage.fold) continue;
      for (scalar::Id id : scalar::reachable(kernel.arena, stage.fold->elements)) {
        if (!scalar::is_load(kernel.arena[id].primitive)) continue;
        if (reads_own_part(schedules[call.kernel], id)) continue;
        const std::uint32_t number = call.buffers[kernel.arena[id].payload];
        const Buffer& buffer = program.buffers[number];
        result[number] = result[number] || buffer.place == Buffer::Place::workspace;
        if (buffer.place == Buffer::Place::state) state.insert(buffer.offset);
      }
    }
  }
  for (std::size_t i = 0; i < result.size(); ++i)
    if (program.buffers[i].place == Buffer::Place::state)
      result[i] = state.contains(program.buffers[i].offset);
  return result;
}

}  // namespace weir
