#include "compiler/frontend/onnx/export_expression.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>

#include <fmt/format.h>

#include "ir/diagnostic.h"
#include "ir/scalar/expansions/expansions.h"
#include "ir/scalar/expr.h"

namespace weir {
namespace {

using scalar::Arena;
using scalar::Expr;
using scalar::Id;
using scalar::Primitive;

// --- Primitives that are written in others -----------------------------------

// exp(x) - 1 by tanh(x / 2) = t where the difference would cancel: (1 + t) / (1 - t) - 1.
Expr expm1_form(Expr x) {
  Expr t = tanh(0.5 * x);
  return select(abs(x) < 1.0, 2.0 * t / (1.0 - t), exp(x) - 1.0);
}

// With u = 1 + x rounded, log(u) x / (u - 1): what rounding took from x, it took from both factors.
// Kahan's formula; beyond 1 the quotient is 1, and infinity over infinity would be NaN.
Expr log1p_form(Expr x) {
  Expr u = 1.0 + x;
  Expr ratio = select(x > 1.0, 1.0, x / (u - 1.0));
  return select(u == 1.0, x, log(u) * ratio);
}

// With a = |x| and q = 1 / (a + 2), erfc(a) is 2 q exp(-a^2 + a q s(q)). The square is taken apart
// at h, near a and short enough for h^2 to be exact.
Expr erfc_form(Expr x) {
  bool single = x.type() == DType::f32;
  double scale = single ? 0x1p4 : 0x1p20;
  // From here on the result is 0; a select instead of a minimum keeps NaN.
  double limit = single ? 10.1 : 27.3;
  Expr a = select(abs(x) > limit, limit, abs(x));
  Expr q = 1.0 / (a + 2.0);
  Expr h = round(a * scale) * (1.0 / scale);
  Expr rest = a * q * scalar::expansions::erfc_correction(q) - (a - h) * (a + h);
  Expr value = 2.0 * q * (exp(-(h * h)) * exp(rest));
  return select(x < 0.0, 2.0 - value, value);
}

Expr sigmoid_form(Expr x) {
  Expr e = exp(-abs(x));
  return select(x >= 0.0, 1.0, e) / (1.0 + e);
}

Expr softplus_form(Expr x) { return max(x, 0.0) + log1p_form(exp(-abs(x))); }

Expr normal_form(Expr x) { return 0.5 * erfc_form(-std::sqrt(0.5) * x); }

// 2 sqrt(2/pi) (x + 0.044715 x^3).
Expr tanh_gate_argument(Expr x) {
  const double factor = 2 * std::numbers::sqrt2 * std::numbers::inv_sqrtpi;
  return factor * (x + 0.044715 * (x * x * x));
}

Expr trunc_form(Expr x) { return select(x < 0.0, ceil(x), floor(x)); }

// ONNX leaves division by zero undefined, and where processors trap, runtimes end. The quotient of
// the lowest integer and -1 traps, too.
Expr quotient(Expr a, Expr b) {
  const Arena& arena = a.arena();
  if (arena.is_constant(b.id())) {
    std::int64_t divisor = scalar::to_integer(b.type(), arena.bits(b.id()));
    if (divisor == 0) return a.like(0);
    return divisor == -1 ? -a : a / b;
  }
  Expr negates = b == -1;
  Expr divisor = select((b == 0) | negates, 1, b);
  return select(b == 0, 0, select(negates, -a, a / divisor));
}

// A float outside the integer's range saturates and NaN gives 0; to ONNX both are undefined.
Expr cast_to_integer(Expr x, DType type) {
  x = cast(x, compute_type(x.type()));
  auto bound = [&](double value) {
    return Expr(x.arena(), x.arena().constant(type, scalar::bits_of(type, value)));
  };
  constexpr double infinity = std::numeric_limits<double>::infinity();
  double above = std::ldexp(1.0, bit_width(type) - (is_signed(type) ? 1 : 0));
  Expr is_low = x < (is_signed(type) ? -above : 0.0);
  Expr is_high = x >= above;
  Expr inside = select((x == x) & !(is_low | is_high), x, 0.0);
  return select(is_high, bound(infinity), select(is_low, bound(-infinity), cast(inside, type)));
}

// Where is rarely implemented for bool, f16 and bf16.
Expr select_form(Expr condition, Expr a, Expr b) {
  DType type = a.type();
  if (type == DType::boolean) return (condition & a) | (~condition & b);
  if (!is_half(type)) return {};
  return cast(select(condition, cast(a, DType::f32), cast(b, DType::f32)), type);
}

// On i8 and u8 runtimes compute little; on i32 the results are the same once they are wrapped.
Expr through_i32(const scalar::Node& node, std::span<const Expr> operands) {
  Arena& arena = operands[0].arena();
  std::vector<Id> wide;
  for (Expr operand : operands) {
    bool narrow = is_integer(operand.type()) && bit_width(operand.type()) == 8;
    wide.push_back((narrow ? cast(operand, DType::i32) : operand).id());
  }
  Id result = arena.make(node.primitive, wide);
  return {arena, arena[result].type == DType::i32 ? arena.cast(result, node.type) : result};
}

// A form of one node with new operands, or an invalid expression where it may stay.
using FormOf = Expr (*)(const scalar::Node& node, std::span<const Expr> operands);

Expr elementary_form(const scalar::Node& node, std::span<const Expr> operands) {
  switch (node.primitive) {
    case Primitive::expm1:
      return expm1_form(operands[0]);
    case Primitive::log1p:
      return log1p_form(operands[0]);
    case Primitive::erfc:
      return erfc_form(operands[0]);
    case Primitive::scaled_exp:
      return operands[0] * exp(operands[1] * operands[2]);
    case Primitive::sigmoid:
      return sigmoid_form(operands[0]);
    case Primitive::sigmoid_gate:
      return operands[0] * sigmoid_form(operands[1]);
    case Primitive::normal_gate:
      return operands[0] * normal_form(operands[1]);
    case Primitive::tanh_gate:
      return operands[0] * sigmoid_form(tanh_gate_argument(operands[1]));
    case Primitive::softplus:
      return softplus_form(operands[0]);
    default:
      return {};
  }
}

Expr narrow_form(const scalar::Node& node, std::span<const Expr> operands) {
  bool narrow = std::any_of(operands.begin(), operands.end(), [](Expr operand) {
    return is_integer(operand.type()) && bit_width(operand.type()) == 8;
  });
  bool computes = node.primitive >= Primitive::add && node.primitive <= Primitive::le;
  return narrow && (computes || node.primitive == Primitive::select) ? through_i32(node, operands)
                                                                     : Expr();
}

Expr exact_form(const scalar::Node& node, std::span<const Expr> operands) {
  switch (node.primitive) {
    case Primitive::fma:
      return operands[0] * operands[1] + operands[2];
    case Primitive::div:
      return is_float(node.type) ? Expr() : quotient(operands[0], operands[1]);
    case Primitive::rem:
      return is_float(node.type) ? Expr()
                                 : operands[0] - quotient(operands[0], operands[1]) * operands[1];
    case Primitive::ne:
      return !(operands[0] == operands[1]);
    case Primitive::select:
      return select_form(operands[0], operands[1], operands[2]);
    case Primitive::trunc:
      return trunc_form(operands[0]);
    case Primitive::cast:
      return is_float(operands[0].type()) && is_integer(node.type)
                 ? cast_to_integer(operands[0], node.type)
                 : Expr();
    default:
      return {};
  }
}

Id replace(Arena& arena, Id root, FormOf form_of) {
  std::vector<Id> map(arena.size());
  for (Id id : scalar::reachable(arena, std::array{root})) {
    std::vector<Id> operands;
    std::vector<Expr> expressions;
    for (Id operand : arena.operands(id)) {
      operands.push_back(map[operand.index]);
      expressions.emplace_back(arena, operands.back());
    }
    scalar::Node node = arena[id];
    Expr form = form_of(node, expressions);
    map[id.index] = form.valid() ? form.id() : scalar::copy_node(arena, id, arena, operands);
  }
  return map[root.index];
}

// --- Primitives that are ONNX ops --------------------------------------------

struct PrimitiveOp {
  Primitive primitive;
  std::string_view onnx;
};

constexpr std::array kPrimitiveOps{
    PrimitiveOp{Primitive::add, "Add"},      PrimitiveOp{Primitive::sub, "Sub"},
    PrimitiveOp{Primitive::mul, "Mul"},      PrimitiveOp{Primitive::div, "Div"},
    PrimitiveOp{Primitive::rem, "Mod"},      PrimitiveOp{Primitive::neg, "Neg"},
    PrimitiveOp{Primitive::abs, "Abs"},      PrimitiveOp{Primitive::min, "Min"},
    PrimitiveOp{Primitive::max, "Max"},      PrimitiveOp{Primitive::eq, "Equal"},
    PrimitiveOp{Primitive::lt, "Less"},      PrimitiveOp{Primitive::le, "LessOrEqual"},
    PrimitiveOp{Primitive::bit_and, "And"},  PrimitiveOp{Primitive::bit_or, "Or"},
    PrimitiveOp{Primitive::bit_xor, "Xor"},  PrimitiveOp{Primitive::bit_not, "Not"},
    PrimitiveOp{Primitive::select, "Where"}, PrimitiveOp{Primitive::cast, "Cast"},
    PrimitiveOp{Primitive::sqrt, "Sqrt"},    PrimitiveOp{Primitive::floor, "Floor"},
    PrimitiveOp{Primitive::ceil, "Ceil"},    PrimitiveOp{Primitive::round, "Round"},
    PrimitiveOp{Primitive::exp, "Exp"},      PrimitiveOp{Primitive::log, "Log"},
    PrimitiveOp{Primitive::tanh, "Tanh"},    PrimitiveOp{Primitive::erf, "Erf"},
    PrimitiveOp{Primitive::sin, "Sin"},      PrimitiveOp{Primitive::cos, "Cos"},
    PrimitiveOp{Primitive::pow, "Pow"},
};

std::string_view onnx_op(const scalar::Node& node) {
  bool logical = node.primitive >= Primitive::bit_and && node.primitive <= Primitive::bit_not;
  for (const PrimitiveOp& row : kPrimitiveOps)
    if (row.primitive == node.primitive && (!logical || node.type == DType::boolean))
      return row.onnx;
  throw Error(fmt::format("it computes {} on {}, which no op of ONNX opset {} does",
                          scalar::info(node.primitive).name, name(node.type), kOnnxOpset));
}

Attributes attributes_of(const scalar::Node& node) {
  if (node.primitive == Primitive::cast) return {{"to", node.type}};
  if (node.primitive == Primitive::rem) return {{"fmod", true}};
  return {};
}

}  // namespace

Id in_onnx_primitives(Arena& arena, Id root) {
  // One after the other, since forms of one kind contain what those of the next replace.
  for (FormOf form_of : {elementary_form, narrow_form, exact_form})
    root = replace(arena, root, form_of);
  return root;
}

OnnxValue write_expression(OnnxNodes& nodes, Arena& arena, Id root,
                           std::span<const OnnxValue> arguments) {
  root = in_onnx_primitives(arena, root);
  std::vector<OnnxValue> values(arena.size());
  for (Id id : scalar::reachable(arena, std::array{root})) {
    const scalar::Node& node = arena[id];
    OnnxValue& value = values[id.index];
    if (node.primitive == Primitive::argument) {
      value = arguments[node.payload];
    } else if (node.primitive == Primitive::constant) {
      Tensor constant(node.type, {});
      constant.set_bits(0, arena.bits(id));
      value = nodes.constant(constant);
    } else {
      std::vector<OnnxValue> inputs;
      for (Id operand : arena.operands(id)) inputs.push_back(values[operand.index]);
      value = nodes.add(onnx_op(node), std::move(inputs), attributes_of(node));
    }
  }
  return values[root.index];
}

}  // namespace weir
