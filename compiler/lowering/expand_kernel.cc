#include "compiler/lowering/expand_kernel.h"

#include <optional>
#include <vector>

#include "ir/scalar/expand.h"
#include "ir/scalar/subexpressions.h"

namespace weir {

using scalar::Arena;
using scalar::Id;

void expand_kernel(Kernel& kernel) {
  Arena& arena = kernel.arena;
  std::vector<Id> roots = roots_of(kernel);
  std::size_t before = arena.size();
  std::vector<Id> expanded = scalar::expand_all(arena, roots);
  // The parts of an expansion come from the line that the function stands on.
  std::vector<Location>& locations = kernel.locations;
  locations.resize(arena.size());
  if (arena.size() != before) {
    for (std::size_t i = 0; i < roots.size(); ++i) {
      if (roots[i].index >= before) continue;
      for (Id id : scalar::reachable(arena, std::span(&expanded[i], 1)))
        if (id.index >= before && !locations[id.index].known())
          locations[id.index] = locations[roots[i].index];
    }
  }
  std::size_t next = 0;
  for (Stage& stage : kernel.stages) {
    if (stage.fold) {
      for (Id& id : stage.fold->elements) id = expanded[next++];
      for (Id& id : stage.fold->step) id = expanded[next++];
      for (Id& id : stage.fold->merge) id = expanded[next++];
      if (std::optional<FrameSteps>& frame = stage.fold->frame) {
        frame->inside = expanded[next++];
        frame->sum = expanded[next++];
      }
    }
    for (Store& store : stage.stores) {
      for (Id& id : store.indices) id = expanded[next++];
      store.value = expanded[next++];
    }
  }
  if (!kernel.across) return;
  for (RowFolds::Sum& sum : kernel.across->sums) {
    for (Id& id : sum.fold.elements) id = expanded[next++];
    for (Id& id : sum.fold.step) id = expanded[next++];
    for (Id& id : sum.indices) id = expanded[next++];
  }
}

}  // namespace weir
