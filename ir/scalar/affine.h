// Index arithmetic: affine forms, and the simplification of indices.
//
// An index is an i64 expression: sums, products, floor_div and modulo over axes, sizes and whatever
// else (loaded values, clamps). Index arithmetic never overflows: an index lies within a tensor
// whose size fits in 64 bits. A divisor is positive wherever it is evaluated, and so is the extent
// of an axis; a symbol stands for an integer >= 0.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "ir/dim.h"
#include "ir/scalar/arena.h"

namespace weir::scalar {

// constant + the sum of coefficient * atom: an integer polynomial over the symbols, linear in
// atoms. An atom is any i64 node that is not itself a sum, or a product with a dimension.
struct Affine {
  std::vector<std::pair<Id, Dim>> terms;  // ascending by atom, no coefficient 0
  Dim constant;

  bool is_constant() const { return terms.empty(); }
  friend bool operator==(const Affine&, const Affine&) = default;
};

// These throw Error when a coefficient leaves 64 bits.
Affine operator+(const Affine& a, const Affine& b);
Affine operator-(const Affine& a, const Affine& b);
Affine operator*(const Affine& a, const Dim& factor);

// An i64 expression as it stands, looking through add, sub, neg and products with dimensions.
Affine decompose(const Arena& arena, Id index);
// The expression of an affine form; equal forms give equal ids.
Id rebuild_index(Arena& arena, const Affine& affine);

// The canonical form of an index, and of the indices inside any other expression: floor_div and
// modulo are taken apart, dropped or recombined as the ranges of axes allow, and comparisons
// decided that have one outcome. Reading through a reshape and back gives the index itself. An
// expression whose coefficients would leave 64 bits comes back as it was.
Id simplify_index(Arena& arena, Id expression);

// Inclusive bounds, where known.
struct IndexRange {
  std::optional<Dim> low;
  std::optional<Dim> high;
};
IndexRange range_of(const Arena& arena, Id index);

// Whether 0 <= index, or index < bound, is certain wherever the index is evaluated.
bool provably_nonnegative(const Arena& arena, Id index);
bool provably_less(const Arena& arena, Id index, const Dim& bound);

}  // namespace weir::scalar
