#include "compiler/lowering/row_sum.h"

#include <algorithm>
#include <span>
#include <utility>

#include "compiler/lowering/linear_offset.h"
#include "ir/scalar/affine.h"

namespace weir {
namespace {

using scalar::Affine;
using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// Of a sum in lanes, or a multiple of that.
constexpr std::int64_t kLanes = 16;
// Channels that are innermost as a rule.
constexpr std::int64_t kFewChannels = 16;
// Where a value has them, and the rows.
constexpr std::size_t kChannels = 1, kImageRows = 2;

// The parameter that gets what a fold leaves, where that is stored as it is and a chunk has all
// elements.
std::optional<std::uint32_t> plain_result(const Kernel& kernel) {
  const Stage& stage = kernel.stages.front();
  if (!is_one_chunk(kernel) || kernel.stages.size() != 2 || kernel.stages[1].stores.size() != 1)
    return std::nullopt;
  const Store& store = kernel.stages[1].stores.front();
  const scalar::Node& value = kernel.arena[store.value];
  if (value.primitive != Primitive::local || value.payload != stage.fold->locals[0])
    return std::nullopt;
  return store.parameter;
}

// By dimension of the value: the index that is read, a sum of axes, and the size. From the first
// one on whose index is no such sum, all dimensions are one. Nothing if that makes none of them.
std::optional<std::vector<std::pair<Affine, Dim>>> indices_of(const Arena& arena, Id load,
                                                              const Shape& shape) {
  auto is_sum = [](const Arena& of, const Affine& index) {
    return std::ranges::all_of(
        index.terms, [&](const auto& term) { return of[term.first].primitive == Primitive::axis; });
  };
  const std::span<const Id> indices = arena.load_indices(load);
  std::vector<std::pair<Affine, Dim>> result;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const Affine index = scalar::decompose(arena, indices[i]);
    if (is_sum(arena, index)) {
      result.emplace_back(index, shape[i]);
      continue;
    }
    const Shape rest(shape.begin() + static_cast<std::ptrdiff_t>(i), shape.end());
    Arena joined = arena;
    const Affine position = linear_offset(joined, rest, indices.subspan(i));
    if (!is_sum(joined, position)) return std::nullopt;
    result.emplace_back(position, element_count(rest));
    break;
  }
  return result;
}

// What is folded of a value: its load, alone or in an expression of it and of other loads.
struct Summed {
  Id element, load;
};

bool is_zero(const Arena& arena, Id id) {
  return arena.is_constant(id) && arena.bits(id) == scalar::Bits{};
}

// Whether an expression depends on nothing but what it loads, if under a guard, then under this one.
bool is_of_loads(const Arena& arena, Id element, Id guard) {
  std::vector<bool> is_value(element.index + 1);
  is_value[element.index] = true;
  for (std::size_t i = is_value.size(); i-- > 0;) {
    if (!is_value[i]) continue;
    const Id id{static_cast<std::uint32_t>(i)};
    const Primitive primitive = arena[id].primitive;
    if (primitive == Primitive::axis || primitive == Primitive::local) return false;
    if (primitive == Primitive::load_if) {
      if (arena.operand(id, 0) != guard) return false;
      continue;
    }
    for (Id operand : arena.value_operands(id)) is_value[operand.index] = true;
  }
  return true;
}

std::optional<Summed> summed_in(const Arena& arena, Id element,
                                std::optional<std::uint32_t> value) {
  Id alone = element;
  if (arena[alone].primitive == Primitive::cast) alone = arena.operand(alone, 0);
  if (scalar::is_load(arena[alone].primitive)) return Summed{element, alone};
  if (!value) return std::nullopt;
  const std::vector<Id> all = scalar::reachable(arena, std::span(&element, 1));
  const auto load = std::ranges::find_if(all, [&](Id id) {
    return scalar::is_load(arena[id].primitive) && arena[id].payload == *value;
  });
  if (load == all.end()) return std::nullopt;
  Id guard;
  if (arena[*load].primitive == Primitive::load_if) {
    guard = arena.operand(*load, 0);
    if (arena[element].primitive != Primitive::select || arena.operand(element, 0) != guard ||
        !is_zero(arena, arena.operand(element, 2)))
      return std::nullopt;
    element = arena.operand(element, 1);
  }
  if (!is_of_loads(arena, element, guard)) return std::nullopt;
  return Summed{element, *load};
}

// The number of elements of which the guard of a load at this index lets none be read beyond the
// last; none if it is another guard.
std::optional<Dim> size_in_guard(const Arena& arena, Id guard, const Affine& index) {
  if (arena[guard].primitive != Primitive::lt) return std::nullopt;
  const Affine beyond = index - scalar::decompose(arena, arena.operand(guard, 0)) +
                        scalar::decompose(arena, arena.operand(guard, 1));
  if (!beyond.terms.empty()) return std::nullopt;
  return beyond.constant;
}

}  // namespace

bool is_one_chunk(const Kernel& folds) {
  const Stage& stage = folds.stages.front();
  const std::optional<std::int64_t> elements = folds.arena.axis_extent(*stage.axis).constant();
  return elements && *elements <= stage.fold->chunk;
}

std::vector<Kernel> single_folds(const Kernel& kernel) {
  std::vector<Kernel> folds;
  for (const Stage& stage : kernel.stages) {
    if (!stage.fold) continue;
    folds.push_back(kernel);
    folds.back().stages = {stage, {}};
  }
  if (folds.size() == 1) return {kernel};
  for (const Stage& stage : kernel.stages) {
    for (const Store& store : stage.stores) {
      const auto fold = std::ranges::find_if(folds, [&](const Kernel& one) {
        const Fold& left = *one.stages.front().fold;
        const scalar::Node& value = kernel.arena[store.value];
        return value.primitive == Primitive::local && left.locals.size() == 1 &&
               value.payload == left.locals[0];
      });
      if (stage.axis || fold == folds.end() || !fold->stages.back().stores.empty()) return {};
      fold->stages.back().stores.push_back(store);
    }
  }
  if (std::ranges::any_of(folds,
                          [](const Kernel& one) { return one.stages.back().stores.empty(); }))
    return {};
  return folds;
}

bool goes_through_images(const Kernel& kernel, const RowSum& sum) {
  const std::size_t axes = kernel.parameters[sum.parameter].type.shape.size();
  return sum.dimensions.size() < axes ||
         std::ranges::any_of(
             sum.dimensions,
             [](const RowSum::Dimension& dimension) {
               return dimension.lanes != 0 && dimension.lanes % kLanes == 0;
             });
}

std::optional<Kernel> sum_along_rows(const Kernel& kernel, const RowSum& sum) {
  const Shape& shape = kernel.parameters[sum.parameter].type.shape;
  if (shape.size() <= kImageRows + 1 || sum.dimensions.size() != shape.size() ||
      sum.dimensions[kImageRows].lanes < 2 ||
      shape[kChannels].constant().value_or(kFewChannels) < kFewChannels)
    return std::nullopt;
  Kernel along = kernel;
  rewrite(along, [&](const Arena& from, Id id, Arena& into) -> Id {
    const scalar::Node& node = from[id];
    const std::span<const Id> operands = from.operands(id);
    if (node.primitive != Primitive::load || operands.size() != shape.size() ||
        from.is_constant(operands[kImageRows]))
      return {};
    std::vector<Id> indices, memo;
    for (Id index : operands)
      indices.push_back(scalar::rebuild(from, index, into, memo, [](Id) { return Id{}; }));
    std::swap(indices[kImageRows], indices.back());
    return into.load(static_cast<std::uint32_t>(node.payload), node.type, indices);
  });
  return along;
}

std::optional<RowSum> find_row_sum(const Kernel& kernel, std::optional<std::uint32_t> value) {
  if (kernel.rows.empty() || kernel.stages.empty() || !kernel.stages.front().fold)
    return std::nullopt;
  for (std::size_t i = 1; i < kernel.stages.size(); ++i)
    if (kernel.stages[i].fold || kernel.stages[i].axis) return std::nullopt;
  const Stage& stage = kernel.stages.front();
  const Fold& fold = *stage.fold;
  const bool is_one_axis =
      stage.digits.empty() || stage.digits == std::vector<std::uint32_t>{*stage.axis};
  if (fold.order != Reduction::Order::chain || !is_one_axis || fold.locals.size() != 1 ||
      fold.elements.size() != 1 || fold.step != fold.merge)
    return std::nullopt;
  const Arena& arena = kernel.arena;
  const std::optional<Summed> found = summed_in(arena, fold.elements[0], value);
  if (!found) return std::nullopt;
  const Id load = found->load;
  // Beyond the end of a dimension that does not divide into its lanes there are zeros, which change
  // no sum that began as one.
  Id guard;
  if (arena[load].primitive == Primitive::load_if) {
    guard = arena.operand(load, 0);
    if (!is_zero(arena, arena.operand(load, 1)) || fold.identity[0] != scalar::Bits{})
      return std::nullopt;
  }
  RowSum sum{static_cast<std::uint32_t>(arena[load].payload), found->element, load, {}};
  const KernelParameter& summed = kernel.parameters[sum.parameter];
  std::vector<bool> used(kernel.rows.size());
  bool has_elements = false;
  const auto indices = indices_of(arena, load, summed.type.shape);
  if (!indices) return std::nullopt;
  for (const auto& [index, size] : *indices) {
    RowSum::Dimension& dimension = sum.dimensions.emplace_back();
    if (size == Dim(1)) continue;
    if (index.constant != Dim(0)) return std::nullopt;
    for (const auto& [atom, coefficient] : index.terms) {
      const scalar::Node& node = arena[atom];
      if (node.primitive != Primitive::axis || !coefficient.is_constant()) return std::nullopt;
      if (node.payload == *stage.axis) {
        if (has_elements) return std::nullopt;
        has_elements = true;
        dimension.lanes = coefficient.value();
        continue;
      }
      if (used[node.payload]) return std::nullopt;
      used[node.payload] = true;
      const auto row = static_cast<std::uint32_t>(node.payload);
      if (coefficient == Dim(1) && !dimension.remainder) {
        dimension.remainder = row;
      } else {
        if (dimension.row || coefficient.value() < 2) return std::nullopt;
        dimension.row = row;
        dimension.step = coefficient.value();
      }
    }
    // A remainder alone is the row itself, and that of lanes tells which.
    if (!dimension.row) std::swap(dimension.row, dimension.remainder);
    if (dimension.remainder && kernel.rows[*dimension.remainder] != Dim(dimension.step))
      return std::nullopt;
    // Lanes are all of a row axis, or two, and have as many elements each.
    const Dim lanes = dimension.row ? kernel.rows[*dimension.row] * Dim(dimension.step) : Dim(1);
    if (dimension.lanes == 0 ? !dimension.row : lanes != Dim(dimension.lanes)) return std::nullopt;
    // All of the value is added up: the kernel that stores it folds whatever it stores.
    const Dim elements = dimension.lanes != 0 ? arena.axis_extent(*stage.axis) * lanes : lanes;
    if (elements == size) continue;
    const std::optional<std::int64_t> missing = (elements - size).constant();
    // Each chunk of each lane has an element.
    if (!guard.valid() || !missing || *missing < 0 || *missing >= dimension.lanes ||
        size.constant().value_or(0) < dimension.lanes || !is_one_chunk(kernel) ||
        size_in_guard(arena, guard, index) != size)
      return std::nullopt;
    guard = {};
  }
  if (guard.valid()) return std::nullopt;
  for (std::size_t i = 0; i < used.size(); ++i)
    if (!used[i] && kernel.rows[i] != Dim(1)) return std::nullopt;
  if (!has_elements || summed.written) return std::nullopt;
  // Nothing else is to be read of the value.
  std::vector<Id> roots = roots_of(kernel);
  for (Id id : scalar::reachable(arena, roots))
    if (id != load && scalar::is_load(arena[id].primitive) && arena[id].payload == sum.parameter)
      return std::nullopt;
  sum.result = plain_result(kernel);
  return sum;
}

}  // namespace weir
