// Gathers: elements of x at indices that an operand holds; and what says that it does hold such.
//
// All are index maps whose indices are loaded, so kernels read through them; an operand's rows are
// read along memory as those of any other movement. The gradient is a scatter that adds up.

#include <fmt/format.h>

#include "ir/ops/indexed.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;

OpDef gather_like(Text text) {
  OpDef op = indexed(std::move(text));
  op.operands = {{"x", TypeSet::any}, index_spec()};
  op.is_movement = true;
  return op;
}

OpDef with_axis(OpDef op) {
  return with_attribute(std::move(op), "axis", std::int64_t{0},
                        "The axis; negative counts from the end.", "axis");
}

Var zeros(GraphBuilder& builder, const TensorType& type) {
  return broadcast_to(builder, builder.scalar(type.dtype, 0), type.shape);
}

std::vector<IndexOperand> indices_along_axis(const OpInstance& instance) {
  return {{1, {instance.operand(0).shape[axis_of(instance)]}}};
}

// --- gather ------------------------------------------------------------------

// x's shape with the indices' in the place of the axis.
Shape gathered_shape(const Shape& x, const Shape& indices, std::size_t axis) {
  Shape shape(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(axis));
  shape.insert(shape.end(), indices.begin(), indices.end());
  shape.insert(shape.end(), x.begin() + static_cast<std::ptrdiff_t>(axis) + 1, x.end());
  return shape;
}

// The rows of the cotangent are added up where they were taken from: the axes before and behind are
// one each, where there are any.
std::vector<Var> gather_gradient(const GradientContext& context) {
  GraphBuilder& builder = context.builder;
  const TensorType& x = context.instance.operand(0);
  Var indices = context.operands[1];
  std::size_t axis = axis_of(context.instance);
  Dim before = product(std::span(x.shape).first(axis)),
      behind = product(std::span(x.shape).subspan(axis + 1));
  Dim count = element_count(indices.shape());
  auto around = [&](const Dim& first, const Dim& middle, const Dim& last) {
    Shape shape{middle};
    if (axis > 0) shape.insert(shape.begin(), first);
    if (axis + 1 < x.shape.size()) shape.push_back(last);
    return shape;
  };
  Var rows = reshape_to(builder, context.cotangents[0], around(before, count, behind));
  Var at = broadcast_to(builder, reshape_to(builder, indices, around(1, count, 1)), rows.shape());
  Var sums =
      builder.apply("scatter_elements",
                    {zeros(builder, {x.dtype, around(before, x.shape[axis], behind)}), at, rows},
                    {{"axis", std::int64_t{axis > 0 ? 1 : 0}}, {"reduction", std::string("add")}});
  return {reshape_to(builder, sums, x.shape), {}};
}

OpDef gather_op() {
  OpDef op = with_axis(gather_like({"gather",
                                    "The parts of x along an axis that indices name.",
                                    "The shape of indices takes the place of the axis. Negative "
                                    "indices count from the end; one that is out of range "
                                    "is a data fault. The gradient adds up what was taken from one "
                                    "place, in the order of the indices.",
                                    {"Gather"}}));
  op.infer = [](const OpInstance& instance) {
    const TensorType& x = instance.operand(0);
    return std::vector<TensorType>{
        {x.dtype, gathered_shape(x.shape, instance.operand(1).shape, axis_of(instance))}};
  };
  op.index_operands = indices_along_axis;
  op.comprehension = [](const OpInstance& instance) {
    return gather_from([axis = axis_of(instance)](const Element& element) {
      std::size_t rank = element.instance.operand(1).shape.size();
      std::vector<Expr> index(element.index.begin(),
                              element.index.begin() + static_cast<std::ptrdiff_t>(axis));
      index.push_back(place(element, 1, element.index.subspan(axis, rank),
                            element.instance.operand(0).shape[axis]));
      index.insert(index.end(), element.index.begin() + static_cast<std::ptrdiff_t>(axis + rank),
                   element.index.end());
      return index;
    });
  };
  op.to_onnx = [](OnnxNodes& nodes, const OpInstance& instance,
                  std::span<const OnnxValue> operands) {
    return std::vector<OnnxValue>{
        nodes.add("Gather", {operands[0], onnx_indices(nodes, instance, operands, false)},
                  {{"axis", static_cast<std::int64_t>(axis_of(instance))}})};
  };
  return with_gradient(std::move(op), gather_gradient);
}

// --- gather_elements ---------------------------------------------------------

OpDef gather_elements_op() {
  OpDef op = with_axis(
      gather_like({"gather_elements",
                   "For each element of indices, the element of x in its place but along one axis.",
                   "An element of the result is that of x at its own index, with the element of "
                   "indices in the place of the axis. x "
                   "has as many axes as indices, and none but that one is smaller. Negative "
                   "indices count from the end; one that is "
                   "out of range is a data fault.",
                   {"GatherElements"}}));
  op.infer = [](const OpInstance& instance) {
    check_along_axis(instance, axis_of(instance));
    return std::vector<TensorType>{{instance.operand(0).dtype, instance.operand(1).shape}};
  };
  op.index_operands = indices_along_axis;
  op.comprehension = [](const OpInstance& instance) {
    return gather_from([axis = axis_of(instance)](const Element& element) {
      std::vector<Expr> index(element.index.begin(), element.index.end());
      index[axis] = place(element, 1, element.index, element.instance.operand(0).shape[axis]);
      return index;
    });
  };
  op.to_onnx = [](OnnxNodes& nodes, const OpInstance& instance,
                  std::span<const OnnxValue> operands) {
    return std::vector<OnnxValue>{
        nodes.add("GatherElements", {operands[0], onnx_indices(nodes, instance, operands, false)},
                  {{"axis", static_cast<std::int64_t>(axis_of(instance))}})};
  };
  return with_gradient(std::move(op), [](const GradientContext& context) -> std::vector<Var> {
    Attributes attributes{{"axis", static_cast<std::int64_t>(axis_of(context.instance))},
                          {"reduction", std::string("add")}};
    return {context.builder.apply("scatter_elements",
                                  {zeros(context.builder, context.instance.operand(0)),
                                   context.operands[1], context.cotangents[0]},
                                  std::move(attributes)),
            {}};
  });
}

// --- gather_nd ---------------------------------------------------------------

OpDef gather_nd_op() {
  OpDef op = with_attribute(gather_like({"gather_nd",
                                         "The parts of x at tuples of indices.",
                                         "The last dimension of indices holds an index for each of "
                                         "the first axes of x, behind batch_dims axes "
                                         "that the two have in common. Negative indices count from "
                                         "the end; one that is out of range is a data "
                                         "fault.",
                                         {"GatherND"}}),
                            "batch_dims", std::int64_t{0},
                            "Leading axes that x and indices have in common.", "batch_dims");
  op.infer = [](const OpInstance& instance) {
    const TensorType& x = instance.operand(0);
    return std::vector<TensorType>{{x.dtype, tuple_layout(instance).found(x.shape)}};
  };
  op.index_operands = [](const OpInstance& instance) {
    return std::vector<IndexOperand>{{1, tuple_layout(instance).sizes}};
  };
  op.comprehension = [](const OpInstance& instance) {
    return gather_from([layout = tuple_layout(instance)](const Element& element) {
      return tuple_place(element, layout);
    });
  };
  op.to_onnx = [](OnnxNodes& nodes, const OpInstance& instance,
                  std::span<const OnnxValue> operands) {
    return std::vector<OnnxValue>{
        nodes.add("GatherND", {operands[0], onnx_indices(nodes, instance, operands, true)},
                  {{"batch_dims", instance.attributes.integer("batch_dims")}})};
  };
  return with_gradient(std::move(op), [](const GradientContext& context) -> std::vector<Var> {
    Attributes attributes{{"batch_dims", context.instance.attributes.integer("batch_dims")},
                          {"reduction", std::string("add")}};
    return {context.builder.apply("scatter_nd",
                                  {zeros(context.builder, context.instance.operand(0)),
                                   context.operands[1], context.cotangents[0]},
                                  std::move(attributes)),
            {}};
  });
}

// --- in_range ----------------------------------------------------------------

OpDef in_range_op() {
  OpDef op =
      indexed({"in_range", "The indices themselves, each of which must be the number of something.",
               "0 <= i < size for each of them; another one is a data fault. It is how the "
               "body of an op says that an operand holds indices.",
               OnnxOp::none()});
  op.operands = {index_spec()};
  op = with_attribute(std::move(op), "sizes", AttributeKind::dims,
                      "One size for all indices, or one for each place along the last axis.");
  op = with_attribute(std::move(op), "op", std::string(),
                      "The op that is named where an index is out of range; empty: this one.");
  op.infer = [](const OpInstance& instance) {
    const TensorType& indices = instance.operand(0);
    std::size_t sizes = instance.attributes.dims("sizes").size();
    if (sizes != 1 && (sizes == 0 || indices.rank() == 0 ||
                       indices.shape.back() != Dim(static_cast<std::int64_t>(sizes))))
      throw Error(
          fmt::format("{} sizes are given; for indices {} there must be one, or as many as "
                      "the last dimension says",
                      sizes, to_string(indices)));
    return std::vector<TensorType>{indices};
  };
  op.index_operands = [](const OpInstance& instance) -> std::vector<IndexOperand> {
    return {{0, instance.attributes.dims("sizes"), false, instance.attributes.text("op")}};
  };
  op.is_movement = true;
  op.keeps_elements = true;
  op.comprehension = [](const OpInstance&) {
    return gather_from([](const Element& element) {
      return std::vector<Expr>(element.index.begin(), element.index.end());
    });
  };
  op.to_onnx = [](OnnxNodes& nodes, const OpInstance&, std::span<const OnnxValue> operands) {
    return std::vector<OnnxValue>{nodes.add("Identity", {operands[0]})};
  };
  return without_gradient(std::move(op), "its operand is of integers");
}

}  // namespace

void add_gather_ops(OpTable& table) {
  table.add(gather_op());
  table.add(gather_elements_op());
  table.add(gather_nd_op());
  table.add(in_range_op());
}

}  // namespace weir
