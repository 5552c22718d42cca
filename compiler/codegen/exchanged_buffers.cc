#include "compiler/codegen/exchanged_buffers.h"

#include <cstdint>
#include <set>

#include "ir/scalar/arena.h"

namespace weir {

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
