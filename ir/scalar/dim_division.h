// Division of dimensions, and what is certain about their signs.
//
// Everything here is exact arithmetic on polynomials; a coefficient that leaves 64 bits throws
// Error.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>

#include "ir/dim.h"

namespace weir::scalar {

// a == quotient * divisor + rest.
struct DimQuotient {
  Dim quotient;
  Dim rest;
};

// Divides term by term, by a divisor that is positive; what is not divisible stays in the rest. By
// a divisor of several terms, divides exactly or not at all. Coefficients are divided towards zero;
// with `floor_constant`, the constant term is divided downwards, so that its rest by a constant
// divisor is never negative.
DimQuotient divide_terms(const Dim& a, const Dim& divisor, bool floor_constant);

// The quotient, if the division is exact as polynomials; the divisor may have several terms.
std::optional<Dim> divided_exactly(const Dim& a, const Dim& divisor);

// The largest product of a positive number, symbols and quotients that divides every term of both.
Dim common_factor(const Dim& a, const Dim& b);

// Symbols and quotients that stand for an integer >= 1; all others stand for one >= 0.
using PositiveFactors = std::set<Dim::Factor>;

// Records that `dim` is positive: then so is every factor of a single product.
void add_positive(PositiveFactors& positive, const Dim& dim);

// Whether a dimension is seen to be >= 0 when each positive factor is written as 1 + (one >= 0).
bool never_negative(const Dim& dim, const PositiveFactors& positive);

}  // namespace weir::scalar
