// The table of expansions, and their use on whole expressions: one sweep in topological order.
#include "ir/scalar/expand.h"

#include <array>
#include <string>

#include "ir/diagnostic.h"
#include "ir/scalar/expansions/expansions.h"

namespace weir::scalar {
namespace {

struct Expansion {
  Primitive primitive;
  Expr (*of_one)(Expr);  // null if there are two operands
  Expr (*of_two)(Expr, Expr);
  Expr (*of_three)(Expr, Expr, Expr) = nullptr;
};

constexpr std::array kExpansions{
    Expansion{Primitive::exp, expansions::exp, nullptr},
    Expansion{Primitive::expm1, expansions::expm1, nullptr},
    Expansion{Primitive::log, expansions::log, nullptr},
    Expansion{Primitive::log1p, expansions::log1p, nullptr},
    Expansion{Primitive::tanh, expansions::tanh, nullptr},
    Expansion{Primitive::erf, expansions::erf, nullptr},
    Expansion{Primitive::erfc, expansions::erfc, nullptr},
    Expansion{Primitive::sin, expansions::sin, nullptr},
    Expansion{Primitive::cos, expansions::cos, nullptr},
    Expansion{Primitive::pow, nullptr, expansions::pow},
    Expansion{Primitive::scaled_exp, nullptr, nullptr, expansions::scaled_exp},
    Expansion{Primitive::sigmoid, expansions::sigmoid, nullptr},
    Expansion{Primitive::sigmoid_gate, nullptr, expansions::sigmoid_gate},
    Expansion{Primitive::normal_gate, nullptr, expansions::normal_gate},
    Expansion{Primitive::tanh_gate, nullptr, expansions::tanh_gate},
    Expansion{Primitive::softplus, expansions::softplus, nullptr},
};

}  // namespace

Id expand(Arena& arena, Primitive primitive, std::span<const Id> operands) {
  WEIR_CHECK(static_cast<int>(operands.size()) == info(primitive).arity,
             std::string(info(primitive).name));
  DType type = arena[operands[0]].type;
  WEIR_CHECK(type == DType::f32 || type == DType::f64, std::string(name(type)));
  for (const Expansion& expansion : kExpansions) {
    if (expansion.primitive != primitive) continue;
    Expr first(arena, operands[0]);
    if (expansion.of_one) return expansion.of_one(first).id();
    Expr second(arena, operands[1]);
    if (expansion.of_two) return expansion.of_two(first, second).id();
    return expansion.of_three(first, second, Expr(arena, operands[2])).id();
  }
  WEIR_CHECK(false, "no expansion of " + std::string(info(primitive).name));
  return {};
}

std::vector<Id> expand_all(Arena& arena, std::span<const Id> roots) {
  std::vector<Id> replacement(arena.size());
  std::vector<Id> operands;
  for (Id id : reachable(arena, roots)) {
    operands.clear();
    bool changed = false;
    for (Id operand : arena.operands(id)) {
      operands.push_back(replacement[operand.index]);
      changed = changed || operands.back() != operand;
    }
    Primitive primitive = arena[id].primitive;
    replacement[id.index] = info(primitive).elementary ? expand(arena, primitive, operands)
                            : changed                  ? copy_node(arena, id, arena, operands)
                                                       : id;
  }
  std::vector<Id> results;
  for (Id root : roots) results.push_back(replacement[root.index]);
  return results;
}

}  // namespace weir::scalar
