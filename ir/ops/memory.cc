// What says when a value is computed and where it stays, and computes nothing: rematerialization
// (compiler/rematerialize/rematerialize.h) speaks to fusion through these.

#include "ir/ops/helpers.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;

OpDef same_elements(Text text) {
  OpDef op = movement(std::move(text));
  op.family = "memory";
  op.keeps_elements = true;
  op.infer = [](const OpInstance& instance) {
    return std::vector<TensorType>{instance.operand(0)};
  };
  op.comprehension = [](const OpInstance&) {
    return gather_from([](const Element& element) {
      return std::vector<Expr>(element.index.begin(), element.index.end());
    });
  };
  op.to_onnx = [](OnnxNodes& nodes, const OpInstance&, std::span<const OnnxValue> operands) {
    return std::vector<OnnxValue>{nodes.add("Identity", {operands[0]})};
  };
  return with_moving_gradient(std::move(op), [](const GradientContext& context) {
    std::vector<Var> gradients(context.operands.size());
    gradients[0] = context.cotangents[0];
    return gradients;
  });
}

OpDef keep_op() {
  OpDef op = same_elements({"keep", "x, which is stored in memory where it is computed.",
                            "Bit for bit. Fusion computes x once, and not again where it is used.",
                            OnnxOp::none()});
  op.is_stored = true;
  return op;
}

OpDef after_op() {
  OpDef op = same_elements({"after", "x, which is not read before another value has been computed.",
                            "Bit for bit. What is made of the result is computed behind the kernel "
                            "that computes `done`, "
                            "as late as that.",
                            OnnxOp::none()});
  op.operands.push_back({"done", TypeSet::any, OperandSpec::Presence::required, -1});
  op.waits_for = 1;
  return op;
}

}  // namespace

void add_memory_ops(OpTable& table) {
  table.add(keep_op());
  table.add(after_op());
}

}  // namespace weir
