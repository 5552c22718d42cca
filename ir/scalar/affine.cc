#include "ir/scalar/affine.h"

#include <algorithm>
#include <unordered_map>

#include "ir/diagnostic.h"
#include "ir/scalar/subexpressions.h"

namespace weir::scalar {
namespace {

bool is_sum_or_product(Primitive primitive) {
  return primitive == Primitive::add || primitive == Primitive::sub ||
         primitive == Primitive::mul || primitive == Primitive::neg;
}

Affine affine_leaf(const Arena& arena, Id id) {
  const Node& node = arena[id];
  if (node.primitive == Primitive::constant) return {{}, as_i64(arena.bits(id))};
  if (node.primitive == Primitive::size) return {{}, arena.dim(node.payload)};
  return {{{id, 1}}, 0};
}

// Whether a coefficient reads better subtracted.
bool is_negative(const Dim& coefficient) {
  std::vector<Dim::Term> terms = coefficient.terms();
  return !terms.empty() && std::all_of(terms.begin(), terms.end(), [](const Dim::Term& term) {
    return term.coefficient < 0 && term.coefficient != INT64_MIN;
  });
}

}  // namespace

Affine operator+(const Affine& a, const Affine& b) {
  Affine sum{{}, a.constant + b.constant};
  auto left = a.terms.begin();
  auto right = b.terms.begin();
  while (left != a.terms.end() || right != b.terms.end()) {
    if (right == b.terms.end() || (left != a.terms.end() && left->first < right->first)) {
      sum.terms.push_back(*left++);
    } else if (left == a.terms.end() || right->first < left->first) {
      sum.terms.push_back(*right++);
    } else {
      Dim coefficient = left->second + right->second;
      if (coefficient != Dim(0)) sum.terms.emplace_back(left->first, std::move(coefficient));
      ++left;
      ++right;
    }
  }
  return sum;
}

Affine operator-(const Affine& a, const Affine& b) { return a + b * Dim(-1); }

Affine operator*(const Affine& a, const Dim& factor) {
  if (factor == Dim(1)) return a;
  Affine product{{}, a.constant * factor};
  if (factor == Dim(0)) return product;
  for (const auto& [atom, coefficient] : a.terms)
    product.terms.emplace_back(atom, coefficient * factor);
  return product;
}

Affine decompose(const Arena& arena, Id index) {
  WEIR_CHECK(arena[index].type == DType::i64);
  if (!is_sum_or_product(arena[index].primitive)) return affine_leaf(arena, index);
  std::unordered_map<std::uint32_t, Affine> forms;
  auto enter = [&](Id id) { return is_sum_or_product(arena[id].primitive); };
  for (Id id : subexpressions(arena, index, enter)) {
    auto operand = [&](std::size_t i) -> const Affine& {
      return forms.at(arena.operand(id, i).index);
    };
    Affine form = affine_leaf(arena, id);
    switch (arena[id].primitive) {
      case Primitive::add:
        form = operand(0) + operand(1);
        break;
      case Primitive::sub:
        form = operand(0) - operand(1);
        break;
      case Primitive::neg:
        form = operand(0) * Dim(-1);
        break;
      case Primitive::mul:
        if (operand(1).is_constant()) {
          form = operand(0) * operand(1).constant;
        } else if (operand(0).is_constant()) {
          form = operand(1) * operand(0).constant;
        }
        break;
      default:
        break;
    }
    forms.emplace(id.index, std::move(form));
  }
  return std::move(forms.at(index.index));
}

// Added terms first, then the constant if it is added, then what is subtracted.
Id rebuild_index(Arena& arena, const Affine& affine) {
  Id sum;
  auto add = [&](Id value) {
    sum = sum.valid() ? arena.make(Primitive::add, {sum, value}) : value;
  };
  auto scaled = [&](Id atom, const Dim& factor) {
    return factor == Dim(1) ? atom : arena.make(Primitive::mul, {atom, arena.size_of(factor)});
  };
  for (const auto& [atom, coefficient] : affine.terms)
    if (!is_negative(coefficient)) add(scaled(atom, coefficient));
  if (affine.constant != Dim(0) && !is_negative(affine.constant))
    add(arena.size_of(affine.constant));
  for (const auto& [atom, coefficient] : affine.terms) {
    if (!is_negative(coefficient)) continue;
    if (sum.valid()) {
      sum = arena.make(Primitive::sub, {sum, scaled(atom, coefficient * Dim(-1))});
    } else {
      sum = scaled(atom, coefficient);
    }
  }
  if (!is_negative(affine.constant)) return sum.valid() ? sum : arena.index(0);
  if (!sum.valid()) return arena.size_of(affine.constant);
  return arena.make(Primitive::sub, {sum, arena.size_of(affine.constant * Dim(-1))});
}

}  // namespace weir::scalar
