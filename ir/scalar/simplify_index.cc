// One sweep over the expression, operands before users. Every i64 node becomes an affine form over
// atoms that are themselves in canonical form; everything else is copied with its new operands.
// With c > 0, r and s integers, all of the following hold without conditions but those named:
//
//   floor_div(q*c + r, c) = q + floor_div(r, c)             modulo(q*c + r, c) = modulo(r, c)
//   floor_div(r, c) = 0                                     modulo(r, c) = r         0 <= r < c
//   floor_div(g*x + s, g*c) = floor_div(x, c)               modulo(g*x + s, g*c) = g*modulo(x, c) +
//   s
//                                                                                    0 <= s < g
//   floor_div(x + floor_div(y, a), b) = floor_div(a*x + y, a*b)
//   floor_div(modulo(x, b*c), c) = modulo(floor_div(x, c), b)
//   modulo(x + k*modulo(y, m), c) = modulo(x + k*y, c)                               c divides k*m
//   c*floor_div(r, c) + modulo(r, c) = r
//   c*modulo(x + floor_div(r, c), d) + modulo(r, c) = modulo(c*x + r, c*d)
//
// The first six apply where a division is made, the last two wherever a sum is complete. Each takes
// away a division, or leaves one with a smaller divisor or with fewer divisions in its dividend.
#include <array>
#include <unordered_map>

#include "ir/diagnostic.h"
#include "ir/scalar/affine.h"
#include "ir/scalar/dim_division.h"
#include "ir/scalar/index_range.h"
#include "ir/scalar/subexpressions.h"

namespace weir::scalar {
namespace {

// dividend == quotient * divisor + rest.
struct Division {
  Affine quotient;
  Affine rest;
};

Division divide(const Affine& dividend, const Dim& divisor) {
  DimQuotient constant = divide_terms(dividend.constant, divisor, true);
  Division division{{{}, constant.quotient}, {{}, constant.rest}};
  for (const auto& [atom, coefficient] : dividend.terms) {
    auto [quotient, rest] = divide_terms(coefficient, divisor, false);
    if (quotient != Dim(0)) division.quotient.terms.emplace_back(atom, quotient);
    if (rest != Dim(0)) division.rest.terms.emplace_back(atom, rest);
  }
  return division;
}

Affine single(Id atom, const Dim& coefficient) { return {{{atom, coefficient}}, 0}; }

class IndexSimplifier {
 public:
  IndexSimplifier(Arena& arena, Id root) : arena_(arena), root_(root), ranges_(arena, root) {}

  Id simplify() {
    auto enter = [](Id) { return true; };
    for (Id id : subexpressions(arena_, root_, enter)) {
      if (arena_[id].type == DType::i64) {
        forms_.emplace(id.index, form_of(id));
      } else {
        copies_.emplace(id.index, copy_of(id));
      }
    }
    return simplified(root_);
  }

 private:
  const Affine& form(Id id, std::size_t operand) const {
    return forms_.at(arena_.operand(id, operand).index);
  }

  Id simplified(Id id) {
    if (auto copy = copies_.find(id.index); copy != copies_.end()) return copy->second;
    Id rebuilt = rebuild_index(arena_, forms_.at(id.index));
    copies_.emplace(id.index, rebuilt);
    return rebuilt;
  }

  bool never_positive(const Dim& dim) const { return ranges_.never_negative(dim * Dim(-1)); }

  Affine form_of(Id id);
  Id copy_of(Id id);
  std::optional<bool> outcome(Id comparison);

  Affine floor_div(const Affine& dividend, const Dim& divisor);
  Affine modulo(const Affine& dividend, const Dim& divisor);
  std::optional<Division> certain_division(const Affine& dividend, const Dim& divisor);
  std::optional<std::pair<Dim, Division>> factored(const Affine& dividend, const Dim& divisor);
  Affine recombined(Affine sum);
  std::optional<Affine> recombined_with(const Affine& sum, Id modulo_atom, const Dim& coefficient);

  // The operands of an atom that divides by a dimension which can be positive.
  struct Divided {
    Affine dividend;
    Dim divisor;
  };
  std::optional<Divided> as(Primitive primitive, Id atom) const {
    if (arena_[atom].primitive != primitive) return std::nullopt;
    Affine divisor = decompose(arena_, arena_.operand(atom, 1));
    if (!divisor.is_constant() || never_positive(divisor.constant)) return std::nullopt;
    return Divided{decompose(arena_, arena_.operand(atom, 0)), divisor.constant};
  }

  Affine atom(Primitive primitive, const Affine& dividend, const Dim& divisor) {
    std::array operands{rebuild_index(arena_, dividend), arena_.size_of(divisor)};
    return decompose(arena_, arena_.make(primitive, operands));
  }

  Arena& arena_;
  Id root_;
  IndexRanges ranges_;
  // Of the nodes of the original expression: i64 nodes, and all nodes that have been rebuilt.
  std::unordered_map<std::uint32_t, Affine> forms_;
  std::unordered_map<std::uint32_t, Id> copies_;
};

Affine IndexSimplifier::form_of(Id id) {
  Primitive primitive = arena_[id].primitive;
  switch (primitive) {
    case Primitive::add:
      return recombined(form(id, 0) + form(id, 1));
    case Primitive::sub:
      return recombined(form(id, 0) - form(id, 1));
    case Primitive::neg:
      return form(id, 0) * Dim(-1);
    case Primitive::mul:
      if (form(id, 1).is_constant()) return form(id, 0) * form(id, 1).constant;
      if (form(id, 0).is_constant()) return form(id, 1) * form(id, 0).constant;
      break;
    case Primitive::floor_div:
    case Primitive::modulo:
      // A divisor that cannot be positive is left to whoever wrote it.
      if (form(id, 1).is_constant() && !never_positive(form(id, 1).constant))
        return primitive == Primitive::floor_div
                   ? recombined(floor_div(form(id, 0), form(id, 1).constant))
                   : recombined(modulo(form(id, 0), form(id, 1).constant));
      break;
    case Primitive::min:
    case Primitive::max: {
      bool least = primitive == Primitive::min;
      IndexRange difference = ranges_.range(form(id, 1) - form(id, 0));
      if (difference.low && ranges_.never_negative(*difference.low)) return form(id, least ? 0 : 1);
      if (difference.high && never_positive(*difference.high)) return form(id, least ? 1 : 0);
      break;
    }
    default:
      break;
  }
  return decompose(arena_, copy_of(id));
}

Id IndexSimplifier::copy_of(Id id) {
  if (std::optional<bool> certain = outcome(id))
    return arena_.constant(DType::boolean, from_bool(*certain));
  std::vector<Id> operands;
  bool changed = false;
  const std::uint32_t count = arena_[id].operand_count;
  for (std::uint32_t i = 0; i < count; ++i) {
    Id operand = arena_.operand(id, i);
    operands.push_back(simplified(operand));
    changed = changed || operands.back() != operand;
  }
  return changed ? copy_node(arena_, id, arena_, operands) : id;
}

// What a comparison of indices comes to, if it is the same everywhere.
std::optional<bool> IndexSimplifier::outcome(Id comparison) {
  Primitive primitive = arena_[comparison].primitive;
  bool order = primitive == Primitive::lt || primitive == Primitive::le;
  bool equality = primitive == Primitive::eq || primitive == Primitive::ne;
  if (!order && !equality) return std::nullopt;
  if (arena_[arena_.operand(comparison, 0)].type != DType::i64) return std::nullopt;
  Affine difference = form(comparison, 1) - form(comparison, 0);
  IndexRange range = ranges_.range(difference);
  auto at_least = [&](std::int64_t bound) {
    return range.low && ranges_.never_negative(*range.low - bound);
  };
  auto at_most = [&](std::int64_t bound) {
    return range.high && ranges_.never_negative(Dim(bound) - *range.high);
  };
  if (order) {
    std::int64_t least = primitive == Primitive::lt ? 1 : 0;
    if (at_least(least)) return true;
    if (at_most(least - 1)) return false;
    return std::nullopt;
  }
  if (difference == Affine{}) return primitive == Primitive::eq;
  if (at_least(1) || at_most(-1)) return primitive == Primitive::ne;
  return std::nullopt;
}

// The quotient and the rest in [0, divisor), if they can be told from the ranges.
std::optional<Division> IndexSimplifier::certain_division(const Affine& dividend,
                                                          const Dim& divisor) {
  Division division = divide(dividend, divisor);
  if (division.rest == Affine{}) return division;
  if (ranges_.lies_within(division.rest, 0, divisor - 1)) return division;
  // As in N - 1 - i, divided by N.
  if (ranges_.lies_within(division.rest, divisor * Dim(-1), -1)) {
    division.quotient.constant = division.quotient.constant - 1;
    division.rest.constant = division.rest.constant + divisor;
    return division;
  }
  return std::nullopt;
}

// A factor g of the divisor, with dividend == g * quotient + rest and rest in [0, g).
std::optional<std::pair<Dim, Division>> IndexSimplifier::factored(const Affine& dividend,
                                                                  const Dim& divisor) {
  for (const auto& term : dividend.terms) {
    Dim factor = common_factor(term.second, divisor);
    if (factor == Dim(1) || factor == divisor) continue;
    if (std::optional<Division> division = certain_division(dividend, factor))
      return std::pair{factor, std::move(*division)};
  }
  return std::nullopt;
}

Affine IndexSimplifier::floor_div(const Affine& dividend, const Dim& divisor) {
  if (std::optional<Division> division = certain_division(dividend, divisor))
    return division->quotient;
  auto [quotient, rest] = divide(dividend, divisor);
  if (auto found = factored(rest, divisor))
    return quotient + floor_div(found->second.quotient, *divided_exactly(divisor, found->first));
  for (const auto& [id, coefficient] : rest.terms) {
    if (coefficient != Dim(1)) continue;
    std::optional<Divided> inner = as(Primitive::floor_div, id);
    if (!inner) continue;
    Affine others = rest - single(id, 1);
    return quotient +
           floor_div(others * inner->divisor + inner->dividend, inner->divisor * divisor);
  }
  if (rest.terms.size() == 1 && rest == single(rest.terms.front().first, 1)) {
    if (std::optional<Divided> inner = as(Primitive::modulo, rest.terms.front().first)) {
      if (std::optional<Dim> period = divided_exactly(inner->divisor, divisor))
        return quotient + modulo(floor_div(inner->dividend, divisor), *period);
    }
  }
  return quotient + atom(Primitive::floor_div, rest, divisor);
}

Affine IndexSimplifier::modulo(const Affine& dividend, const Dim& divisor) {
  if (std::optional<Division> division = certain_division(dividend, divisor)) return division->rest;
  Affine rest = divide(dividend, divisor).rest;
  for (const auto& [id, coefficient] : rest.terms) {
    std::optional<Divided> inner = as(Primitive::modulo, id);
    if (!inner || !divided_exactly(coefficient * inner->divisor, divisor)) continue;
    return modulo(recombined(rest - single(id, coefficient) + inner->dividend * coefficient),
                  divisor);
  }
  if (auto found = factored(rest, divisor)) {
    const auto& [factor, division] = *found;
    return modulo(division.quotient, *divided_exactly(divisor, factor)) * factor + division.rest;
  }
  return atom(Primitive::modulo, rest, divisor);
}

Affine IndexSimplifier::recombined(Affine sum) {
  bool again = sum.terms.size() > 1;
  while (again) {
    again = false;
    for (const auto& [id, coefficient] : sum.terms) {
      if (std::optional<Affine> better = recombined_with(sum, id, coefficient)) {
        sum = std::move(*better);
        again = sum.terms.size() > 1;
        break;
      }
    }
  }
  return sum;
}

// The last two rules, for one term coefficient * modulo(r, c) of a sum.
std::optional<Affine> IndexSimplifier::recombined_with(const Affine& sum, Id modulo_atom,
                                                       const Dim& coefficient) {
  std::optional<Divided> rest = as(Primitive::modulo, modulo_atom);
  if (!rest) return std::nullopt;
  const Dim scale = coefficient * rest->divisor;
  const Affine without = sum - single(modulo_atom, coefficient);
  const Affine quotient = floor_div(rest->dividend, rest->divisor);

  Affine others = without - quotient * scale;
  if (others.terms.size() + quotient.terms.size() == without.terms.size())
    return others + rest->dividend * coefficient;

  if (quotient.terms.size() != 1 || quotient != single(quotient.terms.front().first, 1))
    return std::nullopt;
  for (const auto& [id, other_coefficient] : without.terms) {
    if (other_coefficient != scale) continue;
    std::optional<Divided> upper = as(Primitive::modulo, id);
    if (!upper) continue;
    Affine x = upper->dividend - quotient;
    if (x.terms.size() + 1 != upper->dividend.terms.size()) continue;
    return without - single(id, scale) +
           modulo(x * rest->divisor + rest->dividend, rest->divisor * upper->divisor) * coefficient;
  }
  return std::nullopt;
}

}  // namespace

Id simplify_index(Arena& arena, Id expression) {
  if (arena.operands(expression).empty()) return expression;
  try {
    return IndexSimplifier(arena, expression).simplify();
  } catch (const Error&) {
    return expression;  // coefficients too large to reason about
  }
}

}  // namespace weir::scalar
