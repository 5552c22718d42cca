#include "compiler/lowering/find_overlap.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

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

bool slides_along_steps(const Schedule& schedule, const Stage& stage, std::int64_t most_steps) {
  const Arena& arena = schedule.kernel.arena;
  const std::uint32_t steps = stage.digits.empty() ? *stage.axis : stage.digits.back();
  for (Id id : scalar::reachable(arena, stage.fold->elements)) {
    const auto load = schedule.loads.find(id.index);
    if (!scalar::is_load(arena[id].primitive) || load == schedule.loads.end() ||
        load->second.kind == Access::Kind::uniform)
      continue;
    const Affine offset = scalar::decompose(arena, load->second.offset);
    auto stride_along = [&](std::uint32_t axis) -> std::int64_t {
      for (const auto& [atom, stride] : offset.terms)
        if (arena[atom].primitive == Primitive::axis && arena[atom].payload == axis)
          return std::abs(stride.constant().value_or(0));
      return 0;
    };
    const std::int64_t of_step = stride_along(steps);
    for (const LoopAxis& row : schedule.rows) {
      const std::int64_t of_row = stride_along(row.number);
      if (!schedule.tile_axis(row.number) || of_step == 0 || of_row == 0) continue;
      const std::int64_t rows = of_step / std::gcd(of_step, of_row);
      const std::int64_t later = of_row / std::gcd(of_step, of_row);
      if (rows < row.extent.constant().value_or(0) && later <= most_steps) return true;
    }
  }
  return false;
}

}  // namespace weir
