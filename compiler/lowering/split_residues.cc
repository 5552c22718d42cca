#include "compiler/lowering/split_residues.h"

#include <utility>

#include "ir/scalar/affine.h"

namespace weir {
namespace {

using scalar::Id;
using scalar::Primitive;

// An axis on whose residue by `divisor` a condition of the kernel depends, and where the residues
// can be told apart.
struct Residues {
  std::uint32_t axis;
  std::int64_t divisor;
};

std::optional<Residues> residues_in(const Kernel& kernel, Id condition) {
  for (Id id : scalar::reachable(kernel.arena, std::span(&condition, 1))) {
    if (kernel.arena[id].primitive != Primitive::modulo) continue;
    scalar::Affine divisor = scalar::decompose(kernel.arena, kernel.arena.operand(id, 1));
    std::optional<std::int64_t> by = divisor.constant.constant();
    if (!divisor.is_constant() || !by || *by < 2) continue;
    for (const auto& [atom, coefficient] :
         scalar::decompose(kernel.arena, kernel.arena.operand(id, 0)).terms) {
      const scalar::Node& node = kernel.arena[atom];
      if (node.primitive != Primitive::axis || node.payload >= kernel.rows.size()) continue;
      const Dim& extent = kernel.rows[node.payload];
      if (coefficient == Dim(1) && extent != Dim(*by) && extent.divided_by(*by))
        return Residues{static_cast<std::uint32_t>(node.payload), *by};
    }
  }
  return std::nullopt;
}

}  // namespace

void split_residues(Kernel& kernel) {
  for (std::size_t i = 0; i < kernel.stages.size(); ++i) {
    if (!kernel.stages[i].fold || kernel.stages[i].fold->order != Reduction::Order::chain) continue;
    // A cut leaves nothing of its axis in the condition but the residue, whose coefficient is 1,
    // too, and whose extent is the divisor.
    while (std::optional<Id> condition = step_condition(kernel, *kernel.stages[i].fold)) {
      std::optional<Residues> found = residues_in(kernel, *condition);
      if (!found) break;
      Dim by = found->divisor;
      cut_row(kernel, found->axis, {by, Dim(1)}, {*kernel.rows[found->axis].divided_by(by), by});
    }
  }
}

}  // namespace weir
