// Dimensions: integers, symbols, and what shape rules make of them.
//
// A Dim is a polynomial with integer coefficients. Its unknowns are named symbols (`N`, `4*N`, `N +
// 1`, `N*M`) and floor quotients of polynomials by integers: `floordiv(N + 1, 2)` windows of stride
// 2 fit into N elements. Distinct symbols are never assumed equal. A symbol stands for an integer
// >= 0.
//
// Everything is kept in one form, and Dims are equal as values exactly if that is equal. For
// polynomials it is canonical. Of a quotient, whole parts are taken out, common divisors cancelled
// and quotients of quotients joined:
//   floordiv(3*N - 1, 2)               is  N + floordiv(N + 1, 2) - 1
//   floordiv(2*N + 3, 4)               is  floordiv(N + 1, 2)
//   floordiv(floordiv(N, 2) + 1, 3)    is  floordiv(N + 2, 6)
// so the coefficients of its dividend lie from 0 to below the divisor, and it is never negative.
// Quotients that agree for deeper reasons (floordiv(N, 2) + floordiv(N + 1, 2) is always N) are not
// seen to be equal.
// Arithmetic is checked: a coefficient that leaves 64 bits throws Error, and so does a dimension of
// more than 64 symbols and quotients in all its terms.
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

// The longest name of a symbol that graphs have: names are kept wherever a symbol occurs.
constexpr std::size_t kLongestSymbol = 80;

class Dim {
 public:
  struct Quotient;

  // What terms are products of: a symbol, or a floor quotient. Symbols stand before quotients.
  class Factor {
   public:
    // The symbol's name, or the quotient as text.
    const std::string& text() const { return text_; }
    // Null for a symbol.
    const Quotient* quotient() const { return quotient_.get(); }

    friend bool operator==(const Factor& a, const Factor& b) {
      return !a.quotient_ == !b.quotient_ && a.text_ == b.text_;
    }
    friend bool operator<(const Factor& a, const Factor& b) {
      if (!a.quotient_ != !b.quotient_) return !a.quotient_;
      return a.text_ < b.text_;
    }

   private:
    friend class Dim;
    friend Dim floor_quotient(const Dim& a, std::int64_t divisor);
    explicit Factor(std::string_view symbol) : text_(symbol) {}
    explicit Factor(Quotient quotient);

    std::string text_;
    std::shared_ptr<const Quotient> quotient_;
  };

  // One product: coefficient * factors[0] * factors[1] * ..., factors sorted, possibly repeated.
  struct Term {
    std::int64_t coefficient;
    std::vector<Factor> factors;
    friend bool operator==(const Term&, const Term&) = default;
  };
  using Bindings = std::map<std::string, std::int64_t, std::less<>>;

  Dim() = default;
  Dim(std::int64_t constant) : constant_(constant) {}  // NOLINT: integers are dimensions
  Dim(int constant) : constant_(constant) {}           // NOLINT
  static Dim symbol(std::string_view name);
  static Dim of(Factor factor);

  bool is_constant() const { return terms_ == nullptr; }
  std::optional<std::int64_t> constant() const;
  // The value of a constant dimension; it is a fault of ours to ask for another's.
  std::int64_t value() const;
  // The name, if this is exactly one symbol.
  std::optional<std::string> as_symbol() const;
  // The quotient, if this is exactly one; null otherwise.
  const Quotient* as_quotient() const;
  // The terms, constant last; none for 0.
  std::vector<Term> terms() const;
  // Adds the names of all symbols in this dimension, those in quotients too, each once.
  void collect_symbols(std::vector<std::string>& names) const;

  // The value under the bindings; nothing if a symbol is unbound or the value overflows.
  std::optional<std::int64_t> evaluate(const Bindings& bindings) const;
  // The quotient, if the division is exact as polynomials (the divisor being a single term).
  std::optional<Dim> divided_by(const Dim& divisor) const;

  // The dimension with something else in the place of each symbol.
  Dim substituted(const std::function<Dim(const std::string& symbol)>& value) const;

  // "4*N + 1", "floordiv(N + 1, 2)"
  std::string to_string() const;

  // The largest integer that is at most a / divisor, for every value of the symbols; divisor > 0.
  friend Dim floor_quotient(const Dim& a, std::int64_t divisor);
  friend Dim operator+(const Dim& a, const Dim& b);
  friend Dim operator-(const Dim& a, const Dim& b);
  friend Dim operator*(const Dim& a, const Dim& b);
  friend bool operator==(const Dim& a, const Dim& b);
  std::size_t hash() const;

 private:
  static Dim from_terms(std::vector<Term> terms);

  std::int64_t constant_ = 0;                       // the value when terms_ is null
  std::shared_ptr<const std::vector<Term>> terms_;  // null for a constant
};

// floor(dividend / divisor). The dividend's coefficients lie from 0 to below the divisor, and there
// is a symbol in it.
struct Dim::Quotient {
  Dim dividend;
  std::int64_t divisor = 2;
  std::size_t factors = 0;  // symbols and quotients in the dividend, at all depths
};

Dim floor_quotient(const Dim& a, std::int64_t divisor);
// Whether the dimension is seen to be at least 0, whatever its symbols stand for. A quotient lies
// between (dividend - divisor + 1) / divisor and dividend / divisor.
bool never_negative(const Dim& dim);
// The degree in which a symbol occurs, if no quotient depends on it: 4*N*M + N is linear in N.
std::optional<std::size_t> degree_in(const Dim& dim, std::string_view symbol);

using Shape = std::vector<Dim>;

// The product of all dimensions; 1 for a scalar. Throws Error when it leaves 64 bits.
Dim element_count(const Shape& shape);
// "[N, 4]", and "[]" for a scalar.
std::string to_string(const Shape& shape);
// Row-major strides in elements.
std::vector<Dim> row_major_strides(const Shape& shape);

}  // namespace weir
