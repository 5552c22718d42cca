// Blocks that the programs of one model share: of weights, and of state.
#pragma once

#include <cstdint>
#include <map>

#include "compiler/lowering/program.h"

namespace weir {

// Moves the buffers of a block from the places in the program's own, which are the keys, to those
// in the shared one. A buffer that no kernel reads has no place of its own, and stays.
inline void move_buffers(Program& program, Buffer::Place block,
                         const std::map<std::uint64_t, std::uint64_t>& places) {
  for (Buffer& buffer : program.buffers) {
    if (buffer.place != block) continue;
    auto found = places.find(buffer.offset);
    if (found != places.end()) buffer.offset = found->second;
  }
}

}  // namespace weir
