#include "compiler/lowering/stored_element.h"

#include <algorithm>
#include <span>

#include "compiler/lowering/linear_offset.h"
#include "compiler/lowering/reads_axis.h"
#include "ir/scalar/affine.h"

namespace weir {

using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

const Store* only_store(const Kernel& kernel, std::uint32_t parameter) {
  const Store* found = nullptr;
  for (const Stage& stage : kernel.stages) {
    for (const Store& store : stage.stores) {
      if (store.parameter != parameter) continue;
      if (found != nullptr || stage.axis) return nullptr;
      found = &store;
    }
  }
  return found;
}

std::vector<Id> declared_indices(Kernel& stores, const Store& store, const MemoryLayout& layout) {
  Arena& arena = stores.arena;
  // The indices of the dimensions, outermost first; of those in panels there is one more.
  std::vector<Id> indices = store.indices;
  if (layout.panel != 0) {
    const Id piece = arena.make(Primitive::mul, {indices.front(), arena.index(layout.panel)});
    indices.back() = arena.make(Primitive::add, {piece, indices.back()});
    indices.erase(indices.begin());
  }
  if (layout.order.empty()) return indices;
  std::vector<Id> declared(indices.size());
  for (std::size_t i = 0; i < indices.size(); ++i) declared[layout.order[i]] = indices[i];
  return declared;
}

std::optional<Id> summed_element(Kernel& stores, const Store& store, const MemoryLayout& layout,
                                 const Kernel& folds, const RowSum& sum,
                                 const SumOperands& operands) {
  Arena& arena = stores.arena;
  const std::vector<Id> place = declared_indices(stores, store, layout);
  const std::span<const Id> summed = folds.arena.load_indices(sum.load);
  const auto columns = static_cast<std::uint32_t>(stores.rows.size() - 1);
  bool is_here = true;
  auto load_of = [&](Id id) -> Id {
    const scalar::Node& node = folds.arena[id];
    if (!scalar::is_load(node.primitive)) return {};
    if (id == sum.load) return arena.cast(store.value, node.type);
    const Id nowhere = arena.constant(node.type, 0.0);
    const auto operand = operands.find(static_cast<std::uint32_t>(node.payload));
    std::vector<Id> indices;
    for (Id index : folds.arena.load_indices(id)) {
      const auto same = std::ranges::find(summed, index);
      if (folds.arena.is_constant(index))
        indices.push_back(scalar::copy_node(folds.arena, index, arena, {}));
      else if (same != summed.end())
        indices.push_back(place[static_cast<std::size_t>(same - summed.begin())]);
    }
    is_here = is_here && operand != operands.end() && operand->second.layout.panel == 0 &&
              indices.size() == folds.arena.load_indices(id).size();
    if (!is_here) return nowhere;
    const auto& [parameter, other] = operand->second;
    if (stores.parameters[parameter].written) {
      const Store* stored = only_store(stores, parameter);
      is_here = stored != nullptr && declared_indices(stores, *stored, other) == indices;
      return is_here ? arena.cast(stored->value, node.type) : nowhere;
    }
    std::vector<Id> ordered = indices;
    for (std::size_t i = 0; i < other.order.size(); ++i) ordered[i] = indices[other.order[i]];
    const std::size_t before = arena.size();
    const Id load = arena.load(parameter, node.type, ordered);
    if (load.index < before) return load;
    const scalar::Affine offset =
        linear_offset(arena, stores.parameters[parameter].type.shape, ordered);
    is_here = std::ranges::all_of(offset.terms, [&](const auto& term) {
      return is_axis(arena, term.first, columns) ? term.second == Dim(1)
                                                 : !reads_axis(arena, term.first, columns);
    });
    return load;
  };
  std::vector<Id> memo;
  const Id element = scalar::rebuild(folds.arena, sum.element, arena, memo, load_of);
  if (!is_here) return std::nullopt;
  return element;
}

}  // namespace weir
