// Dimensions: integers, symbols, and what shape rules make of them.
//
// A Dim is a polynomial with integer coefficients in named symbols (`N`, `4*N`, `N + 1`, `N*M`), kept
// in one canonical form, so two Dims are equal as values exactly if they are equal as polynomials.
// Distinct symbols are never assumed equal. A symbol stands for an integer >= 0.
// Arithmetic is checked: a coefficient that leaves 64 bits throws Error, and so does a polynomial of
// more than 64 symbols in all its terms.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

class Dim {
 public:
  // One product: coefficient * symbols[0] * symbols[1] * ..., symbols sorted, possibly repeated.
  struct Term {
    std::int64_t coefficient;
    std::vector<std::string> symbols;
    friend bool operator==(const Term&, const Term&) = default;
  };
  using Bindings = std::map<std::string, std::int64_t, std::less<>>;

  Dim() = default;
  Dim(std::int64_t constant) : constant_(constant) {}  // NOLINT: integers are dimensions
  Dim(int constant) : constant_(constant) {}           // NOLINT
  static Dim symbol(std::string_view name);

  bool is_constant() const { return terms_ == nullptr; }
  std::optional<std::int64_t> constant() const;
  // The value of a constant dimension; it is a fault of ours to ask for another's.
  std::int64_t value() const;
  // The name, if this is exactly one symbol.
  std::optional<std::string> as_symbol() const;
  // The terms, constant last; none for 0.
  std::vector<Term> terms() const;
  // Adds the names of all symbols in this dimension, each once.
  void collect_symbols(std::vector<std::string>& names) const;

  // The value under the bindings; nothing if a symbol is unbound or the value overflows.
  std::optional<std::int64_t> evaluate(const Bindings& bindings) const;
  // The quotient, if the division is exact as polynomials (the divisor being a single term).
  std::optional<Dim> divided_by(const Dim& divisor) const;

  // "4*N + 1"
  std::string to_string() const;

  friend Dim operator+(const Dim& a, const Dim& b);
  friend Dim operator-(const Dim& a, const Dim& b);
  friend Dim operator*(const Dim& a, const Dim& b);
  friend bool operator==(const Dim& a, const Dim& b);
  std::size_t hash() const;

 private:
  static Dim from_terms(std::vector<Term> terms);

  std::int64_t constant_ = 0;                      // the value when terms_ is null
  std::shared_ptr<const std::vector<Term>> terms_;  // null for a constant
};

using Shape = std::vector<Dim>;

// The product of all dimensions; 1 for a scalar. Throws Error when it leaves 64 bits.
Dim element_count(const Shape& shape);
// "[N, 4]", and "[]" for a scalar.
std::string to_string(const Shape& shape);
// Row-major strides in elements.
std::vector<Dim> row_major_strides(const Shape& shape);

}  // namespace weir
