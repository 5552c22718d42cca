// Updates in place: the next value of a param is written where the param is.
//
// A param that the graph updates is state: its value lies in the state block, and so must its next
// value when the program has run. The kernel that computes it writes it there at once if
//   - it is the only one that writes it, and it is not written in steps upon a start;
//   - no other kernel reads the old value afterwards, which is arranged where it can be: calls
//     change their order, each staying behind those whose results it reads;
//   - no check of indices comes later, which is arranged likewise: a call that ends with a fault
//     has written no state; and
//   - the kernel itself reads the old value only at the element that it then overwrites.
// Otherwise the next value has workspace of its own, and is copied when everything else has run.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "compiler/lowering/program.h"

namespace weir {

struct Update {
  std::uint32_t param;  // a buffer in the state block
  std::uint32_t next;   // a buffer of the workspace, which one call writes
};

// Gives buffers of next values the places of their params, and orders the calls accordingly; the
// order of all others among themselves stays. Returns the updates that could not be placed.
std::vector<Update> place_updates(Program& program, std::span<const Update> updates);

}  // namespace weir
