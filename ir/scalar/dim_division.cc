#include "ir/scalar/dim_division.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <vector>

#include "ir/diagnostic.h"

namespace weir::scalar {
namespace {

using Symbols = std::vector<std::string>;

Dim product(std::int64_t coefficient, const Symbols& symbols) {
  Dim result = coefficient;
  for (const std::string& symbol : symbols) result = result * Dim::symbol(symbol);
  return result;
}

// The symbols of `all` without those of `some`, if `some` is among them.
std::optional<Symbols> without(const Symbols& all, const Symbols& some) {
  if (!std::includes(all.begin(), all.end(), some.begin(), some.end())) return std::nullopt;
  Symbols rest;
  std::set_difference(all.begin(), all.end(), some.begin(), some.end(), std::back_inserter(rest));
  return rest;
}

}  // namespace

DimQuotient divide_terms(const Dim& a, const Dim& divisor, bool floor_constant) {
  std::vector<Dim::Term> by = divisor.terms();
  if (by.size() != 1) {
    std::optional<Dim> quotient = divided_exactly(a, divisor);
    return quotient ? DimQuotient{*quotient, 0} : DimQuotient{0, a};
  }
  const std::int64_t number = by.front().coefficient;
  WEIR_CHECK(number > 0, divisor.to_string());
  DimQuotient result{0, 0};
  for (const Dim::Term& term : a.terms()) {
    std::optional<Symbols> symbols = without(term.symbols, by.front().symbols);
    if (!symbols) {
      result.rest = result.rest + product(term.coefficient, term.symbols);
      continue;
    }
    std::int64_t quotient = term.coefficient / number;
    std::int64_t rest = term.coefficient % number;
    if (floor_constant && term.symbols.empty() && rest < 0) {
      --quotient;
      rest += number;
    }
    result.quotient = result.quotient + product(quotient, *symbols);
    result.rest = result.rest + product(rest, term.symbols);
  }
  return result;
}

std::optional<Dim> divided_exactly(const Dim& a, const Dim& divisor) {
  std::vector<Dim::Term> by = divisor.terms();
  if (by.empty()) return std::nullopt;
  if (by.size() == 1) return a.divided_by(divisor);
  // Long division. Terms stand in an order that products keep, so only leading terms matter, and
  // the leading term of the rest falls in each step.
  const Dim leading = product(by.front().coefficient, by.front().symbols);
  Dim quotient = 0;
  Dim rest = a;
  while (rest != Dim(0)) {
    Dim::Term first = rest.terms().front();
    std::optional<Dim> step = product(first.coefficient, first.symbols).divided_by(leading);
    if (!step) return std::nullopt;
    quotient = quotient + *step;
    rest = rest - *step * divisor;
  }
  return quotient;
}

Dim common_factor(const Dim& a, const Dim& b) {
  std::int64_t number = 0;
  std::optional<Symbols> symbols;
  for (const Dim* dim : {&a, &b}) {
    for (const Dim::Term& term : dim->terms()) {
      if (term.coefficient == INT64_MIN) return 1;  // has no magnitude
      number = std::gcd(number, term.coefficient);
      if (!symbols) {
        symbols = term.symbols;
        continue;
      }
      Symbols common;
      std::set_intersection(symbols->begin(), symbols->end(), term.symbols.begin(),
                            term.symbols.end(), std::back_inserter(common));
      symbols = std::move(common);
    }
  }
  if (!symbols) return 1;
  return product(number, *symbols);
}

void add_positive(PositiveSymbols& symbols, const Dim& dim) {
  std::vector<Dim::Term> terms = dim.terms();
  if (terms.size() != 1 || terms.front().coefficient < 0) return;
  symbols.insert(terms.front().symbols.begin(), terms.front().symbols.end());
}

bool never_negative(const Dim& dim, const PositiveSymbols& positive) {
  if (std::optional<std::int64_t> constant = dim.constant()) return *constant >= 0;
  Dim shifted = 0;
  for (const Dim::Term& term : dim.terms()) {
    Dim shifted_term = term.coefficient;
    for (const std::string& symbol : term.symbols)
      shifted_term = shifted_term * (Dim::symbol(symbol) + (positive.contains(symbol) ? 1 : 0));
    shifted = shifted + shifted_term;
  }
  std::vector<Dim::Term> terms = shifted.terms();
  return std::all_of(terms.begin(), terms.end(),
                     [](const Dim::Term& term) { return term.coefficient >= 0; });
}

}  // namespace weir::scalar
