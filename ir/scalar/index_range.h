// Bounds of index expressions, from the extents of axes and the divisors of modulo.
#pragma once

#include <unordered_map>

#include "ir/scalar/affine.h"
#include "ir/scalar/dim_division.h"

namespace weir::scalar {

// Remembers what it found, so it is for one expression and the expressions made from it.
class IndexRanges {
 public:
  // Takes the extents and divisors in `expression` to be positive.
  IndexRanges(const Arena& arena, Id expression);

  const PositiveFactors& positive() const { return positive_; }
  bool never_negative(const Dim& dim) const { return scalar::never_negative(dim, positive_); }

  IndexRange range(const Affine& affine);
  IndexRange range(Id index);
  // Whether low <= affine <= high is certain.
  bool lies_within(const Affine& affine, const Dim& low, const Dim& high);

 private:
  IndexRange range_of_atom(Id atom);
  std::optional<Dim> floor_of_quotient(const Dim& high, const Dim& divisor) const;
  // The one of two bounds that is certainly the smaller (sign 1) or larger (-1), if either is.
  std::optional<Dim> extreme(const std::optional<Dim>& a, const std::optional<Dim>& b,
                             int sign) const;

  const Arena& arena_;
  PositiveFactors positive_;
  std::unordered_map<std::uint32_t, IndexRange> found_;
};

}  // namespace weir::scalar
