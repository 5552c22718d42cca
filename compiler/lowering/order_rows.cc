#include "compiler/lowering/order_rows.h"

#include <algorithm>
#include <cmath>

#include "ir/scalar/affine.h"

namespace weir {
namespace {

using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// Lanes of a vector, about: the order is the same for all targets.
constexpr double kLanes = 16;
// Rows of a register tile, about, and vectors of a row: what all of them read is loaded once.
constexpr double kRows = 6;
constexpr double kVectors = 4;
// An element that is spread over a vector by the operation that reads it.
constexpr double kSpread = 0.5;
// What another axis has to be better by.
constexpr double kMargin = 1.2;

// A local is one of all rows.
bool depends_on(const Arena& arena, Id root, std::uint32_t axis) {
  for (Id id : scalar::reachable(arena, std::span(&root, 1)))
    if (arena[id].primitive == Primitive::local ||
        (arena[id].primitive == Primitive::axis && arena[id].payload == axis))
      return true;
  return false;
}

// The last two row axes as they could be: the rows of a tile, and what vectors run along.
struct Tile {
  std::uint32_t row, axis;
};

// Vector operations of one access in one of a tile's rows. `may_copy`: pack_operands brings the
// axis innermost if the access is a plain one.
double access_cost(const Kernel& kernel, const Shape& shape, std::span<const Id> indices,
                   const Tile& tile, bool may_copy) {
  const Arena& arena = kernel.arena;
  std::vector<Dim> strides = row_major_strides(shape);
  Dim stride = 0;
  bool plain = may_copy, shared = true;
  for (std::size_t i = 0; i < indices.size(); ++i) {
    if (shape[i] == Dim(1)) continue;
    plain = plain && arena[indices[i]].primitive == Primitive::axis;
    shared = shared && !depends_on(arena, indices[i], tile.row);
    for (const auto& [atom, coefficient] : scalar::decompose(arena, indices[i]).terms) {
      if (arena[atom].primitive == Primitive::axis && arena[atom].payload == tile.axis) {
        stride = stride + coefficient * strides[i];
      } else if (depends_on(arena, atom, tile.axis)) {
        return kLanes;
      }
    }
  }
  auto at_most = [&](std::uint32_t axis, double most, double each) {
    const Dim& extent = kernel.rows[axis];
    if (!extent.is_constant()) return most;
    return std::clamp(std::ceil(static_cast<double>(extent.value()) / each), 1.0, most);
  };
  double part = shared ? 1 / at_most(tile.row, kRows, 1) : 1;
  if (stride == Dim(0)) return kSpread * part / at_most(tile.axis, kVectors, kLanes);
  return stride == Dim(1) || plain ? part : kLanes;
}

double expression_cost(const Kernel& kernel, Id root, const Tile& tile, bool in_fold) {
  double cost = 0;
  for (Id id : scalar::reachable(kernel.arena, std::span(&root, 1))) {
    const scalar::Node& node = kernel.arena[id];
    if (node.primitive != Primitive::load && node.primitive != Primitive::load_if) continue;
    std::span<const Id> operands = kernel.arena.operands(id);
    bool guarded = node.primitive == Primitive::load_if;
    if (guarded) operands = operands.subspan(2);
    cost += access_cost(kernel, kernel.parameters[node.payload].type.shape, operands, tile,
                        in_fold && !guarded);
  }
  return cost;
}

// The cost of a step of the fold for one row and one element along the vector axis.
double cost_of(const Kernel& kernel, const Stage& fold, const Tile& tile) {
  double inside = 0, outside = 0;
  for (Id element : fold.fold->elements) inside += expression_cost(kernel, element, tile, true);
  for (const Stage& stage : kernel.stages) {
    for (const Store& store : stage.stores) {
      outside += expression_cost(kernel, store.value, tile, false);
      outside += access_cost(kernel, kernel.parameters[store.parameter].type.shape, store.indices,
                             tile, false);
    }
  }
  const Dim& steps = kernel.arena.axis_extent(*fold.axis);
  double count = steps.is_constant() ? std::max(1.0, static_cast<double>(steps.value())) : kLanes;
  double lanes = kLanes;
  if (const Dim& extent = kernel.rows[tile.axis]; extent.is_constant() && extent.value() > 0) {
    double vectors = (static_cast<double>(extent.value()) + kLanes - 1) / kLanes;
    lanes = static_cast<double>(extent.value()) / static_cast<double>(static_cast<int>(vectors));
  }
  return (1 + inside + outside / count) / lanes;
}

}  // namespace

void order_rows(Kernel& kernel) {
  const Stage* fold = nullptr;
  for (const Stage& stage : kernel.stages) {
    if (!stage.fold) {
      if (stage.axis) return;
      continue;
    }
    if (fold != nullptr || stage.fold->order != Reduction::Order::chain) return;
    fold = &stage;
  }
  if (fold == nullptr || fold->digits.empty()) return;
  if (kernel.rows.size() < 2) return;
  auto last = static_cast<std::uint32_t>(kernel.rows.size() - 1);
  const Tile given{last - 1, last};
  Tile best = given;
  double least = cost_of(kernel, *fold, given) / kMargin;
  // A symbol may be 1 when the program is called.
  auto may_move = [&](std::uint32_t number, std::uint32_t where) {
    return number == where || kernel.rows[number].is_constant();
  };
  for (std::uint32_t axis = last + 1; axis-- > 0;) {
    for (std::uint32_t row = last + 1; row-- > 0;) {
      if (row == axis || !may_move(axis, given.axis) || !may_move(row, given.row)) continue;
      double cost = cost_of(kernel, *fold, {row, axis});
      if (cost >= least) continue;
      least = cost;
      best = {row, axis};
    }
  }
  if (best.row == given.row && best.axis == given.axis) return;
  std::vector<std::uint32_t> number(kernel.rows.size());
  std::uint32_t next = 0;
  for (std::uint32_t axis = 0; axis <= last; ++axis)
    if (axis != best.row && axis != best.axis) number[axis] = next++;
  number[best.row] = given.row;
  number[best.axis] = given.axis;
  std::vector<Dim> rows(kernel.rows.size());
  for (std::uint32_t axis = 0; axis <= last; ++axis) rows[number[axis]] = kernel.rows[axis];
  kernel.rows = rows;
  rewrite(kernel, [&](const Arena& from, Id id, Arena& into) -> Id {
    const scalar::Node& node = from[id];
    if (node.primitive != Primitive::axis || node.payload > last) return {};
    return into.axis(number[node.payload], from.axis_extent(node.payload));
  });
}

}  // namespace weir
