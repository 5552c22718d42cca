#include "compiler/passes/simplify_rules.h"

#include <algorithm>
#include <cmath>

namespace weir {
namespace {

// For rules whose replacement is the first operand, or the operand of a conversion.
bool same_type(const RuleMatch& match) { return match.nodes[0].operands[0] == match.type; }

// Whether the first of two casts may be left out. Integers wrap into integers and saturate from
// floats, so on the way through a float there must be room at the end.
bool inner_cast_widens(const RuleMatch& match) {
  DType from = match.nodes[1].operands[0].dtype, through = match.nodes[0].operands[0].dtype;
  DType to = match.type.dtype;
  if (!holds_all_values(through, from)) return false;
  bool saturates = is_float(through) && !is_float(from) && is_integer(to);
  return !saturates || holds_all_values(to, from);
}

bool is_signed(const RuleMatch& match) { return weir::is_signed(match.type.dtype); }

double uniform_number(const RuleMatch& match, std::size_t variable) {
  return scalar::to_double(match.type.dtype, *match.uniform[variable]);
}

double reciprocal_of_divisor(const RuleMatch& match) { return 1 / uniform_number(match, 1); }

// Division by a power of two and multiplication by its reciprocal round the same exact quotient.
// The type must hold the reciprocal, as a normal number where it is computed on: hardware may be
// slow with others.
bool divisor_is_power_of_two(const RuleMatch& match) {
  if (!is_float(match.type.dtype) || !match.uniform[1]) return false;
  int exponent = 0;
  double mantissa = std::frexp(uniform_number(match, 1), &exponent);
  if (std::abs(mantissa) != 0.5 || std::abs(exponent) >= 120) return false;
  DType type = match.type.dtype;
  double reciprocal = reciprocal_of_divisor(match);
  return scalar::to_double(type, scalar::bits_of(type, reciprocal)) == reciprocal;
}

using Integers = std::vector<std::int64_t>;

// A list for each axis, which may be left out where every entry is the default.
Integers complete(Integers given, int rank, std::int64_t otherwise) {
  if (given.empty()) given.assign(static_cast<std::size_t>(rank), otherwise);
  return given;
}

// The axis of the operand that each axis of the result is.
Integers permutation(const RuleMatch::Use& use) {
  Integers given = use.attributes.integers("permutation");
  if (given.empty())
    for (int axis = use.operands[0].rank(); axis-- > 0;) given.push_back(axis);
  return given;
}

bool permutation_is_identity(const RuleMatch& match) {
  Integers axes = permutation(match.nodes[0]);
  return std::is_sorted(axes.begin(), axes.end());
}

Attributes composed_permutation(const RuleMatch& match) {
  Integers outer = permutation(match.nodes[0]), inner = permutation(match.nodes[1]);
  Integers composed;
  for (std::int64_t axis : outer) composed.push_back(inner[static_cast<std::size_t>(axis)]);
  return {{"permutation", composed}};
}

bool inner_slice_is_dense(const RuleMatch& match) {
  const RuleMatch::Use& inner = match.nodes[1];
  Integers strides = complete(inner.attributes.integers("strides"), inner.operands[0].rank(), 1);
  return std::all_of(strides.begin(), strides.end(),
                     [](std::int64_t stride) { return stride == 1; });
}

// Element i of the outer slice is element start + i * stride of the inner, whose own start is
// added.
Attributes composed_slice(const RuleMatch& match) {
  Attributes result = match.nodes[0].attributes;
  const Shape& inner = match.nodes[1].attributes.dims("starts");
  Shape starts = result.dims("starts"), limits = result.dims("limits");
  for (std::size_t i = 0; i < inner.size(); ++i) {
    starts[i] = starts[i] + inner[i];
    limits[i] = limits[i] + inner[i];
  }
  result.set("starts", starts);
  result.set("limits", limits);
  return result;
}

constexpr RewriteRule kRules[] = {
    // Neutral elements. x + 0.0 is not x for x = -0.0, but x + -0.0 and x - 0.0 are.
    {"add_negative_zero", "add(x, -0.0)", "x"},
    {"negative_zero_add", "add(-0.0, x)", "x"},
    {"add_zero", "add(x, 0)", "x"},
    {"zero_add", "add(0, x)", "x"},
    {"sub_positive_zero", "sub(x, 0.0)", "x"},
    {"sub_zero", "sub(x, 0)", "x"},
    {"mul_one", "mul(x, 1.0)", "x"},
    {"one_mul", "mul(1.0, x)", "x"},
    {"mul_integer_one", "mul(x, 1)", "x"},
    {"integer_one_mul", "mul(1, x)", "x"},
    {"div_one", "div(x, 1.0)", "x"},
    {"div_integer_one", "div(x, 1)", "x"},
    // Integers have no NaN: zero times anything is zero.
    {"mul_integer_zero", "mul(x, 0)", "0"},
    {"integer_zero_mul", "mul(0, x)", "0"},
    {"sub_itself", "sub(x, x)", "0"},

    // Signs. Negation is exact, and rounding to nearest is symmetric.
    {"neg_of_neg", "neg(neg(x))", "x"},
    {"abs_of_neg", "abs(neg(x))", "abs(x)", is_signed},
    {"negative_zero_sub", "sub(-0.0, x)", "neg(x)"},
    {"zero_sub", "sub(0, x)", "neg(x)"},
    {"mul_minus_one", "mul(x, -1.0)", "neg(x)"},
    {"minus_one_mul", "mul(-1.0, x)", "neg(x)"},
    {"div_minus_one", "div(x, -1.0)", "neg(x)"},
    {"add_neg", "add(x, neg(y))", "sub(x, y)"},
    {"neg_add", "add(neg(x), y)", "sub(y, x)"},
    {"sub_neg", "sub(x, neg(y))", "add(x, y)"},
    {"neg_mul_neg", "mul(neg(x), neg(y))", "mul(x, y)"},
    {"div_power_of_two", "div(x, y)", "mul(x, K)", divisor_is_power_of_two, nullptr,
     reciprocal_of_divisor},

    // Once is enough.
    {"abs_of_abs", "abs(abs(x))", "abs(x)"},
    {"floor_of_floor", "floor(floor(x))", "floor(x)"},
    {"ceil_of_ceil", "ceil(ceil(x))", "ceil(x)"},
    {"trunc_of_trunc", "trunc(trunc(x))", "trunc(x)"},
    {"round_of_round", "round(round(x))", "round(x)"},
    {"relu_of_relu", "relu(relu(x))", "relu(x)"},

    // Minimum and maximum give NaN for NaN, so these keep it.
    {"minimum_itself", "minimum(x, x)", "x"},
    {"maximum_itself", "maximum(x, x)", "x"},
    {"minimum_infinity", "minimum(x, inf)", "x"},
    {"maximum_minus_infinity", "maximum(x, -inf)", "x"},

    // Logic.
    {"not_of_not", "logical_not(logical_not(x))", "x"},
    {"and_true", "logical_and(x, true)", "x"},
    {"true_and", "logical_and(true, x)", "x"},
    {"and_false", "logical_and(x, false)", "false"},
    {"false_and", "logical_and(false, x)", "false"},
    {"and_itself", "logical_and(x, x)", "x"},
    {"or_false", "logical_or(x, false)", "x"},
    {"false_or", "logical_or(false, x)", "x"},
    {"or_true", "logical_or(x, true)", "true"},
    {"true_or", "logical_or(true, x)", "true"},
    {"or_itself", "logical_or(x, x)", "x"},
    {"xor_false", "logical_xor(x, false)", "x"},
    {"xor_true", "logical_xor(x, true)", "logical_not(x)"},
    {"not_equal", "logical_not(equal(x, y))", "not_equal(x, y)"},
    {"not_not_equal", "logical_not(not_equal(x, y))", "equal(x, y)"},

    // Choice.
    {"select_true", "select(true, x, y)", "x"},
    {"select_false", "select(false, x, y)", "y"},
    {"select_same", "select(c, x, x)", "x"},
    {"select_not", "select(logical_not(c), x, y)", "select(c, y, x)"},
    {"select_condition", "select(c, true, false)", "c"},
    {"select_negation", "select(c, false, true)", "logical_not(c)"},

    // Conversion.
    {"cast_to_same", "cast(x)", "x", same_type},
    {"cast_of_widening", "cast(cast(x))", "cast(x)", inner_cast_widens},

    // What only differentiation asks for.
    {"stop_gradient", "stop_gradient(x)", "x"},
    {"custom_gradient", "custom_gradient(x, y)", "x"},

    // Movement.
    {"reshape_to_same", "reshape(x)", "x", same_type},
    {"reshape_of_reshape", "reshape(reshape(x))", "reshape(x)"},
    {"broadcast_to_same", "broadcast(x)", "x", same_type},
    {"broadcast_of_broadcast", "broadcast(broadcast(x))", "broadcast(x)"},
    {"transpose_by_identity", "transpose(x)", "x", permutation_is_identity},
    {"transpose_of_transpose", "transpose(transpose(x))", "transpose(x)", nullptr,
     composed_permutation},
    {"slice_of_everything", "slice(x)", "x", same_type},
    {"slice_of_slice", "slice(slice(x))", "slice(x)", inner_slice_is_dense, composed_slice},
    {"pad_by_nothing", "pad(x)", "x", same_type},
    {"concat_of_one", "concat(x)", "x"},
};

}  // namespace

std::span<const RewriteRule> simplify_rules() { return kRules; }

}  // namespace weir
