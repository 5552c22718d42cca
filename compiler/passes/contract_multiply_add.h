// Contraction of products and sums.
#pragma once

#include "ir/graph.h"

namespace weir {

// Makes one fma of a product and the sum or difference that alone reads it, which then rounds once
// instead of twice:
//
//   add(mul(a, b), c)   fma(a, b, c)            sub(mul(a, b), c)   fma(a, b, neg(c))
//   add(c, mul(a, b))   fma(a, b, c)            sub(c, mul(a, b))   fma(neg(a), b, c)
//
// This changes results, by at most what the product's rounding was, so it runs only where it is
// asked for. What is contracted depends on the graph alone, neither on fusion nor on the target:
//   - the product's only use is that operand of the sum. One that is an output, or that anything
//     else reads, stays and keeps its rounding: elsewhere its rounded value is seen;
//   - where both operands are such products it is the first, as compilers of C do within an
//     expression: a * b + c * d becomes fma(a, b, mul(c, d));
//   - elements are floats. Sums within reductions and contractions are none of its business.
// fma is an op like others, so the graph says what is computed, and means the same everywhere.
Graph contract_multiply_add(Graph graph);

}  // namespace weir
