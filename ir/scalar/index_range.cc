// The range of a sum is the sum of the ranges of its terms, each by the sign of its coefficient.
// Terms with the same atom have been merged, so nothing is lost within an affine form.
#include "ir/scalar/index_range.h"

#include "ir/diagnostic.h"
#include "ir/scalar/subexpressions.h"

namespace weir::scalar {
namespace {

bool everywhere(Id) { return true; }

}  // namespace

IndexRanges::IndexRanges(const Arena& arena, Id expression) : arena_(arena) {
  for (Id id : subexpressions(arena, expression, everywhere)) {
    const Node& node = arena[id];
    if (node.primitive == Primitive::axis) {
      add_positive(positive_, arena.axis_extent(node.payload));
    } else if (node.primitive == Primitive::floor_div || node.primitive == Primitive::modulo) {
      Affine divisor = decompose(arena, arena.operand(id, 1));
      if (divisor.is_constant()) add_positive(positive_, divisor.constant);
    }
  }
}

IndexRange IndexRanges::range(const Affine& affine) {
  IndexRange sum{affine.constant, affine.constant};
  auto add = [](std::optional<Dim>& bound, const std::optional<Dim>& value, const Dim& factor) {
    bound = bound && value ? std::optional<Dim>(*bound + *value * factor) : std::nullopt;
  };
  for (const auto& [atom, coefficient] : affine.terms) {
    IndexRange atom_range = range_of_atom(atom);
    if (never_negative(coefficient)) {
      add(sum.low, atom_range.low, coefficient);
      add(sum.high, atom_range.high, coefficient);
    } else if (never_negative(coefficient * Dim(-1))) {
      add(sum.low, atom_range.high, coefficient);
      add(sum.high, atom_range.low, coefficient);
    } else {
      return {};
    }
  }
  return sum;
}

IndexRange IndexRanges::range(Id index) { return range(decompose(arena_, index)); }

bool IndexRanges::lies_within(const Affine& affine, const Dim& low, const Dim& high) {
  IndexRange bounds = range(affine);
  return bounds.low && bounds.high && never_negative(*bounds.low - low) &&
         never_negative(high - *bounds.high);
}

std::optional<Dim> IndexRanges::floor_of_quotient(const Dim& high, const Dim& divisor) const {
  if (never_negative(Dim(0) - divisor)) return std::nullopt;
  auto [quotient, rest] = divide_terms(high, divisor, true);
  if (never_negative(Dim(-1) - rest)) return quotient - 1;
  // A rest below the divisor adds nothing.
  if (never_negative(divisor - 1 - rest)) return quotient;
  return std::nullopt;
}

std::optional<Dim> IndexRanges::extreme(const std::optional<Dim>& a, const std::optional<Dim>& b,
                                        int sign) const {
  if (!a || !b) return std::nullopt;
  Dim difference = (*b - *a) * Dim(sign);
  if (never_negative(difference)) return a;
  if (never_negative(difference * Dim(-1))) return b;
  return std::nullopt;
}

IndexRange IndexRanges::range_of_atom(Id atom) {
  if (auto found = found_.find(atom.index); found != found_.end()) return found->second;
  const Node& node = arena_[atom];
  auto operand = [&](std::size_t i) { return range(arena_.operand(atom, i)); };
  auto divisor = [&]() -> std::optional<Dim> {
    Affine form = decompose(arena_, arena_.operand(atom, 1));
    return form.is_constant() ? std::optional<Dim>(form.constant) : std::nullopt;
  };
  IndexRange result;
  switch (node.primitive) {
    case Primitive::axis:
      result = {Dim(0), arena_.axis_extent(node.payload) - 1};
      break;
    case Primitive::modulo: {
      std::optional<Dim> by = divisor();
      result = {Dim(0), by ? std::optional<Dim>(*by - 1) : std::nullopt};
      break;
    }
    case Primitive::floor_div: {
      IndexRange dividend = operand(0);
      std::optional<Dim> by = divisor();
      if (dividend.low && never_negative(*dividend.low)) result.low = Dim(0);
      if (by && dividend.high) result.high = floor_of_quotient(*dividend.high, *by);
      break;
    }
    case Primitive::min: {
      IndexRange a = operand(0), b = operand(1);
      result.low = extreme(a.low, b.low, 1);
      result.high = a.high && b.high ? extreme(a.high, b.high, 1) : a.high ? a.high : b.high;
      // Either bound holds.
      if (!result.high) result.high = a.high;
      break;
    }
    case Primitive::max: {
      IndexRange a = operand(0), b = operand(1);
      result.low = a.low && b.low ? extreme(a.low, b.low, -1) : a.low ? a.low : b.low;
      if (!result.low) result.low = a.low;
      result.high = extreme(a.high, b.high, -1);
      break;
    }
    case Primitive::select: {
      IndexRange a = operand(1), b = operand(2);
      result = {extreme(a.low, b.low, 1), extreme(a.high, b.high, -1)};
      break;
    }
    default:
      break;
  }
  found_.emplace(atom.index, result);
  return result;
}

IndexRange range_of(const Arena& arena, Id index) {
  try {
    return IndexRanges(arena, index).range(index);
  } catch (const Error&) {
    return {};
  }
}

bool provably_nonnegative(const Arena& arena, Id index) {
  try {
    IndexRanges ranges(arena, index);
    IndexRange range = ranges.range(index);
    return range.low && ranges.never_negative(*range.low);
  } catch (const Error&) {
    return false;
  }
}

bool provably_less(const Arena& arena, Id index, const Dim& bound) {
  try {
    IndexRanges ranges(arena, index);
    IndexRange range = ranges.range(index);
    return range.high && ranges.never_negative(bound - 1 - *range.high);
  } catch (const Error&) {
    return false;
  }
}

}  // namespace weir::scalar
