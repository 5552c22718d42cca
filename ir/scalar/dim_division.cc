#include "ir/scalar/dim_division.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <vector>

#include "ir/diagnostic.h"

namespace weir::scalar {
namespace {

using Factors = std::vector<Dim::Factor>;

Dim product(std::int64_t coefficient, const Factors& factors) {
  Dim result = coefficient;
  for (const Dim::Factor& factor : factors) result = result * Dim::of(factor);
  return result;
}

// The factors of `all` without those of `some`, if `some` is among them.
std::optional<Factors> without(const Factors& all, const Factors& some) {
  if (!std::includes(all.begin(), all.end(), some.begin(), some.end())) return std::nullopt;
  Factors rest;
  std::set_difference(all.begin(), all.end(), some.begin(), some.end(), std::back_inserter(rest));
  return rest;
}

// Each factor that is positive stands for one more than itself in the result.
Dim shifted(const Dim& dim, const PositiveFactors& positive) {
  Dim sum = 0;
  for (const Dim::Term& term : dim.terms()) {
    Dim shifted_term = term.coefficient;
    for (const Dim::Factor& factor : term.factors) {
      Dim value = Dim::of(factor);
      if (positive.contains(factor)) {
        value = value + 1;
      } else if (const Dim::Quotient* quotient = factor.quotient()) {
        value = floor_quotient(shifted(quotient->dividend, positive), quotient->divisor);
      }
      shifted_term = shifted_term * value;
    }
    sum = sum + shifted_term;
  }
  return sum;
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
    std::optional<Factors> factors = without(term.factors, by.front().factors);
    if (!factors) {
      result.rest = result.rest + product(term.coefficient, term.factors);
      continue;
    }
    std::int64_t quotient = term.coefficient / number;
    std::int64_t rest = term.coefficient % number;
    if (floor_constant && term.factors.empty() && rest < 0) {
      --quotient;
      rest += number;
    }
    result.quotient = result.quotient + product(quotient, *factors);
    result.rest = result.rest + product(rest, term.factors);
  }
  return result;
}

std::optional<Dim> divided_exactly(const Dim& a, const Dim& divisor) {
  std::vector<Dim::Term> by = divisor.terms();
  if (by.empty()) return std::nullopt;
  if (by.size() == 1) return a.divided_by(divisor);
  // Long division. Terms stand in an order that products keep, so only leading terms matter, and
  // the leading term of the rest falls in each step.
  const Dim leading = product(by.front().coefficient, by.front().factors);
  Dim quotient = 0;
  Dim rest = a;
  while (rest != Dim(0)) {
    Dim::Term first = rest.terms().front();
    std::optional<Dim> step = product(first.coefficient, first.factors).divided_by(leading);
    if (!step) return std::nullopt;
    quotient = quotient + *step;
    rest = rest - *step * divisor;
  }
  return quotient;
}

Dim common_factor(const Dim& a, const Dim& b) {
  std::int64_t number = 0;
  std::optional<Factors> factors;
  for (const Dim* dim : {&a, &b}) {
    for (const Dim::Term& term : dim->terms()) {
      if (term.coefficient == INT64_MIN) return 1;  // has no magnitude
      number = std::gcd(number, term.coefficient);
      if (!factors) {
        factors = term.factors;
        continue;
      }
      Factors common;
      std::set_intersection(factors->begin(), factors->end(), term.factors.begin(),
                            term.factors.end(), std::back_inserter(common));
      factors = std::move(common);
    }
  }
  if (!factors) return 1;
  return product(number, *factors);
}

void add_positive(PositiveFactors& positive, const Dim& dim) {
  std::vector<Dim::Term> terms = dim.terms();
  if (terms.size() != 1 || terms.front().coefficient < 0) return;
  positive.insert(terms.front().factors.begin(), terms.front().factors.end());
}

bool never_negative(const Dim& dim, const PositiveFactors& positive) {
  if (std::optional<std::int64_t> constant = dim.constant()) return *constant >= 0;
  return weir::never_negative(shifted(dim, positive));
}

}  // namespace weir::scalar
