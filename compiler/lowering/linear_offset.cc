#include "compiler/lowering/linear_offset.h"

#include <algorithm>
#include <map>

namespace weir {
namespace {

using scalar::Affine;
using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// Quotient and remainder of an axis, as a flattened image is read, come together again as the axis.
Affine joined(Arena& arena, const Affine& offset) {
  auto is_part = [&](const auto& term) {
    Primitive primitive = arena[term.first].primitive;
    return primitive == Primitive::floor_div || primitive == Primitive::modulo;
  };
  if (std::count_if(offset.terms.begin(), offset.terms.end(), is_part) < 2) return offset;
  Id whole = scalar::rebuild_index(arena, offset);
  return scalar::decompose(arena, scalar::simplify_index(arena, whole));
}

}  // namespace

Affine linear_offset(Arena& arena, const Shape& shape, std::span<const Id> indices) {
  // What has no elements is never reached; strides of 0 would make its stores look as if they all
  // met in one place.
  Shape positive = shape;
  std::replace(positive.begin(), positive.end(), Dim(0), Dim(1));
  std::vector<Dim> strides = row_major_strides(positive);
  std::map<Id, Dim> terms;
  Affine result;
  for (std::size_t i = 0; i < indices.size(); ++i) {
    Affine part = scalar::decompose(arena, indices[i]);
    for (const auto& [atom, coefficient] : part.terms)
      terms[atom] = terms[atom] + coefficient * strides[i];
    result.constant = result.constant + part.constant * strides[i];
  }
  for (auto& [atom, coefficient] : terms)
    if (coefficient != Dim(0)) result.terms.emplace_back(atom, coefficient);
  return joined(arena, result);
}

bool is_innermost(const Shape& shape, std::size_t inner) {
  return std::all_of(shape.begin() + static_cast<std::ptrdiff_t>(inner) + 1, shape.end(),
                     [](const Dim& dim) { return dim == Dim(1); });
}

}  // namespace weir
