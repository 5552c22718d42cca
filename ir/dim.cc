#include "ir/dim.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <span>

#include <fmt/format.h>

#include "ir/diagnostic.h"

namespace weir {
namespace {

[[noreturn]] void overflow() {
  throw Error("a product or sum of dimensions does not fit in 64 bits; use smaller dimensions");
}

// A polynomial of a real model is far smaller. Without a bound, the product of a shape's dimensions
// could have more terms than fit in memory.
constexpr std::size_t kMaximumFactors = 64;

[[noreturn]] void too_complex() {
  throw Error(
      fmt::format("a product or sum of dimensions has more than {} symbols in its terms; "
                  "use fewer symbols",
                  kMaximumFactors));
}

std::int64_t checked_add(std::int64_t a, std::int64_t b) {
  std::int64_t result;
  if (__builtin_add_overflow(a, b, &result)) overflow();
  return result;
}

std::int64_t checked_multiply(std::int64_t a, std::int64_t b) {
  std::int64_t result;
  if (__builtin_mul_overflow(a, b, &result)) overflow();
  return result;
}

// Higher degree first, then by name, so the constant stands last.
bool before(const Dim::Term& a, const Dim::Term& b) {
  if (a.factors.size() != b.factors.size()) return a.factors.size() > b.factors.size();
  return a.factors < b.factors;
}

std::size_t factor_count(std::span<const Dim::Term> terms) {
  std::size_t count = 0;
  for (const Dim::Term& term : terms)
    for (const Dim::Factor& factor : term.factors)
      count += 1 + (factor.quotient() ? factor.quotient()->factors : 0);
  return count;
}

std::int64_t floor_divide(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

}  // namespace

Dim::Factor::Factor(Quotient quotient)
    : text_(fmt::format("floordiv({}, {})", quotient.dividend.to_string(), quotient.divisor)),
      quotient_(std::make_shared<const Quotient>(std::move(quotient))) {}

Dim Dim::symbol(std::string_view name) { return of(Factor(name)); }

Dim Dim::of(Factor factor) { return from_terms({Term{1, {std::move(factor)}}}); }

Dim Dim::from_terms(std::vector<Term> terms) {
  std::sort(terms.begin(), terms.end(), before);
  std::vector<Term> merged;
  for (Term& term : terms) {
    if (!merged.empty() && merged.back().factors == term.factors) {
      merged.back().coefficient = checked_add(merged.back().coefficient, term.coefficient);
    } else {
      merged.push_back(std::move(term));
    }
  }
  std::erase_if(merged, [](const Term& term) { return term.coefficient == 0; });
  if (factor_count(merged) > kMaximumFactors) too_complex();
  if (merged.empty()) return Dim(0);
  if (merged.size() == 1 && merged[0].factors.empty()) return Dim(merged[0].coefficient);
  Dim result;
  result.terms_ = std::make_shared<const std::vector<Term>>(std::move(merged));
  return result;
}

std::optional<std::int64_t> Dim::constant() const {
  if (terms_) return std::nullopt;
  return constant_;
}

std::int64_t Dim::value() const {
  WEIR_CHECK(is_constant(), to_string());
  return constant_;
}

std::optional<std::string> Dim::as_symbol() const {
  if (!terms_ || terms_->size() != 1) return std::nullopt;
  const Term& term = terms_->front();
  if (term.coefficient != 1 || term.factors.size() != 1 || term.factors.front().quotient())
    return std::nullopt;
  return term.factors.front().text();
}

const Dim::Quotient* Dim::as_quotient() const {
  if (!terms_ || terms_->size() != 1) return nullptr;
  const Term& term = terms_->front();
  return term.coefficient == 1 && term.factors.size() == 1 ? term.factors.front().quotient()
                                                           : nullptr;
}

std::vector<Dim::Term> Dim::terms() const {
  if (terms_) return *terms_;
  if (constant_ == 0) return {};
  return {Term{constant_, {}}};
}

void Dim::collect_symbols(std::vector<std::string>& names) const {
  if (!terms_) return;
  for (const Term& term : *terms_)
    for (const Factor& factor : term.factors)
      if (const Quotient* quotient = factor.quotient()) {
        quotient->dividend.collect_symbols(names);
      } else if (std::find(names.begin(), names.end(), factor.text()) == names.end()) {
        names.push_back(factor.text());
      }
}

std::optional<std::int64_t> Dim::evaluate(const Bindings& bindings) const {
  if (!terms_) return constant_;
  std::int64_t sum = 0;
  for (const Term& term : *terms_) {
    std::int64_t product = term.coefficient;
    for (const Factor& factor : term.factors) {
      std::int64_t value;
      if (const Quotient* quotient = factor.quotient()) {
        std::optional<std::int64_t> dividend = quotient->dividend.evaluate(bindings);
        if (!dividend) return std::nullopt;
        value = floor_divide(*dividend, quotient->divisor);
      } else {
        auto found = bindings.find(factor.text());
        if (found == bindings.end()) return std::nullopt;
        value = found->second;
      }
      if (__builtin_mul_overflow(product, value, &product)) return std::nullopt;
    }
    if (__builtin_add_overflow(sum, product, &sum)) return std::nullopt;
  }
  return sum;
}

std::optional<Dim> Dim::divided_by(const Dim& divisor) const {
  std::vector<Term> divisor_terms = divisor.terms();
  if (divisor_terms.size() != 1) return std::nullopt;
  const Term& by = divisor_terms.front();
  std::vector<Term> quotient;
  for (const Term& term : terms()) {
    if (by.coefficient == -1) {
      // INT64_MIN / -1 does not fit.
      if (term.coefficient == INT64_MIN) return std::nullopt;
    }
    if (term.coefficient % by.coefficient != 0) return std::nullopt;
    if (!std::includes(term.factors.begin(), term.factors.end(), by.factors.begin(),
                       by.factors.end()))
      return std::nullopt;
    std::vector<Factor> rest;
    std::set_difference(term.factors.begin(), term.factors.end(), by.factors.begin(),
                        by.factors.end(), std::back_inserter(rest));
    quotient.push_back({term.coefficient / by.coefficient, std::move(rest)});
  }
  return from_terms(std::move(quotient));
}

Dim Dim::substituted(const std::function<Dim(const std::string& symbol)>& value) const {
  if (!terms_) return *this;
  Dim sum = 0;
  for (const Term& term : *terms_) {
    Dim product = term.coefficient;
    for (const Factor& factor : term.factors) {
      const Quotient* quotient = factor.quotient();
      product = product *
                (quotient ? floor_quotient(quotient->dividend.substituted(value), quotient->divisor)
                          : value(factor.text()));
    }
    sum = sum + product;
  }
  return sum;
}

std::string Dim::to_string() const {
  if (!terms_) return fmt::format("{}", constant_);
  std::string text;
  for (const Term& term : *terms_) {
    std::int64_t coefficient = term.coefficient;
    if (text.empty()) {
      if (coefficient == -1 && !term.factors.empty()) text += "-";
    } else {
      // The lowest integer has no positive counterpart, so it keeps its sign.
      bool minus = coefficient < 0 && coefficient != INT64_MIN;
      text += minus ? " - " : " + ";
      if (minus) coefficient = -coefficient;
    }
    bool show_coefficient = term.factors.empty() || (coefficient != 1 && coefficient != -1);
    if (show_coefficient) text += fmt::format("{}", coefficient);
    for (std::size_t i = 0; i < term.factors.size(); ++i) {
      if (i > 0 || show_coefficient) text += "*";
      text += term.factors[i].text();
    }
  }
  return text;
}

Dim floor_quotient(const Dim& a, std::int64_t divisor) {
  WEIR_CHECK(divisor > 0, a.to_string());
  if (divisor == 1) return a;
  if (!a.terms_) return Dim(floor_divide(a.constant_, divisor));
  // What the divisor goes into as a whole, and the rest, whose coefficients lie from 0 on.
  std::vector<Dim::Term> whole, rest;
  std::int64_t common = divisor, constant = 0;
  for (const Dim::Term& term : *a.terms_) {
    std::int64_t quotient = floor_divide(term.coefficient, divisor);
    std::int64_t left = term.coefficient % divisor;
    if (left < 0) left += divisor;
    whole.push_back({quotient, term.factors});
    if (term.factors.empty()) {
      constant = left;
    } else if (left != 0) {
      rest.push_back({left, term.factors});
      common = std::gcd(common, left);
    }
  }
  Dim sum = Dim::from_terms(std::move(whole));
  if (rest.empty()) return sum;
  for (Dim::Term& term : rest) term.coefficient /= common;
  Dim dividend = Dim::from_terms(std::move(rest)) + Dim(constant / common);
  divisor /= common;
  if (divisor == 1) return sum + dividend;
  const Dim::Term& first = dividend.terms_->front();
  const Dim::Quotient* inner = first.coefficient == 1 && first.factors.size() == 1
                                   ? first.factors.front().quotient()
                                   : nullptr;
  Dim beside = dividend - Dim::from_terms({first});
  if (inner && beside.is_constant())
    return sum + floor_quotient(inner->dividend + beside * Dim(inner->divisor),
                                checked_multiply(inner->divisor, divisor));
  std::size_t factors = factor_count(*dividend.terms_);
  return sum + Dim::of(Dim::Factor(Dim::Quotient{std::move(dividend), divisor, factors}));
}

// Quotients are bounded as fractions: `scale` times the dimension is at least a polynomial, and
// what is a whole number is not negative if it is more than -1.
bool never_negative(const Dim& dim) try {
  auto is_positive = [](const Dim& sum) {
    std::vector<Dim::Term> terms = sum.terms();
    return std::all_of(terms.begin(), terms.end(),
                       [](const Dim::Term& term) { return term.coefficient >= 0; });
  };
  if (is_positive(dim)) return true;
  const std::vector<Dim::Term> terms = dim.terms();
  // A quotient alone in its term; null otherwise.
  auto quotient_in = [](const Dim::Term& term) {
    return term.factors.size() == 1 ? term.factors.front().quotient() : nullptr;
  };
  constexpr std::int64_t kLargestScale = 1 << 20;
  std::int64_t scale = 1;
  for (const Dim::Term& term : terms)
    if (const Dim::Quotient* quotient = quotient_in(term)) {
      if (quotient->divisor > kLargestScale) return false;
      scale = std::lcm(scale, quotient->divisor);
      if (scale > kLargestScale) return false;
    }
  if (scale == 1) return false;
  // First those that are subtracted alone, then all.
  for (bool all : {false, true}) {
    Dim least = scale - 1;
    for (const Dim::Term& term : terms) {
      const Dim::Quotient* quotient = quotient_in(term);
      if (quotient && (all || term.coefficient < 0)) {
        Dim bound = quotient->dividend;
        if (term.coefficient > 0) bound = bound - Dim(quotient->divisor - 1);
        least = least + bound * Dim(scale / quotient->divisor) * Dim(term.coefficient);
      } else {
        Dim product = Dim(term.coefficient) * Dim(scale);
        for (const Dim::Factor& factor : term.factors) product = product * Dim::of(factor);
        least = least + product;
      }
    }
    if (is_positive(least)) return true;
  }
  return false;
} catch (const Error&) {
  return false;  // a bound leaves 64 bits
}

std::optional<std::size_t> degree_in(const Dim& dim, std::string_view symbol) {
  std::size_t degree = 0;
  for (const Dim::Term& term : dim.terms()) {
    std::size_t times = 0;
    for (const Dim::Factor& factor : term.factors) {
      if (const Dim::Quotient* quotient = factor.quotient()) {
        std::vector<std::string> names;
        quotient->dividend.collect_symbols(names);
        if (std::find(names.begin(), names.end(), symbol) != names.end()) return std::nullopt;
      } else if (factor.text() == symbol) {
        ++times;
      }
    }
    degree = std::max(degree, times);
  }
  return degree;
}

Dim operator+(const Dim& a, const Dim& b) {
  if (!a.terms_ && !b.terms_) return Dim(checked_add(a.constant_, b.constant_));
  std::vector<Dim::Term> terms = a.terms();
  for (Dim::Term& term : b.terms()) terms.push_back(std::move(term));
  return Dim::from_terms(std::move(terms));
}

Dim operator-(const Dim& a, const Dim& b) { return a + b * Dim(-1); }

Dim operator*(const Dim& a, const Dim& b) {
  if (!a.terms_ && !b.terms_) return Dim(checked_multiply(a.constant_, b.constant_));
  if (a == Dim(1)) return b;
  if (b == Dim(1)) return a;
  std::vector<Dim::Term> terms;
  for (const Dim::Term& left : a.terms()) {
    for (const Dim::Term& right : b.terms()) {
      Dim::Term term{checked_multiply(left.coefficient, right.coefficient), left.factors};
      term.factors.insert(term.factors.end(), right.factors.begin(), right.factors.end());
      std::sort(term.factors.begin(), term.factors.end());
      terms.push_back(std::move(term));
    }
  }
  return Dim::from_terms(std::move(terms));
}

bool operator==(const Dim& a, const Dim& b) {
  if (!a.terms_ || !b.terms_) return !a.terms_ && !b.terms_ && a.constant_ == b.constant_;
  return a.terms_ == b.terms_ || *a.terms_ == *b.terms_;
}

std::size_t Dim::hash() const {
  if (!terms_) return std::hash<std::int64_t>{}(constant_);
  return std::hash<std::string>{}(to_string());
}

Dim element_count(const Shape& shape) {
  // A zero anywhere makes the product zero, but only after the other factors have been checked: a
  // reader of the shape may multiply in another order.
  Dim product = 1;
  bool empty = false;
  for (const Dim& dim : shape) {
    if (dim == Dim(0)) {
      empty = true;
    } else {
      product = product * dim;
    }
  }
  return empty ? Dim(0) : product;
}

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ", ";
    text += shape[i].to_string();
  }
  return text + "]";
}

std::vector<Dim> row_major_strides(const Shape& shape) {
  std::vector<Dim> strides(shape.size(), Dim(1));
  for (std::size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

}  // namespace weir
