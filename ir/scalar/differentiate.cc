// Forward mode: the tangent of every node that the root needs, operands before users.
//
// A tangent that is zero everywhere is not represented, so constants and everything discrete cost
// nothing. A rule computes the local derivative first and multiplies the operand's tangent in last;
// with a tangent of one, what is left is the derivative itself.
#include "ir/scalar/differentiate.h"

#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <unordered_map>

#include "ir/diagnostic.h"
#include "ir/scalar/expr.h"

namespace weir::scalar {
namespace {

// One node, while its tangent is computed. An Expr that is not valid stands for zero.
struct Step {
  Expr y;                        // the node
  std::array<Expr, 3> operands;  // a, b, c
  std::array<Expr, 3> tangents;  // ta, tb, tc
};

bool is_one(Expr x) {
  return x.arena().is_constant(x.id()) &&
         x.arena().bits(x.id()) == bits_of(x.type(), static_cast<std::int64_t>(1));
}

bool is_zero(Expr x) {
  return x.arena().is_constant(x.id()) && to_double(x.type(), x.arena().bits(x.id())) == 0;
}

// factor * tangent.
Expr times(Expr factor, Expr tangent) {
  if (!tangent.valid()) return {};
  if (is_one(tangent)) return factor;
  return factor * tangent;
}

Expr plus(Expr a, Expr b) {
  if (!a.valid()) return b;
  if (!b.valid()) return a;
  return a + b;
}

Expr minus(Expr a, Expr b) {
  if (!b.valid()) return a;
  if (!a.valid()) return -b;
  return a - b;
}

Expr or_zero(Expr tangent, Expr like) { return tangent.valid() ? tangent : like.like(0.0); }

// Where the operands tie, or one of them is NaN, half of each tangent.
Expr extremum(const Step& s, Expr first_wins, Expr second_wins) {
  auto [ta, tb, tc] = s.tangents;
  Expr half = s.y.like(0.5);
  Expr tie = plus(times(half, ta), times(half, tb));
  return select(first_wins, or_zero(ta, s.y), select(second_wins, or_zero(tb, s.y), tie));
}

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Whether a factor of x costs a few units in the last place at most, where it multiplies a denormal
// number.
bool is_small_constant(Expr x) {
  constexpr double kFew = 4;
  return x.arena().is_constant(x.id()) &&
         std::abs(to_double(x.type(), x.arena().bits(x.id()))) <= kFew;
}

// What b - 1 loses by rounding, exactly (Knuth's sum of two).
Expr lost_of_decrement(Expr b) {
  Expr difference = b - 1.0;
  Expr b_of_it = difference + 1.0;
  return (b - b_of_it) + ((b_of_it - difference) - 1.0);
}

// factor * h * k without a denormal number on the way, unless the result is one; h and k are about
// the same.
Expr times_pair(Expr factor, Expr h, Expr k) {
  bool is_f64 = factor.type() == DType::f64;
  if (!is_f64 && factor.type() != DType::f32) return factor * h * k;
  int half_scale = is_f64 ? 450 : 50;
  Expr is_tiny = abs(factor) < std::ldexp(1.0, is_f64 ? -500 : -60);
  factor = factor * select(is_tiny, factor.like(std::ldexp(1.0, 2 * half_scale)), 1.0);
  Expr scale = select(is_tiny, factor.like(std::ldexp(1.0, -half_scale)), 1.0);
  Expr first = h * scale, second = k * scale;
  return factor * first * second;
}

// b |a|^(b - 1), as b h^2 with h = |a|^((b - 1) / 2), which is in range wherever the result is.
// What b - 1 loses is as an exponent close enough to 0 for the first term of its series. One h gets
// it, for the product without it may be out of range.
Expr power_slope_magnitude(Expr a, Expr b) {
  Expr h = pow(abs(a), (b - 1.0) * 0.5);
  Expr lost = lost_of_decrement(b);
  Expr corrected = fma(h, lost * log(abs(a)), h);
  Expr is_inside = (h != 0.0) & (h < kInfinity);
  return times_pair(b, h, select((abs(lost) > 0.0) & is_inside, corrected, h));
}

// b a^(b - 1), which is 0 where b is.
Expr power_slope_in_base(Expr y, Expr a, Expr b) {
  if (is_small_constant(b)) {
    Expr exponent = b - 1.0;
    Expr power = is_one(exponent) ? a : pow(a, exponent);
    return select(b == 0.0, 0.0, b * power);
  }
  Expr magnitude = power_slope_magnitude(a, b);
  Expr is_even = (floor(b * 0.5) == b * 0.5) & (abs(b) < kInfinity);
  Expr is_negative = (a < 0.0) | (1.0 / a < 0.0);
  Expr slope = select(is_negative & is_even, -magnitude, magnitude);
  // Where a negative number has no such power, y is NaN; -infinity has every one.
  slope = select((a < 0.0) & (y != y), y, slope);
  return select(b == 0.0, 0.0, slope);
}

// a^b log a, as h^2 log a with h = a^(b / 2): where a^b is a denormal number, or infinite, the
// product need not be.
Expr power_slope_in_exponent(Expr a, Expr b) {
  Expr half_way = pow(a, b * 0.5);
  Expr slope = half_way * log(a) * half_way;
  return select(a == 0.0, select(b >= 0.0, 0.0, slope), slope);
}

Expr power_tangent(const Step& s) {
  auto [a, b, c] = s.operands;
  auto [ta, tb, tc] = s.tangents;
  Expr result;
  if (ta.valid()) {
    Expr slope = power_slope_in_base(s.y, a, b);
    if (!is_zero(slope)) result = times(slope, ta);
  }
  if (tb.valid()) result = plus(result, times(power_slope_in_exponent(a, b), tb));
  return result;
}

// Of normal_gate, and of the argument that tanh_gate takes the sigmoid of.
constexpr double kNormalDensity = std::numbers::inv_sqrtpi / std::numbers::sqrt2;
constexpr double kTanhGate = 2 * std::numbers::sqrt2 * std::numbers::inv_sqrtpi;
constexpr double kTanhGateCubic = 0.044715 * kTanhGate;

// At least one operand has a tangent.
Expr tangent_of(Primitive primitive, const Step& s) {
  auto [a, b, c] = s.operands;
  auto [ta, tb, tc] = s.tangents;
  Expr y = s.y;
  constexpr double erf_slope = 2 * std::numbers::inv_sqrtpi;
  switch (primitive) {
    case Primitive::add:
      return plus(ta, tb);
    case Primitive::sub:
      return minus(ta, tb);
    case Primitive::mul:
      return plus(times(b, ta), times(a, tb));
    case Primitive::div:
      return minus(ta, times(y, tb)) / b;
    case Primitive::rem:
      return tb.valid() ? minus(ta, times(trunc(a / b), tb)) : ta;
    case Primitive::fma:
      return plus(plus(times(b, ta), times(a, tb)), tc);
    case Primitive::neg:
      return -ta;
    case Primitive::abs:
      return select(a > 0.0, ta, select(a < 0.0, -ta, 0.0));
    case Primitive::min:
      return extremum(s, a < b, b < a);
    case Primitive::max:
      return extremum(s, a > b, b > a);
    case Primitive::select:
      return select(a, or_zero(tb, y), or_zero(tc, y));
    case Primitive::cast:
      return cast(ta, y.type());
    case Primitive::sqrt:
      return ta / (2.0 * y);
    case Primitive::exp:
      return times(y, ta);
    case Primitive::expm1:
      return times(exp(a), ta);
    case Primitive::log:
      return ta / a;
    case Primitive::log1p:
      return ta / (1.0 + a);
    case Primitive::tanh:
      return times(1.0 - y * y, ta);
    case Primitive::erf:
      return times(scaled_exp(erf_slope, a, -a), ta);
    case Primitive::erfc:
      return times(scaled_exp(-erf_slope, a, -a), ta);
    case Primitive::sin:
      return times(cos(a), ta);
    case Primitive::cos:
      return times(-sin(a), ta);
    case Primitive::pow:
      return power_tangent(s);
    case Primitive::scaled_exp:
      return plus(times(scaled_exp(1.0, b, c), ta), times(y, plus(times(c, tb), times(b, tc))));
    case Primitive::sigmoid:
      return times(sigmoid(a) * sigmoid(-a), ta);
    case Primitive::sigmoid_gate:
      return plus(times(sigmoid(b), ta), times(y * sigmoid(-b), tb));
    case Primitive::normal_gate:
      return plus(times(normal_gate(1.0, b), ta),
                  times(scaled_exp(a * kNormalDensity, b, -0.5 * b), tb));
    case Primitive::tanh_gate:
      return plus(times(tanh_gate(1.0, b), ta),
                  times(y * tanh_gate(1.0, -b) * (kTanhGate + (3 * kTanhGateCubic) * (b * b)), tb));
    case Primitive::softplus:
      return times(sigmoid(a), ta);
    default:
      return {};  // piecewise constant
  }
}

}  // namespace

Id differentiate(Arena& arena, Id root, std::span<const Id> tangents) {
  std::unordered_map<std::uint32_t, Expr> found;  // by node
  for (Id id : reachable(arena, std::array{root})) {
    // The arena grows meanwhile, so nothing of it is kept by reference.
    const Node node = arena[id];
    if (!is_float(node.type)) continue;
    if (node.primitive == Primitive::argument) {
      WEIR_CHECK(node.payload < tangents.size(), "argument " + std::to_string(node.payload));
      Id tangent = tangents[node.payload];
      if (!tangent.valid()) continue;
      WEIR_CHECK(arena[tangent].type == node.type, "argument " + std::to_string(node.payload));
      found.emplace(id.index, Expr(arena, tangent));
      continue;
    }
    if (info(node.primitive).arity <= 0) continue;
    Step step{Expr(arena, id), {}, {}};
    bool moves = false;
    for (std::uint32_t i = 0; i < node.operand_count; ++i) {
      Id operand = arena.operand(id, i);
      step.operands[i] = Expr(arena, operand);
      if (auto it = found.find(operand.index); it != found.end()) {
        step.tangents[i] = it->second;
        moves = true;
      }
    }
    if (!moves) continue;
    if (Expr tangent = tangent_of(node.primitive, step); tangent.valid())
      found.emplace(id.index, tangent);
  }
  auto it = found.find(root.index);
  return it == found.end() ? Id{} : it->second.id();
}

}  // namespace weir::scalar
