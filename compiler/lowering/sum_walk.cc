#include "compiler/lowering/sum_walk.h"

#include <algorithm>
#include <utility>

#include "compiler/lowering/reads_axis.h"
#include "ir/scalar/affine.h"

namespace weir {
namespace {

using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// Finds the axis along which the kernel goes through the dimension with this index, or through each
// lanes-th element of it, or through those of one remainder.
bool find_axis(const Arena& arena, const scalar::Affine& index, const RowSum::Dimension& dimension,
               std::size_t rows, SumWalk& walk) {
  for (const auto& [atom, coefficient] : index.terms) {
    const scalar::Node& node = arena[atom];
    if (node.primitive != Primitive::axis || node.payload >= rows) continue;
    const bool all = coefficient == Dim(1) && index.terms.size() == 1 && index.constant == Dim(0);
    const bool is_apart = dimension.remainder && coefficient == Dim(dimension.step);
    if (!all && !is_apart && coefficient != Dim(dimension.lanes)) continue;
    walk.axis = static_cast<std::uint32_t>(node.payload);
    walk.lanes = all ? dimension.lanes : is_apart ? dimension.lanes / dimension.step : 1;
    return true;
  }
  return false;
}

// Finds which element of which sum a point of the kernel goes to, by its index along the dimension;
// false if the kernel does not walk through these alone.
bool find_element(Arena& arena, Id index, const RowSum::Dimension& dimension, std::uint32_t columns,
                  SumWalk& walk) {
  auto floor_of = [&](Id of, std::int64_t by) {
    return scalar::simplify_index(arena, arena.make(Primitive::floor_div, {of, arena.index(by)}));
  };
  auto rest_of = [&](Id of, std::int64_t by) {
    return scalar::simplify_index(arena, arena.make(Primitive::modulo, {of, arena.index(by)}));
  };
  std::int64_t lanes = dimension.lanes;
  const bool is_apart = dimension.remainder && !is_axis(arena, index, walk.axis);
  if (is_apart) {
    walk.positions[*dimension.remainder] = rest_of(index, dimension.step);
    if (reads_axis(arena, *walk.positions[*dimension.remainder], walk.axis) ||
        reads_axis(arena, *walk.positions[*dimension.remainder], columns))
      return false;
    index = floor_of(index, dimension.step);
    lanes /= dimension.step;
  }
  walk.element = floor_of(index, lanes);
  if (!is_axis(arena, walk.lanes == 1 ? walk.element : index, walk.axis)) return false;
  if (dimension.row) {
    Id lane = rest_of(index, lanes);
    if (dimension.remainder && !is_apart) {
      walk.positions[*dimension.remainder] = rest_of(lane, dimension.step);
      lane = floor_of(lane, dimension.step);
    }
    walk.positions[*dimension.row] = lane;
  }
  if (walk.axis != columns) return true;
  if (!dimension.row || walk.lanes != lanes || is_apart != dimension.remainder.has_value())
    return false;
  walk.column = *dimension.row;
  return true;
}

}  // namespace

std::optional<SumWalk> find_walk(Arena& arena, std::size_t rows, const std::vector<Id>& indices,
                                 const Kernel& folds, const RowSum& sum) {
  SumWalk walk;
  walk.positions.resize(folds.rows.size());
  bool found = false;
  for (std::size_t i = 0; i < indices.size(); ++i)
    if (sum.dimensions[i].lanes != 0)
      found = find_axis(arena, scalar::decompose(arena, indices[i]), sum.dimensions[i], rows, walk);
  if (!found) return std::nullopt;
  const auto columns = static_cast<std::uint32_t>(rows - 1);
  bool has_column = false;
  for (std::size_t i = 0; i < indices.size(); ++i) {
    const RowSum::Dimension& dimension = sum.dimensions[i];
    if (dimension.lanes != 0) {
      if (!find_element(arena, indices[i], dimension, columns, walk)) return std::nullopt;
      has_column = has_column || walk.axis == columns;
    } else if (dimension.row) {
      if (reads_axis(arena, indices[i], walk.axis)) return std::nullopt;
      Id position = indices[i];
      if (dimension.remainder && is_axis(arena, position, columns)) {
        walk.remainder = dimension.remainder;
      } else if (dimension.remainder) {
        const Id step = arena.index(dimension.step);
        position =
            scalar::simplify_index(arena, arena.make(Primitive::floor_div, {position, step}));
        const Id rest = arena.make(Primitive::modulo, {indices[i], step});
        walk.positions[*dimension.remainder] = scalar::simplify_index(arena, rest);
        if (reads_axis(arena, *walk.positions[*dimension.remainder], columns)) return std::nullopt;
      }
      walk.positions[*dimension.row] = position;
      if (!reads_axis(arena, position, columns)) continue;
      const scalar::Affine along = scalar::decompose(arena, position);
      has_column = std::ranges::any_of(along.terms, [&](const std::pair<Id, Dim>& term) {
        return is_axis(arena, term.first, columns) && term.second == Dim(1);
      });
      if (!has_column) return std::nullopt;
      walk.column = *dimension.row;
    }
  }
  if (!has_column) return std::nullopt;
  return walk;
}

}  // namespace weir
