// Comparisons, logic on bool, choice and conversion: pointwise.

#include <fmt/format.h>

#include "ir/ops/helpers.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;

constexpr const char* kLogic = "logic";

OpDef comparison(TypeSet types, Text text, std::function<Expr(Expr, Expr)> meaning) {
  return without_gradient(binary(kLogic, types, std::move(text), std::move(meaning)),
                          "its result is bool, on which there is no derivative");
}

OpDef logical(Text text, std::function<Expr(Expr, Expr)> meaning) {
  return without_gradient(binary(kLogic, TypeSet::boolean, std::move(text), std::move(meaning)),
                          "its operands are bool, on which there is no derivative");
}

void add_comparisons(OpTable& table) {
  const char* ordered = "False if either is NaN; -0 equals 0.";
  table.add(comparison(TypeSet::any, {"equal", "a == b, as bool.", ordered, {"Equal", 7}},
                       [](Expr a, Expr b) { return a == b; }));
  table.add(comparison(
      TypeSet::any,
      {"not_equal", "a != b, as bool.", "True if either is NaN; -0 equals 0.", OnnxOp::none()},
      [](Expr a, Expr b) { return a != b; }));
  table.add(comparison(TypeSet::numbers, {"less", "a < b, as bool.", ordered, {"Less", 7}},
                       [](Expr a, Expr b) { return a < b; }));
  table.add(comparison(TypeSet::numbers,
                       {"less_equal", "a <= b, as bool.", ordered, {"LessOrEqual", 12}},
                       [](Expr a, Expr b) { return a <= b; }));
  table.add(comparison(TypeSet::numbers, {"greater", "a > b, as bool.", ordered, {"Greater", 7}},
                       [](Expr a, Expr b) { return a > b; }));
  table.add(comparison(TypeSet::numbers,
                       {"greater_equal", "a >= b, as bool.", ordered, {"GreaterOrEqual", 12}},
                       [](Expr a, Expr b) { return a >= b; }));
}

void add_logic(OpTable& table) {
  table.add(logical({"logical_and", "Whether both hold.", "On bool.", {"And", 7}},
                    [](Expr a, Expr b) { return a & b; }));
  table.add(logical({"logical_or", "Whether at least one holds.", "On bool.", {"Or", 7}},
                    [](Expr a, Expr b) { return a | b; }));
  table.add(logical({"logical_xor", "Whether exactly one holds.", "On bool.", {"Xor", 7}},
                    [](Expr a, Expr b) { return a ^ b; }));
  table.add(
      without_gradient(unary(kLogic, TypeSet::boolean,
                             {"logical_not", "Whether it does not hold.", "On bool.", {"Not", 1}},
                             [](Expr x) { return !x; }),
                       "its operand is bool, on which there is no derivative"));
}

OpDef select_op() {
  OpDef op =
      declare(kLogic, {"select",
                       "a where the condition holds, else b.",
                       "The branch not chosen has no influence, NaN included. The gradient goes "
                       "to the branch that was chosen; the other one gets 0.",
                       {"Where", 9}});
  op.operands = {{"condition", TypeSet::boolean, OperandSpec::Presence::required, 1},
                 {"a", TypeSet::any},
                 {"b", TypeSet::any}};
  op.keeps_types = true;
  op.pointwise = [](Arguments arguments, const Attributes&) {
    return select(arguments[0], arguments[1], arguments[2]);
  };
  return op;
}

OpDef cast_op() {
  OpDef op = with_attribute(
      unary(
          kLogic, TypeSet::any,
          {"cast",
           "The value in another element type.",
           "To a float: the nearest, ties to even, rounded once. Float to integer: truncates "
           "toward "
           "zero, "
           "saturates at the ends of the range, and takes NaN to 0. Between integers: wraps. To "
           "bool: "
           "x != 0. The gradient is cast back; there is none where either type is not a float, and "
           "what is made of an integer or bool counts as constant.",
           {"Cast", 6}},
          [](Expr x, const Attributes& attributes) { return cast(x, attributes.dtype("dtype")); }),
      "dtype", AttributeKind::dtype, "Element type of the result.", "to");
  op.keeps_types = true;
  return with_gradient(std::move(op), [](const GradientContext& context) -> std::vector<Var> {
    DType from = context.instance.operand(0).dtype;
    if (!is_float(from) || !is_float(context.instance.attributes.dtype("dtype"))) return {Var()};
    return {context.builder.apply("cast", {context.cotangents[0]}, {{"dtype", from}})};
  });
}

}  // namespace

void add_logic_ops(OpTable& table) {
  add_comparisons(table);
  add_logic(table);
  table.add(select_op());
  table.add(cast_op());
}

}  // namespace weir
