#include "compiler/lowering/find_overlap.h"

#include <algorithm>
#include <cstdlib>

#include "ir/scalar/affine.h"

namespace weir {
namespace {

using scalar::Affine;
using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

class Overlap {
 public:
  Overlap(const Schedule& schedule, std::uint32_t digit)
      : arena_(schedule.kernel.arena),
        schedule_(schedule),
        row_(schedule.rows.back().number),
        digit_(digit) {}

  // By how much the position changes from a row to the one before it, with the same address.
  std::optional<std::int64_t> shift(Id load) const {
    const Affine offset = scalar::decompose(arena_, schedule_.loads.at(load.index).offset);
    const Dim of_digit = coefficient(offset, digit_);
    if (of_digit == Dim(0)) return std::nullopt;
    std::optional<Dim> positions = coefficient(offset, row_).divided_by(of_digit);
    if (!positions || !positions->is_constant() || *positions == Dim(0) ||
        std::abs(positions->value()) >= arena_.axis_extent(digit_).value())
      return std::nullopt;
    return positions->value();
  }

  bool follows(Id load, std::int64_t shift) const {
    if (!follows(scalar::decompose(arena_, schedule_.loads.at(load.index).offset), shift))
      return false;
    if (arena_[load].primitive != Primitive::load_if) return true;
    return arena_.is_constant(arena_.operand(load, 1)) &&
           holds_alike(arena_.operand(load, 0), shift);
  }

 private:
  Dim coefficient(const Affine& affine, std::uint32_t axis) const {
    for (const auto& [atom, value] : affine.terms)
      if (arena_[atom].primitive == Primitive::axis && arena_[atom].payload == axis) return value;
    return 0;
  }

  bool follows(const Affine& affine, std::int64_t shift) const {
    for (const auto& [atom, value] : affine.terms) {
      if (arena_[atom].primitive == Primitive::axis) continue;
      for (Id id : scalar::reachable(arena_, std::span(&atom, 1))) {
        const scalar::Node& node = arena_[id];
        if (scalar::is_load(node.primitive) || node.primitive == Primitive::local ||
            (node.primitive == Primitive::axis && (node.payload == row_ || node.payload == digit_)))
          return false;
      }
    }
    return coefficient(affine, row_) == coefficient(affine, digit_) * Dim(shift);
  }

  // A guard of comparisons of indices.
  bool holds_alike(Id condition, std::int64_t shift) const {
    const scalar::Node& node = arena_[condition];
    const bool joins = node.primitive == Primitive::bit_and;
    if (!joins && node.primitive != Primitive::lt && node.primitive != Primitive::le) return false;
    Id first = arena_.operand(condition, 0), second = arena_.operand(condition, 1);
    if (joins) return holds_alike(first, shift) && holds_alike(second, shift);
    return arena_[first].type == DType::i64 &&
           follows(scalar::decompose(arena_, first) - scalar::decompose(arena_, second), shift);
  }

  const Arena& arena_;
  const Schedule& schedule_;
  std::uint32_t row_, digit_;
};

}  // namespace

std::optional<RowOverlap> find_overlap(const Schedule& schedule, const Stage& stage) {
  const std::vector<Id> reached = scalar::reachable(schedule.kernel.arena, stage.fold->elements);
  for (std::size_t digit = 0; digit < stage.digits.size(); ++digit) {
    const Overlap overlap(schedule, stage.digits[digit]);
    RowOverlap found{digit, 0, {}};
    for (Id id : reached) {
      if (!scalar::is_load(schedule.kernel.arena[id].primitive) || !schedule.varies[id.index] ||
          !schedule.loads.contains(id.index))
        continue;
      std::optional<std::int64_t> shift = overlap.shift(id);
      if (!shift || (found.shift != 0 && *shift != found.shift) || !overlap.follows(id, *shift))
        continue;
      found.shift = *shift;
      found.loads.push_back(id);
    }
    if (!found.loads.empty()) return found;
  }
  return std::nullopt;
}

}  // namespace weir
