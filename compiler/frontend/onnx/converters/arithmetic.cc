// Arithmetic: ops of several operands, powers and remainders, tests for NaN and infinity,
// hyperbolic functions, and how operands of old opsets broadcast.
#include <cmath>
#include <limits>
#include <numbers>

#include <fmt/format.h>

#include "compiler/frontend/onnx/converters.h"
#include "compiler/frontend/onnx/element_type.h"
#include "ir/op.h"
#include "ir/registry.h"

namespace weir::onnx_format {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// --- Before opset 7 ----------------------------------------------------------

// The second operand, in a shape that broadcasts as the node says: with `broadcast` its axes are
// those of the first one from `axis` on, or the last ones.
Var legacy_operand(Node& node, std::size_t i) {
  Var b = node.input(i);
  const Shape& shape = node.shape(0);
  bool spreads = node.flag("broadcast", false);
  if (!spreads) {
    node.ignore("axis");
    if (b.shape() != shape)
      throw Error(
          fmt::format("its operands are {} and {}; without broadcast = 1 they must have one "
                      "shape",
                      to_string(node.type(0)), to_string(b.type())));
    return b;
  }
  auto rank = static_cast<std::int64_t>(shape.size());
  auto own = static_cast<std::int64_t>(b.shape().size());
  std::int64_t axis = node.integer("axis", rank - own);
  if (axis < 0) axis += rank;
  if (axis < 0 || axis + own > rank)
    throw Error(fmt::format("{} does not fit into {} from axis {} on", to_string(b.type()),
                            to_string(node.type(0)), axis));
  Shape spread = b.shape();
  spread.resize(static_cast<std::size_t>(rank - axis), Dim(1));
  return node.reshaped(b, std::move(spread));
}

template <const char* op>
void convert_legacy(Node& node) {
  node.check_inputs(2, 2);
  node.set(0, node.apply(op, {node.input(0), legacy_operand(node, 1)}));
}

constexpr char kAdd[] = "add", kSub[] = "sub", kMul[] = "mul", kDiv[] = "div", kPow[] = "pow",
               kAnd[] = "logical_and", kOr[] = "logical_or", kXor[] = "logical_xor",
               kEqual[] = "equal", kLess[] = "less", kGreater[] = "greater";

// --- Several operands --------------------------------------------------------

Var folded(Node& node, std::string_view op) {
  node.check_inputs(1, std::string::npos);
  Var result = node.input(0);
  for (std::size_t i = 1; i < node.input_count(); ++i)
    result = node.apply(op, {result, node.input(i)});
  return result;
}

template <const char* op>
void convert_variadic(Node& node) {
  if (node.input_count() == 1) return node.pass(0, 0);
  node.set(0, folded(node, op));
}

constexpr char kMinimum[] = "minimum", kMaximum[] = "maximum";

void convert_mean(Node& node) {
  node.check_inputs(1, std::string::npos);
  Var sum = node.wide_input(0);
  for (std::size_t i = 1; i < node.input_count(); ++i) sum = sum + node.wide_input(i);
  Var mean = node.apply("div", {sum, node.like(sum, static_cast<double>(node.input_count()))});
  node.set(0, node.cast(mean, node.dtype(0)));
}

// --- Powers and remainders ---------------------------------------------------

// Integers go through f64, which holds what fits in 53 bits.
void convert_pow(Node& node) {
  node.check_inputs(2, 2);
  Var base = node.input(0), exponent = node.input(1);
  DType type = base.dtype();
  DType inner = is_float(type) ? type : DType::f64;
  Var power = node.apply("pow", {node.cast(base, inner), node.cast(exponent, inner)});
  if (!is_float(type)) power = node.apply("round", {power});
  node.set(0, node.cast(power, type));
}

void convert_mod(Node& node) {
  node.check_inputs(2, 2);
  bool as_in_c = node.flag("fmod", false);
  if (!as_in_c && is_float(node.dtype(0)))
    throw Error("its operands are floats, for which fmod must be 1");
  node.set(0, node.apply(as_in_c ? "fmod" : "remainder", {node.input(0), node.input(1)}));
}

// --- Limits ------------------------------------------------------------------

// A number for the limit `i`, if it is one that is known.
std::optional<double> known_limit(Node& node, std::size_t i, double none) {
  if (!node.has_input(i)) return none;
  if (element_count(node.shape(i)) != Dim(1))
    throw Error(fmt::format("a limit is {}; it must be one number", to_string(node.type(i))));
  if (node.tensor(i) == nullptr) return std::nullopt;
  return node.number(i, "limit");
}

void convert_clip(Node& node) {
  node.check_inputs(1, 3);
  Var x = node.input(0);
  std::optional<double> low = known_limit(node, 1, -kInfinity),
                        high = known_limit(node, 2, kInfinity);
  if (is_float(x.dtype()) && low && high && *low <= *high) {
    node.set(0, node.apply("clip", {x}, {{"min", *low}, {"max", *high}}));
    return;
  }
  // Computed limits, limits of integers, or a lower one above the upper one, which then wins.
  auto limit = [&](std::size_t i) { return node.reshaped(node.input(i), {}); };
  if (node.has_input(1)) x = node.apply("maximum", {x, limit(1)});
  if (node.has_input(2)) x = node.apply("minimum", {x, limit(2)});
  node.set(0, x);
}

void convert_clip_of_attributes(Node& node) {
  node.check_inputs(1, 1);
  double low = node.real("min", -kInfinity), high = node.real("max", kInfinity);
  Var x = node.input(0);
  if (low <= high) {
    node.set(0, node.apply("clip", {x}, {{"min", low}, {"max", high}}));
  } else {
    Var raised = node.apply("maximum", {x, node.like(x, low)});
    node.set(0, node.apply("minimum", {raised, node.like(x, high)}));
  }
}

// --- NaN and infinity --------------------------------------------------------

void convert_is_nan(Node& node) {
  node.check_inputs(1, 1);
  Var x = node.input(0);
  node.set(0, node.apply("not_equal", {x, x}));
}

void convert_is_inf(Node& node) {
  node.check_inputs(1, 1);
  Var x = node.input(0);
  bool below = node.flag("detect_negative", true), above = node.flag("detect_positive", true);
  Var tested = below && above ? node.apply("abs", {x}) : x;
  double limit = below && !above ? -kInfinity : kInfinity;
  Var found = node.apply("equal", {tested, node.like(x, limit)});
  if (!below && !above) {
    Var never = node.apply("not_equal", {found, found});
    found = never;
  }
  node.set(0, found);
}

// --- Functions ---------------------------------------------------------------

// Functions of several steps compute in f32 where x is f16 or bf16, in which a step may overflow.

// An odd function of x by its value for |x|.
Var with_sign(Node& node, Var x, Var value) {
  return node.apply("select", {x < 0.0, -value, node.apply("select", {x > 0.0, value, x})});
}

// With e = exp(|x|) - 1, sinh |x| is (e + e / (e + 1)) / 2: accurate near 0. Above, where e is
// large, the quotient is 1, and half of e is taken first so that nothing overflows early.
void convert_sinh(Node& node) {
  node.check_inputs(1, 1);
  Var x = node.wide_input(0);
  Var magnitude = node.apply("abs", {x});
  Var e = node.apply("expm1", {magnitude});
  Var near = (e + e / (e + 1.0)) * 0.5;
  Var half = node.apply("exp", {magnitude * 0.5});
  Var far = (half * 0.5) * half;
  Var value = node.apply("select", {magnitude < 20.0, near, far});
  node.set(0, node.cast(with_sign(node, x, value), node.dtype(0)));
}

void convert_cosh(Node& node) {
  node.check_inputs(1, 1);
  Var magnitude = node.apply("abs", {node.wide_input(0)});
  Var half = node.apply("exp", {magnitude * 0.5});
  Var near = (node.apply("exp", {magnitude}) + node.apply("exp", {-magnitude})) * 0.5;
  Var value = node.apply("select", {magnitude < 20.0, near, (half * 0.5) * half});
  node.set(0, node.cast(value, node.dtype(0)));
}

void convert_tan(Node& node) {
  node.check_inputs(1, 1);
  Var x = node.wide_input(0);
  Var value = node.apply("div", {node.apply("sin", {x}), node.apply("cos", {x})});
  node.set(0, node.cast(value, node.dtype(0)));
}

// log1p(m + m^2 / (1 + sqrt(1 + m^2))) with m = |x|; for large m, whose square overflows, log(2 m).
void convert_asinh(Node& node) {
  node.check_inputs(1, 1);
  Var x = node.wide_input(0);
  Var m = node.apply("abs", {x});
  Var bounded = node.apply("minimum", {m, node.like(x, 1e8)});
  Var square = bounded * bounded;
  Var root = node.apply("sqrt", {square + 1.0});
  Var near = node.apply("log1p", {bounded + square / (root + 1.0)});
  Var far = node.apply("log", {m}) + std::numbers::ln2;
  Var value = node.apply("select", {m < 1e8, near, far});
  node.set(0, node.cast(with_sign(node, x, value), node.dtype(0)));
}

// log1p(t + sqrt(2 t + t^2)) with t = x - 1; for large x log(2 x).
void convert_acosh(Node& node) {
  node.check_inputs(1, 1);
  Var x = node.wide_input(0);
  Var t = node.apply("minimum", {x, node.like(x, 1e8)}) - 1.0;
  Var near = node.apply("log1p", {t + node.apply("sqrt", {t * 2.0 + t * t})});
  Var far = node.apply("log", {x}) + std::numbers::ln2;
  node.set(0, node.cast(node.apply("select", {x < 1e8, near, far}), node.dtype(0)));
}

// log1p(2 m / (1 - m)) / 2 with m = |x|: towards -1 the argument of x itself loses all digits.
void convert_atanh(Node& node) {
  node.check_inputs(1, 1);
  Var x = node.wide_input(0);
  Var m = node.apply("abs", {x});
  Var value = node.apply("log1p", {(m * 2.0) / (1.0 - m)}) * 0.5;
  node.set(0, node.cast(with_sign(node, x, value), node.dtype(0)));
}

}  // namespace

void add_arithmetic_converters(ConverterTable& table) {
  table.add_until("Add", 6, convert_legacy<kAdd>);
  table.add_until("Sub", 6, convert_legacy<kSub>);
  table.add_until("Mul", 6, convert_legacy<kMul>);
  table.add_until("Div", 6, convert_legacy<kDiv>);
  table.add_until("Pow", 6, convert_legacy<kPow>);
  table.add_until("And", 6, convert_legacy<kAnd>);
  table.add_until("Or", 6, convert_legacy<kOr>);
  table.add_until("Xor", 6, convert_legacy<kXor>);
  table.add_until("Equal", 6, convert_legacy<kEqual>);
  table.add_until("Less", 6, convert_legacy<kLess>);
  table.add_until("Greater", 6, convert_legacy<kGreater>);
  table.add("Sum", 6, convert_variadic<kAdd>);
  table.add("Min", 6, convert_variadic<kMinimum>);
  table.add("Max", 6, convert_variadic<kMaximum>);
  table.add("Mean", 6, convert_mean);
  table.add("Pow", 7, convert_pow);
  table.add("Mod", 10, convert_mod);
  table.add_until("Clip", 10, convert_clip_of_attributes);
  table.add("Clip", 11, convert_clip);
  table.add("IsNaN", 9, convert_is_nan);
  table.add("IsInf", 10, convert_is_inf);
  table.add("Sinh", 9, convert_sinh);
  table.add("Cosh", 9, convert_cosh);
  table.add("Tan", 7, convert_tan);
  table.add("Asinh", 9, convert_asinh);
  table.add("Acosh", 9, convert_acosh);
  table.add("Atanh", 9, convert_atanh);
}

}  // namespace weir::onnx_format
