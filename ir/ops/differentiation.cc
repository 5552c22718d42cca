// What says how gradients pass: values are handed on as they are.

#include "ir/ops/helpers.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;

OpDef stop_gradient_op() {
  OpDef op = unary("differentiation", TypeSet::any,
                   {"stop_gradient", "x, as a constant to whoever differentiates.",
                    "Bit for bit. The gradient is 0, and what x is made of is not differentiated "
                    "on this way.",
                    OnnxOp::none()},
                   [](Expr x) { return x; });
  op.keeps_types = true;
  op.gradient.kind = GradientRule::Kind::stops;
  return op;
}

OpDef custom_gradient_op() {
  OpDef op = declare(
      "differentiation",
      {"custom_gradient", "The value, with the gradient of another one in its place.",
       "Bit for bit the value. The gradient of the result goes to the surrogate, and none to the "
       "value: with x as the surrogate of round(x) rounding lets gradients pass, and with a "
       "product of x and a stopped derivative as the surrogate any function gets the derivative "
       "that is wanted.",
       OnnxOp::none()});
  op.operands = {{"value", TypeSet::floats}, {"surrogate", TypeSet::floats}};
  op.check = [](const OpInstance& instance) {
    if (!(instance.operand(0) == instance.operand(1)))
      throw Error("value and surrogate must be of one type, and are " +
                  to_string(instance.operand(0)) + " and " + to_string(instance.operand(1)));
  };
  op.keeps_types = true;
  op.pointwise = [](Arguments arguments, const Attributes&) { return arguments[0]; };
  op = with_moving_gradient(std::move(op), [](const GradientContext& context) {
    return std::vector<Var>{Var(), context.cotangents[0]};
  });
  op.gradient.is_imposed = true;
  return op;
}

}  // namespace

void add_differentiation_ops(OpTable& table) {
  table.add(stop_gradient_op());
  table.add(custom_gradient_op());
}

}  // namespace weir
