// The parts of one expression, at a cost that does not depend on the size of the arena.
#pragma once

#include <algorithm>
#include <unordered_set>
#include <vector>

#include "ir/scalar/arena.h"

namespace weir::scalar {

// The root and what it is made of, each once, operands before users. The operands of a node are
// entered only where `enter(id)` holds.
template <class Enter>
std::vector<Id> subexpressions(const Arena& arena, Id root, Enter&& enter) {
  std::unordered_set<std::uint32_t> seen{root.index};
  std::vector<Id> stack{root};
  std::vector<Id> found;
  while (!stack.empty()) {
    Id id = stack.back();
    stack.pop_back();
    found.push_back(id);
    if (!enter(id)) continue;
    for (Id operand : arena.operands(id))
      if (seen.insert(operand.index).second) stack.push_back(operand);
  }
  // Ids ascend in topological order.
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace weir::scalar
