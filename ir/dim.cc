#include "ir/dim.h"

#include <algorithm>

#include <fmt/format.h>

#include "ir/diagnostic.h"

namespace weir {
namespace {

[[noreturn]] void overflow() {
  throw Error("a product or sum of dimensions does not fit in 64 bits; use smaller dimensions");
}

// A polynomial of a real model is far smaller. Without a bound, the product of a shape's dimensions
// could have more terms than fit in memory.
constexpr std::size_t kMaximumSymbols = 64;

[[noreturn]] void too_complex() {
  throw Error(fmt::format("a product or sum of dimensions has more than {} symbols in its terms; "
                          "use fewer symbols",
                          kMaximumSymbols));
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
  if (a.symbols.size() != b.symbols.size()) return a.symbols.size() > b.symbols.size();
  return a.symbols < b.symbols;
}

}  // namespace

Dim Dim::symbol(std::string_view name) {
  return from_terms({Term{1, {std::string(name)}}});
}

Dim Dim::from_terms(std::vector<Term> terms) {
  std::sort(terms.begin(), terms.end(), before);
  std::vector<Term> merged;
  for (Term& term : terms) {
    if (!merged.empty() && merged.back().symbols == term.symbols) {
      merged.back().coefficient = checked_add(merged.back().coefficient, term.coefficient);
    } else {
      merged.push_back(std::move(term));
    }
  }
  std::erase_if(merged, [](const Term& term) { return term.coefficient == 0; });
  std::size_t symbols = 0;
  for (const Term& term : merged) symbols += term.symbols.size();
  if (symbols > kMaximumSymbols) too_complex();
  if (merged.empty()) return Dim(0);
  if (merged.size() == 1 && merged[0].symbols.empty()) return Dim(merged[0].coefficient);
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
  if (term.coefficient != 1 || term.symbols.size() != 1) return std::nullopt;
  return term.symbols.front();
}

std::vector<Dim::Term> Dim::terms() const {
  if (terms_) return *terms_;
  if (constant_ == 0) return {};
  return {Term{constant_, {}}};
}

void Dim::collect_symbols(std::vector<std::string>& names) const {
  if (!terms_) return;
  for (const Term& term : *terms_)
    for (const std::string& name : term.symbols)
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
}

std::optional<std::int64_t> Dim::evaluate(const Bindings& bindings) const {
  if (!terms_) return constant_;
  std::int64_t sum = 0;
  for (const Term& term : *terms_) {
    std::int64_t product = term.coefficient;
    for (const std::string& name : term.symbols) {
      auto found = bindings.find(name);
      if (found == bindings.end()) return std::nullopt;
      if (__builtin_mul_overflow(product, found->second, &product)) return std::nullopt;
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
    if (!std::includes(term.symbols.begin(), term.symbols.end(), by.symbols.begin(),
                       by.symbols.end()))
      return std::nullopt;
    std::vector<std::string> rest;
    std::set_difference(term.symbols.begin(), term.symbols.end(), by.symbols.begin(),
                        by.symbols.end(), std::back_inserter(rest));
    quotient.push_back({term.coefficient / by.coefficient, std::move(rest)});
  }
  return from_terms(std::move(quotient));
}

std::string Dim::to_string() const {
  if (!terms_) return fmt::format("{}", constant_);
  std::string text;
  for (const Term& term : *terms_) {
    std::int64_t coefficient = term.coefficient;
    if (text.empty()) {
      if (coefficient == -1 && !term.symbols.empty()) text += "-";
    } else {
      // The lowest integer has no positive counterpart, so it keeps its sign.
      bool minus = coefficient < 0 && coefficient != INT64_MIN;
      text += minus ? " - " : " + ";
      if (minus) coefficient = -coefficient;
    }
    bool show_coefficient = term.symbols.empty() || (coefficient != 1 && coefficient != -1);
    if (show_coefficient) text += fmt::format("{}", coefficient);
    for (std::size_t i = 0; i < term.symbols.size(); ++i) {
      if (i > 0 || show_coefficient) text += "*";
      text += term.symbols[i];
    }
  }
  return text;
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
      Dim::Term term{checked_multiply(left.coefficient, right.coefficient), left.symbols};
      term.symbols.insert(term.symbols.end(), right.symbols.begin(), right.symbols.end());
      std::sort(term.symbols.begin(), term.symbols.end());
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
