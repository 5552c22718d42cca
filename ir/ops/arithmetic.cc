// Arithmetic: pointwise, in the primitives of the scalar language. Operands broadcast as in NumPy.

#include "ir/ops/helpers.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;

constexpr const char* kFamily = "arithmetic";
constexpr const char* kStep = "it is a step function: the derivative is 0 wherever it exists";

void add_four_operations(OpTable& table) {
  table.add(binary(kFamily, TypeSet::numbers,
                   {"add", "a + b.", "IEEE 754; integers wrap.", {"Add", 7}},
                   [](Expr a, Expr b) { return a + b; }));
  table.add(binary(kFamily, TypeSet::numbers,
                   {"sub", "a - b.", "IEEE 754; integers wrap.", {"Sub", 7}},
                   [](Expr a, Expr b) { return a - b; }));
  table.add(binary(kFamily, TypeSet::numbers,
                   {"mul", "a * b.", "IEEE 754; integers wrap.", {"Mul", 7}},
                   [](Expr a, Expr b) { return a * b; }));
  table.add(binary(kFamily, TypeSet::numbers,
                   {"div",
                    "a / b.",
                    "IEEE 754. Integers truncate toward zero; x / 0 is 0, and the lowest integer "
                    "divided by -1 is itself.",
                    {"Div", 7}},
                   [](Expr a, Expr b) { return a / b; }));
}

OpDef fma_op() {
  OpDef op = declare(
      kFamily,
      {"fma", "a * b + c, rounded once.",
       "IEEE 754's fusedMultiplyAdd on targets that have FMA; on others the product rounds too. "
       "f16 and bf16 round once to f32 and then to their type. inf * 0 + c is NaN. The gradient "
       "is b for a, a for b and 1 for c.",
       OnnxOp::none()});
  op.operands = {{"a", TypeSet::floats}, {"b", TypeSet::floats}, {"c", TypeSet::floats}};
  op.pointwise = [](Arguments arguments, const Attributes&) {
    return fma(arguments[0], arguments[1], arguments[2]);
  };
  return op;
}

void add_remainders(OpTable& table) {
  table.add(
      binary(kFamily, TypeSet::numbers,
             {"remainder",
              "a - floor(a / b) * b: the remainder with the sign of the divisor.",
              "Python's %. A zero result has the sign of a. A float modulo 0 is NaN; an integer "
              "modulo 0 is "
              "a. The gradient is 1 for a and -floor(a / b) for b.",
              {"Mod"}},
             [](Expr a, Expr b) {
               Expr r = rem(a, b);
               return select((r != 0) & ((r < 0) ^ (b < 0)), r + b, r);
             }));
  table.add(binary(kFamily, TypeSet::numbers,
                   {"fmod", "a - trunc(a / b) * b: the remainder with the sign of the dividend.",
                    "C's fmod and %; exact. ONNX Mod with fmod = 1. A float modulo 0 is NaN; an "
                    "integer modulo 0 is a. The gradient is 1 for a and -trunc(a / b) for b.",
                    OnnxOp::none()},
                   [](Expr a, Expr b) { return rem(a, b); }));
}

void add_powers(OpTable& table) {
  table.add(binary(kFamily, TypeSet::floats,
                   {"pow",
                    "a to the power b.",
                    "As C's pow: anything to the power 0 is 1, even NaN; a negative number to a "
                    "power that is no "
                    "integer is NaN. The gradient for a is 0 where b is 0. The gradient for b is 0 "
                    "where a is 0 and "
                    "b >= 0, and NaN for negative a.",
                    {"Pow", 7}},
                   [](Expr a, Expr b) { return pow(a, b); }));
  table.add(unary(kFamily, TypeSet::floats,
                  {"sqrt",
                   "The square root.",
                   "Correctly rounded; NaN below 0, -0 for -0. The gradient at 0 is infinite.",
                   {"Sqrt", 6}},
                  [](Expr x) { return sqrt(x); }));
  table.add(with_derivative(
      unary(kFamily, TypeSet::floats,
            {"rsqrt", "1 / sqrt(x).",
             "Two roundings; infinite at 0, NaN below. The gradient at 0 is -inf.", OnnxOp::none()},
            [](Expr x) { return 1.0 / sqrt(x); }),
      [](Expr x) { return -0.5 / x / sqrt(x); }));
  table.add(unary(
      kFamily, TypeSet::floats,
      {"reciprocal", "1 / x.", "Infinite at 0, with the sign of the zero.", {"Reciprocal", 6}},
      [](Expr x) { return 1.0 / x; }));
}

void add_signs(OpTable& table) {
  table.add(
      binary(kFamily, TypeSet::numbers,
             {"minimum",
              "The smaller of a and b.",
              "NaN if either is NaN; of two zeros b. The gradient goes to the smaller operand, "
              "half to each where they are equal.",
              {"Min", 8}},
             [](Expr a, Expr b) { return min(a, b); }));
  table.add(
      binary(kFamily, TypeSet::numbers,
             {"maximum",
              "The larger of a and b.",
              "NaN if either is NaN; of two zeros b. The gradient goes to the larger operand, "
              "half to each where they are equal.",
              {"Max", 8}},
             [](Expr a, Expr b) { return max(a, b); }));
  table.add(unary(kFamily, TypeSet::numbers,
                  {"abs",
                   "The absolute value.",
                   "0 for -0; the lowest integer stays itself. The gradient at 0 is 0.",
                   {"Abs", 6}},
                  [](Expr x) { return abs(x); }));
  table.add(unary(kFamily, TypeSet::numbers,
                  {"neg", "-x.", "Flips the sign of zeros too; integers wrap.", {"Neg", 6}},
                  [](Expr x) { return -x; }));
  table.add(without_gradient(unary(kFamily, TypeSet::numbers,
                                   {"sign",
                                    "1 for x > 0, -1 for x < 0, else x itself.",
                                    "Zeros and NaN give themselves.",
                                    {"Sign", 9}},
                                   [](Expr x) { return select(x > 0, 1, select(x < 0, -1, x)); }),
                             kStep));
}

void add_roundings(OpTable& table) {
  table.add(without_gradient(unary(kFamily, TypeSet::floats,
                                   {"floor",
                                    "The largest integer not above x.",
                                    "NaN, infinities and zeros give themselves.",
                                    {"Floor", 6}},
                                   [](Expr x) { return floor(x); }),
                             kStep));
  table.add(without_gradient(unary(kFamily, TypeSet::floats,
                                   {"ceil",
                                    "The smallest integer not below x.",
                                    "NaN, infinities and zeros give themselves; -0 above -1.",
                                    {"Ceil", 6}},
                                   [](Expr x) { return ceil(x); }),
                             kStep));
  table.add(without_gradient(unary(kFamily, TypeSet::floats,
                                   {"round",
                                    "The nearest integer, ties to even.",
                                    "NaN, infinities and zeros give themselves; keeps the sign of "
                                    "results that are zero.",
                                    {"Round", 11}},
                                   [](Expr x) { return round(x); }),
                             kStep));
  table.add(without_gradient(unary(kFamily, TypeSet::floats,
                                   {"trunc", "The nearest integer toward zero.",
                                    "NaN, infinities and zeros give themselves; keeps the sign of "
                                    "results that are zero.",
                                    OnnxOp::none()},
                                   [](Expr x) { return trunc(x); }),
                             kStep));
}

}  // namespace

void add_arithmetic_ops(OpTable& table) {
  add_four_operations(table);
  table.add(fma_op());
  add_remainders(table);
  add_powers(table);
  add_signs(table);
  add_roundings(table);
}

}  // namespace weir
