// Running sums.

#include "ir/ops/indexed.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;

OpDef cumsum_op() {
  OpDef op = indexed({"cumsum",
                      "The running sum along an axis.",
                      "Each element is the sum of those up to it, added up one after the other "
                      "from 0. f16 and bf16 are "
                      "added up in f32 and rounded once; integers wrap. The gradient is the "
                      "running sum the other way.",
                      {"CumSum"}});
  op.operands = {{"x", TypeSet::numbers}};
  op = with_attribute(std::move(op), "axis", AttributeKind::integer,
                      "The axis; negative counts from the end.");
  op = with_attribute(std::move(op), "exclusive", false,
                      "Leave out the element itself, so that the first sum is 0.");
  op = with_attribute(std::move(op), "reverse", false, "Begin at the end.");
  op.infer = [](const OpInstance& instance) {
    instance.axis(instance.operand(0).rank());
    return std::vector<TensorType>{instance.operand(0)};
  };
  op.steps = [](const OpInstance& instance) {
    auto axis = static_cast<std::size_t>(instance.axis(instance.operand(0).rank()));
    Steps steps;
    steps.extents = instance.operand(0).shape;
    steps.in_order.assign(steps.extents.size(), false);
    steps.in_order[axis] = true;
    bool exclusive = instance.attributes.boolean("exclusive"),
         reverse = instance.attributes.boolean("reverse");
    steps.body = [axis, exclusive, reverse](const Element& element) {
      const TensorType& type = element.instance.operand(0);
      Expr step = element.index[axis];
      std::vector<Expr> at(element.index.begin(), element.index.end()), before = at;
      if (reverse) at[axis] = element.size(type.shape[axis]) - 1 - step;
      before[axis] = reverse ? at[axis] + 1 : at[axis] - 1;
      Expr zero{element.arena, element.arena.constant(type.dtype, 0.0)};
      Expr has_before = 0 < step;
      Expr sum = element.load_if(Element::kResult, has_before, zero, before);
      Expr term = exclusive ? element.load_if(0, has_before, zero, before) : element.load(0, at);
      return Steps::Step{at, sum + term};
    };
    return steps;
  };
  op.composite = [](GraphBuilder& builder, std::span<const Var> operands,
                    const Attributes& attributes) -> std::vector<Var> {
    return {builder.apply("cumsum", {operands[0]}, attributes)};
  };
  op.is_composite = [](const OpInstance& instance) { return is_half(instance.operand(0).dtype); };
  op.to_onnx = [](OnnxNodes& nodes, const OpInstance& instance,
                  std::span<const OnnxValue> operands) -> std::vector<OnnxValue> {
    // ONNX does not add up integers of a byte.
    if (byte_size(instance.operand(0).dtype) == 1) return {};
    OnnxValue axis = nodes.number(DType::i64, instance.axis(instance.operand(0).rank()));
    return {nodes.add("CumSum", {operands[0], axis},
                      {{"exclusive", instance.attributes.boolean("exclusive")},
                       {"reverse", instance.attributes.boolean("reverse")}})};
  };
  op.onnx_body = [](GraphBuilder& builder, std::span<const Var> operands,
                    const Attributes& attributes) -> std::vector<Var> {
    Var wide = builder.apply("cast", {operands[0]}, {{"dtype", DType::i32}});
    return {builder.apply("cast", {builder.apply("cumsum", {wide}, attributes)},
                          {{"dtype", operands[0].dtype()}})};
  };
  return with_gradient(std::move(op), [](const GradientContext& context) -> std::vector<Var> {
    Attributes attributes = context.instance.attributes;
    attributes.set("reverse", !attributes.boolean("reverse"));
    return {context.builder.apply("cumsum", {context.cotangents[0]}, std::move(attributes))};
  });
}

}  // namespace

void add_scan_ops(OpTable& table) { table.add(cumsum_op()); }

}  // namespace weir
