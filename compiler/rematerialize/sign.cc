#include "compiler/rematerialize/sign.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "ir/op.h"
#include "ir/scalar/evaluate.h"

namespace weir {
namespace {

using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

bool is_zero(const Arena& arena, Id id) {
  return arena.is_constant(id) && scalar::to_double(arena[id].type, arena.bits(id)) == 0;
}

// Whether the comparison is x > 0 or x <= 0.
bool asks_sign(const Arena& arena, Id id, Id x) {
  if (arena[id].primitive == Primitive::lt)
    return is_zero(arena, arena.operand(id, 0)) && arena.operand(id, 1) == x;
  return arena[id].primitive == Primitive::le && arena.operand(id, 0) == x &&
         is_zero(arena, arena.operand(id, 1));
}

// x, or a product of x and a finite constant from `least` on.
bool is_multiple(const Arena& arena, Id id, Id x, double least) {
  if (id == x) return true;
  if (arena[id].primitive != Primitive::mul) return false;
  Id a = arena.operand(id, 0), b = arena.operand(id, 1);
  if (a == x) std::swap(a, b);
  if (b != x || !arena.is_constant(a)) return false;
  double factor = scalar::to_double(arena[a].type, arena.bits(a));
  return factor >= least && std::isfinite(factor);
}

// Whether x > 0 makes the expression so: a factor below 1 would make 0 of the least of all x.
bool stays_above_zero(const Arena& arena, Id id, Id x) { return is_multiple(arena, id, x, 1); }

// Whether x <= 0 makes the expression so, and NaN makes it NaN.
bool stays_below_zero(const Arena& arena, Id id, Id x) {
  return is_multiple(arena, id, x, std::numeric_limits<double>::denorm_min());
}

// A node's result as an expression of one of its operands.
struct Expression {
  Arena arena;
  Id root, x;

  Expression(const Graph& graph, const Node& node, std::size_t operand) {
    std::vector<TensorType> types = types_of(graph, node.operands);
    root = pointwise_expression(arena, {node.op, types, node.attributes}).id();
    x = arena.argument(static_cast<std::uint32_t>(operand), types[operand].dtype);
  }

  // What the operand is asked for, if that is nothing but x > 0 and x <= 0.
  SignQuestions sign_questions() const {
    SignQuestions questions;
    for (Id id : scalar::reachable(arena, std::span(&root, 1))) {
      for (Id operand : arena.operands(id)) {
        if (operand != x) continue;
        if (!asks_sign(arena, id, x)) return {};
        (arena[id].primitive == Primitive::lt ? questions.above : questions.not_above) = true;
      }
    }
    return questions;
  }

  bool has_elementary() const {
    return std::ranges::any_of(scalar::reachable(arena, std::span(&root, 1)),
                               [&](Id id) { return scalar::info(arena[id].primitive).elementary; });
  }

  // Whether the result is the same for each answer, NaN's too, where the other operand is +0.
  bool ignores_sign_at_zero() const {
    scalar::Evaluator evaluator(arena, {root}, {});
    const DType type = arena[x].type;
    std::vector<scalar::Bits> results;
    for (double sign : {1.0, -1.0, std::numeric_limits<double>::quiet_NaN()}) {
      std::vector<scalar::Bits> arguments(2);
      arguments[arena[x].payload] = scalar::bits_of(type, sign);
      scalar::Environment environment;
      environment.arguments = arguments;
      results.push_back(evaluator.run(environment)[0]);
    }
    return results[0] == results[1] && results[1] == results[2];
  }

  // Whether the result answers both questions as the operand does.
  bool keeps_sign() const {
    if (stays_above_zero(arena, root, x)) return true;
    if (arena[root].primitive != Primitive::select) return false;
    std::span<const Id> parts = arena.operands(root);
    if (!asks_sign(arena, parts[0], x)) return false;
    // A NaN gets what x <= 0 gets if the question is x > 0, and the other way round.
    bool asks_above = arena[parts[0]].primitive == Primitive::lt;
    Id above = asks_above ? parts[1] : parts[2], below = asks_above ? parts[2] : parts[1];
    if (!stays_above_zero(arena, above, x)) return false;
    return stays_below_zero(arena, below, x) || (!asks_above && is_zero(arena, below));
  }
};

bool is_plain_float(DType type) { return is_float(type) && compute_type(type) == type; }

}  // namespace

SignQuestions sign_questions(const Graph& graph, const Node& node, std::size_t operand) {
  if (!node.op->pointwise || !is_plain_float(graph.type(node.operands[operand]).dtype)) return {};
  return Expression(graph, node, operand).sign_questions();
}

bool reads_sign_alone(const Graph& graph, const Node& node, std::size_t operand) {
  const SignQuestions questions = sign_questions(graph, node, operand);
  return questions.above || questions.not_above;
}

bool ignores_sign_at_zero(const Graph& graph, const Node& node, std::size_t operand,
                          std::size_t zero) {
  if (node.operands.size() != 2 || operand == zero || !reads_sign_alone(graph, node, operand) ||
      !is_plain_float(graph.type(node.operands[zero]).dtype))
    return false;
  const Expression expression(graph, node, operand);
  return !expression.has_elementary() && expression.ignores_sign_at_zero();
}

bool keeps_sign(const Graph& graph, const Node& node) {
  if (!node.op->pointwise || node.operands.size() != 1) return false;
  const TensorType& type = graph.type(node.operands[0]);
  return is_plain_float(type.dtype) && type == graph.type(node.results[0]) &&
         Expression(graph, node, 0).keeps_sign();
}

}  // namespace weir
