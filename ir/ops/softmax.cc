// Exponentials over their sum: composites, whose bodies fusion turns into one kernel each.

#include "ir/ops/helpers.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;

OpDef along_axis(Text text) {
  OpDef op = with_attribute(declare("normalize", std::move(text)), "axis", std::int64_t{-1},
                            "The axis to normalize along; negative counts from the end.", "axis");
  op.operands = {{"x", TypeSet::floats}};
  op.check = [](const OpInstance& instance) { instance.axis(instance.operand(0).rank()); };
  return op;
}

// x minus its maximum along the axis: the exponentials of that cannot overflow.
Var shifted(GraphBuilder& builder, Var x, std::int64_t axis) {
  return builder.apply("sub", {x, reduce_keeping(builder, "reduce_max", x, {axis})});
}

OpDef softmax_op() {
  OpDef op = along_axis(
      {"softmax",
       "exp(x) over its sum along an axis.",
       "Computed with the maximum subtracted, so nothing overflows. A row with NaN, with inf, "
       "or of -inf alone gives NaN. The gradient is y * (g - sum(g * y)).",
       {"Softmax", 13}});
  op.composite = [](GraphBuilder& builder, std::span<const Var> operands,
                    const Attributes& attributes) -> std::vector<Var> {
    std::int64_t axis = attributes.integer("axis");
    Var e = builder.apply("exp", {shifted(builder, operands[0], axis)});
    return {builder.apply("div", {e, reduce_keeping(builder, "reduce_sum", e, {axis})})};
  };
  return with_gradient(std::move(op), [](const GradientContext& context) -> std::vector<Var> {
    GraphBuilder& builder = context.builder;
    std::int64_t axis = context.instance.attributes.integer("axis");
    Var y = context.results[0], g = context.cotangents[0];
    Var weighted = builder.apply("mul", {g, y});
    Var sum = reduce_keeping(builder, "reduce_sum", weighted, {axis});
    return {builder.apply("mul", {y, builder.apply("sub", {g, sum})})};
  });
}

OpDef log_softmax_op() {
  OpDef op = along_axis(
      {"log_softmax",
       "The logarithm of softmax.",
       "Accurate where softmax underflows. A row with NaN, with inf, or of -inf alone gives "
       "NaN. The gradient is g - exp(y) * sum(g).",
       {"LogSoftmax", 13}});
  op.composite = [](GraphBuilder& builder, std::span<const Var> operands,
                    const Attributes& attributes) -> std::vector<Var> {
    std::int64_t axis = attributes.integer("axis");
    Var x = shifted(builder, operands[0], axis);
    Var sum = reduce_keeping(builder, "reduce_sum", builder.apply("exp", {x}), {axis});
    return {builder.apply("sub", {x, builder.apply("log", {sum})})};
  };
  return with_gradient(std::move(op), [](const GradientContext& context) -> std::vector<Var> {
    GraphBuilder& builder = context.builder;
    std::int64_t axis = context.instance.attributes.integer("axis");
    Var y = context.results[0], g = context.cotangents[0];
    Var sum = reduce_keeping(builder, "reduce_sum", g, {axis});
    Var spread = builder.apply("mul", {builder.apply("exp", {y}), sum});
    return {builder.apply("sub", {g, spread})};
  });
}

}  // namespace

void add_softmax_ops(OpTable& table) {
  table.add(softmax_op());
  table.add(log_softmax_op());
}

}  // namespace weir
