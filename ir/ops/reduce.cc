// Reductions over axes.
//
// One group of adjacent axes is a comprehension over a single reduced axis whose extent is the
// product of the group's. A group that includes the operand's last axis runs along memory and is
// folded in lanes; any other group runs across rows ("columns"), where the lanes are neighbouring
// results and each of them is a plain chain. Several groups are a composite: the innermost first,
// then the others.
//
// Norms and logarithms of sums are composites of these.
//
// Elements of f16 and bf16 are folded in f32. The sum and the product of i8 and u8 are of type i32:
// 8 bits hold no sum of many elements, and i32 is what quantized models add up in.

#include <limits>

#include "ir/ops/helpers.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;
using scalar::Bits;
using scalar::bits_of;

// Adjacent axes first ... last.
struct Group {
  int first = 0;
  int last = -1;
  int size() const { return last - first + 1; }
};

// The axes to reduce, sorted; none given means all.
std::vector<int> reduced_axes(const OpInstance& instance) {
  int rank = instance.operand(0).rank();
  std::vector<int> axes = instance.axes(rank);
  if (axes.empty())
    for (int i = 0; i < rank; ++i) axes.push_back(i);
  return axes;
}

std::vector<Group> groups_of(std::span<const int> axes) {
  std::vector<Group> groups;
  for (int axis : axes) {
    if (!groups.empty() && groups.back().last == axis - 1) {
      groups.back().last = axis;
    } else {
      groups.push_back({axis, axis});
    }
  }
  return groups;
}

// The element type of a result for that of the operand.
using TypeRule = DType (*)(DType);

DType same_type(DType type) { return type; }
DType total_type(DType type) { return is_float(type) ? type : accumulator_type(type); }

std::vector<TensorType> infer_reduce(const OpInstance& instance, TypeRule result_type) {
  TensorType result{result_type(instance.operand(0).dtype), {}};
  std::vector<int> axes = reduced_axes(instance);
  bool keep = instance.attributes.boolean("keep_dims");
  auto next = axes.begin();
  for (int i = 0; i < instance.operand(0).rank(); ++i) {
    if (next != axes.end() && *next == i) {
      ++next;
      if (keep) result.shape.push_back(1);
    } else {
      result.shape.push_back(instance.operand(0).shape[static_cast<std::size_t>(i)]);
    }
  }
  return {std::move(result)};
}

// How the elements of one element type become one.
using ReductionOf = std::function<Reduction(DType)>;

Reduction fold_with(std::string name, DType type, Bits identity, Expr (*combine)(Expr, Expr)) {
  Reduction reduction;
  reduction.name = std::move(name);
  reduction.types = {type};
  reduction.identity = {identity};
  reduction.step = [combine](std::span<const Expr> a, std::span<const Expr> x) {
    return std::vector<Expr>{combine(a[0], x[0])};
  };
  reduction.merge = reduction.step;
  return reduction;
}

Comprehension reduce_comprehension(const OpInstance& instance, TypeRule result_type,
                                   const ReductionOf& reduction_of) {
  const TensorType& operand = instance.operand(0);
  std::vector<int> axes = reduced_axes(instance);
  WEIR_CHECK(groups_of(axes).size() <= 1, to_string(operand));
  Group group = axes.empty() ? Group{} : groups_of(axes).front();
  Shape sizes(operand.shape.begin() + group.first, operand.shape.begin() + (group.last + 1));
  bool along_rows = group.last == operand.rank() - 1;
  bool keep = instance.attributes.boolean("keep_dims");

  Comprehension result;
  DType type = compute_type(result_type(operand.dtype));
  result.reduce_extents = {element_count(sizes)};
  result.reduction = reduction_of(type);
  result.reduction->order = along_rows ? Reduction::Order::lanes : Reduction::Order::chain;
  result.reduction->chunk = along_rows ? kRowChunk : kColumnChunk;
  result.body = [=, rank = operand.rank()](const Element& element) {
    std::vector<Expr> reduced = delinearize(element, element.reduce[0], sizes);
    std::vector<Expr> index;
    for (int i = 0; i < rank; ++i) {
      bool inside = i >= group.first && i <= group.last;
      int kept = i > group.last && !keep ? i - group.size() : i;
      index.push_back(inside ? reduced[static_cast<std::size_t>(i - group.first)]
                             : element.index[static_cast<std::size_t>(kept)]);
    }
    return std::vector<Expr>{cast(element.load(0, index), type)};
  };
  return result;
}

// ONNX's sum takes the axes as an input, and its other reductions as an attribute. None given means
// all, here and there. The axes are counted from the start: of an empty operand ONNX Runtime does
// not find those that are counted from the end.
std::vector<OnnxValue> reduce_to_onnx(OnnxNodes& nodes, const OpInstance& instance,
                                      std::span<const OnnxValue> operands, bool axes_as_input) {
  std::vector<int> given = instance.axes(instance.operand(0).rank());
  std::vector<std::int64_t> axes(given.begin(), given.end());
  std::vector<OnnxValue> inputs{operands[0]};
  Attributes attributes{{"keepdims", instance.attributes.boolean("keep_dims")}};
  if (!axes.empty() && axes_as_input) inputs.push_back(nodes.integers(axes));
  if (!axes.empty() && !axes_as_input) attributes.set("axes", axes);
  return {nodes.add(instance.op->onnx.name, std::move(inputs), attributes)};
}

// Several groups: the innermost first; the axes before it keep their numbers.
std::vector<Var> reduce_by_groups(const std::string& name, GraphBuilder& builder, Var x,
                                  const Attributes& attributes) {
  std::vector<TensorType> types{x.type()};
  OpInstance instance{&get_op(name), types, attributes};
  std::vector<int> axes = reduced_axes(instance);
  Group innermost = groups_of(axes).back();
  std::vector<std::int64_t> inner, outer;
  for (int axis : axes) (axis >= innermost.first ? inner : outer).push_back(axis);
  Attribute keep = attributes.boolean("keep_dims");
  Var partial = builder.apply(name, {x}, {{"axes", inner}, {"keep_dims", keep}});
  return {builder.apply(name, {partial}, {{"axes", outer}, {"keep_dims", keep}})};
}

OpDef reduction_attributes(OpDef op) {
  op = with_attribute(std::move(op), "axes", std::vector<std::int64_t>{},
                      "Axes to reduce; negative ones count from the end. None means all.");
  return with_attribute(std::move(op), "keep_dims", false,
                        "Leave reduced axes in place with size 1.");
}

OpDef reduction(Text text, TypeRule result_type, ReductionOf reduction_of,
                bool axes_as_onnx_input = false) {
  std::string name = text.name;
  OpDef op = reduction_attributes(declare("reduce", std::move(text)));
  op.operands = {{"x", TypeSet::numbers}};
  op.infer = [result_type](const OpInstance& instance) {
    return infer_reduce(instance, result_type);
  };
  op.to_onnx = [axes_as_onnx_input](OnnxNodes& nodes, const OpInstance& instance,
                                    std::span<const OnnxValue> operands) {
    return reduce_to_onnx(nodes, instance, operands, axes_as_onnx_input);
  };
  op.comprehension = [result_type, reduction_of](const OpInstance& instance) {
    return reduce_comprehension(instance, result_type, reduction_of);
  };
  op.composite = [name](GraphBuilder& builder, std::span<const Var> operands,
                        const Attributes& attributes) {
    return reduce_by_groups(name, builder, operands[0], attributes);
  };
  op.is_composite = [](const OpInstance& instance) {
    return groups_of(reduced_axes(instance)).size() > 1;
  };
  return op;
}

// What was reduced to one element, beside every one that went into it.
Var spread(const GradientContext& context, Var value) {
  Shape kept = context.instance.operand(0).shape;
  for (int axis : reduced_axes(context.instance)) kept[static_cast<std::size_t>(axis)] = 1;
  return reshape_to(context.builder, value, kept);
}

// Every element of the operand gets the cotangent of the sum that it went into.
std::vector<Var> sum_gradient(const GradientContext& context) {
  return {broadcast_to(context.builder, spread(context, context.cotangents[0]),
                       context.instance.operand(0).shape)};
}

Var in_type(GraphBuilder& builder, Var x, DType type) {
  return x.dtype() == type ? x : builder.apply("cast", {x}, {{"dtype", type}});
}

// The numbers of elements for which something holds, kept beside them.
Var count_of(const GradientContext& context, Var holds, DType type) {
  Attributes kept = context.instance.attributes;
  kept.set("keep_dims", true);
  return context.builder.apply("reduce_sum", {in_type(context.builder, holds, type)}, kept);
}

// The elements that equal the extreme share its cotangent.
std::vector<Var> extreme_gradient(const GradientContext& context) {
  GraphBuilder& builder = context.builder;
  Var x = context.operands[0];
  DType type = compute_type(x.dtype());
  Var is_extreme = builder.apply("equal", {x, spread(context, context.results[0])});
  Var cotangent = in_type(builder, spread(context, context.cotangents[0]), type);
  Var share = builder.apply("div", {cotangent, count_of(context, is_extreme, type)});
  share = in_type(builder, share, x.dtype());
  return {builder.apply("select", {is_extreme, share, builder.scalar(x.dtype(), 0)})};
}

// The product of the others: y / x; where one element is 0, for that the product of those that are
// not, and 0 for all others.
std::vector<Var> product_gradient(const GradientContext& context) {
  GraphBuilder& builder = context.builder;
  DType type = compute_type(context.operands[0].dtype());
  Var x = in_type(builder, context.operands[0], type);
  Var zero = builder.scalar(type, 0), one = builder.scalar(type, 1);
  Var is_zero = builder.apply("equal", {x, zero});
  Attributes kept = context.instance.attributes;
  kept.set("keep_dims", true);
  Var others = builder.apply("select", {is_zero, one, x});
  Var product = builder.apply("reduce_prod", {others}, kept);
  Var zeros = count_of(context, is_zero, type);
  // How many zeros there are among the others.
  Var left = builder.apply("sub", {zeros, in_type(builder, is_zero, type)});
  Var slope = builder.apply("select", {builder.apply("equal", {left, zero}),
                                       builder.apply("div", {product, others}), zero});
  Var cotangent = in_type(builder, spread(context, context.cotangents[0]), type);
  return {in_type(builder, builder.apply("mul", {cotangent, slope}), context.operands[0].dtype())};
}

OpDef mean_op() {
  OpDef op = reduction_attributes(
      declare("reduce", {"reduce_mean",
                         "The mean over axes.",
                         "The sum divided by the number of elements; NaN over nothing.",
                         {"ReduceMean"}}));
  op.operands = {{"x", TypeSet::floats}};
  op.to_onnx = [](OnnxNodes& nodes, const OpInstance& instance,
                  std::span<const OnnxValue> operands) -> std::vector<OnnxValue> {
    // The mean of nothing is NaN here and undefined there.
    for (int axis : reduced_axes(instance))
      if (instance.operand(0).shape[static_cast<std::size_t>(axis)] == Dim(0)) return {};
    return reduce_to_onnx(nodes, instance, operands, false);
  };
  op.composite = [](GraphBuilder& builder, std::span<const Var> operands,
                    const Attributes& attributes) -> std::vector<Var> {
    Var x = operands[0];
    std::vector<TensorType> types{x.type()};
    OpInstance instance{&get_op("reduce_mean"), types, attributes};
    Shape sizes;
    for (int axis : reduced_axes(instance))
      sizes.push_back(x.shape()[static_cast<std::size_t>(axis)]);
    Var sum = builder.apply("reduce_sum", {x}, attributes);
    Var count = builder.apply("size_of", {}, {{"dims", sizes}, {"dtype", x.dtype()}});
    return {builder.apply("div", {sum, count})};
  };
  return op;
}

// --- Composites of sums ------------------------------------------------------

// The sum of a function of the elements, and a function of that.
using Step = Var (*)(GraphBuilder&, Var);

Var same(GraphBuilder&, Var x) { return x; }

// 8 bits hold no square, nor the magnitude of -128.
Var widened(GraphBuilder& builder, Var x) {
  DType type = total_type(x.dtype());
  return type == x.dtype() ? x : builder.apply("cast", {x}, {{"dtype", type}});
}

Var square(GraphBuilder& builder, Var x) {
  x = widened(builder, x);
  return builder.apply("mul", {x, x});
}

Var magnitude(GraphBuilder& builder, Var x) { return builder.apply("abs", {widened(builder, x)}); }

OpDef composite_reduction(Text text, TypeSet types) {
  OpDef op = reduction_attributes(declare("reduce", std::move(text)));
  op.operands = {{"x", types}};
  op.to_onnx = [](OnnxNodes& nodes, const OpInstance& instance,
                  std::span<const OnnxValue> operands) -> std::vector<OnnxValue> {
    // Over nothing ONNX leaves the result undefined.
    for (int axis : reduced_axes(instance))
      if (instance.operand(0).shape[static_cast<std::size_t>(axis)] == Dim(0)) return {};
    return reduce_to_onnx(nodes, instance, operands, false);
  };
  return op;
}

OpDef sum_of(Text text, TypeSet types, Step before, Step after) {
  OpDef op = composite_reduction(std::move(text), types);
  op.composite = [before, after](GraphBuilder& builder, std::span<const Var> operands,
                                 const Attributes& attributes) -> std::vector<Var> {
    Var terms = before(builder, operands[0]);
    return {after(builder, builder.apply("reduce_sum", {terms}, attributes))};
  };
  return op;
}

OpDef l2_op() {
  OpDef op = sum_of({"reduce_l2",
                     "The root of the sum of squares over axes.",
                     "The gradient is g * x / y, and 0 where y is 0.",
                     {"ReduceL2"}},
                    TypeSet::floats, square,
                    [](GraphBuilder& builder, Var sum) { return builder.apply("sqrt", {sum}); });
  return with_gradient(std::move(op), [](const GradientContext& context) -> std::vector<Var> {
    GraphBuilder& builder = context.builder;
    Var x = context.operands[0], zero = builder.scalar(x.dtype(), 0);
    Var norm = spread(context, context.results[0]);
    Var slope = builder.apply("div", {x, norm});
    slope = builder.apply("select", {builder.apply("equal", {norm, zero}), zero, slope});
    return {builder.apply("mul", {spread(context, context.cotangents[0]), slope})};
  });
}

OpDef log_sum_exp_op() {
  OpDef op = composite_reduction(
      {"reduce_log_sum_exp",
       "The logarithm of the sum of exponentials over axes.",
       "log(sum(exp(x - m))) + m, where m is the maximum, or 0 where that is infinite: nothing "
       "overflows. -inf over nothing and of -inf alone, inf with any inf. The gradient is "
       "g * exp(x - y), and 0 where y is -inf.",
       {"ReduceLogSumExp"}},
      TypeSet::floats);
  op.composite = [](GraphBuilder& builder, std::span<const Var> operands,
                    const Attributes& attributes) -> std::vector<Var> {
    Var x = operands[0];
    Attributes kept = attributes;
    kept.set("keep_dims", true);
    Var largest = builder.apply("reduce_max", {x}, kept);
    constexpr double infinity = std::numeric_limits<double>::infinity();
    Var is_finite = builder.apply(
        "less", {builder.apply("abs", {largest}), builder.scalar(x.dtype(), infinity)});
    Var shift = builder.apply("select", {is_finite, largest, builder.scalar(x.dtype(), 0)});
    Var terms = builder.apply("exp", {builder.apply("sub", {x, shift})});
    Var sum = builder.apply("log", {builder.apply("reduce_sum", {terms}, attributes)});
    return {builder.apply("add", {sum, reshape_to(builder, shift, sum.shape())})};
  };
  return with_gradient(std::move(op), [](const GradientContext& context) -> std::vector<Var> {
    GraphBuilder& builder = context.builder;
    Var x = context.operands[0], y = spread(context, context.results[0]);
    constexpr double infinity = std::numeric_limits<double>::infinity();
    Var is_none = builder.apply("equal", {y, builder.scalar(x.dtype(), -infinity)});
    Var shift = builder.apply("select", {is_none, builder.scalar(x.dtype(), 0), y});
    Var share = builder.apply("exp", {builder.apply("sub", {x, shift})});
    return {builder.apply("mul", {spread(context, context.cotangents[0]), share})};
  });
}

void add_composite_reductions(OpTable& table) {
  table.add(sum_of({"reduce_l1",
                    "The sum of magnitudes over axes.",
                    "0 over nothing. Integers as in reduce_sum. The gradient is g * sign(x).",
                    {"ReduceL1"}},
                   TypeSet::numbers, magnitude, same));
  table.add(l2_op());
  table.add(sum_of({"reduce_sum_square",
                    "The sum of squares over axes.",
                    "0 over nothing. Integers as in reduce_sum. The gradient is 2 * g * x.",
                    {"ReduceSumSquare"}},
                   TypeSet::numbers, square, same));
  table.add(sum_of({"reduce_log_sum",
                    "The logarithm of the sum over axes.",
                    "-inf over nothing, NaN for a negative sum. The gradient is g / sum.",
                    {"ReduceLogSum"}},
                   TypeSet::floats, same,
                   [](GraphBuilder& builder, Var sum) { return builder.apply("log", {sum}); }));
  table.add(log_sum_exp_op());
}

}  // namespace

void add_reduce_ops(OpTable& table) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  table.add(with_moving_gradient(
      reduction(
          {"reduce_sum",
           "The sum over axes.",
           "Starts at +0, so a sum of -0 is 0, and so is the sum over nothing. Added up in f32 for "
           "f16 and bf16. Integers wrap, i8 and u8 as i32, which is the type of their sum. The "
           "order of additions is fixed by the shape alone.",
           {"ReduceSum"}},
          total_type,
          [](DType type) {
            return fold_with("sum", type, bits_of(type, 0.0), [](Expr a, Expr x) { return a + x; });
          },
          true),
      sum_gradient));
  table.add(with_gradient(
      reduction({"reduce_max",
                 "The maximum over axes.",
                 "NaN if any element is NaN. Over nothing: -inf, or the lowest integer. "
                 "Elements that equal the maximum share the gradient.",
                 {"ReduceMax"}},
                same_type,
                [](DType type) {
                  return fold_with("max", type, bits_of(type, -infinity),
                                   [](Expr a, Expr x) { return max(a, x); });
                }),
      extreme_gradient));
  table.add(with_gradient(
      reduction({"reduce_min",
                 "The minimum over axes.",
                 "NaN if any element is NaN. Over nothing: inf, or the highest integer. "
                 "Elements that equal the minimum share the gradient.",
                 {"ReduceMin"}},
                same_type,
                [](DType type) {
                  return fold_with("min", type, bits_of(type, infinity),
                                   [](Expr a, Expr x) { return min(a, x); });
                }),
      extreme_gradient));
  table.add(with_gradient(
      reduction(
          {"reduce_prod",
           "The product over axes.",
           "1 over nothing. Multiplied in f32 for f16 and bf16. Integers wrap, i8 and u8 as "
           "i32, which is the type of their product. The order of multiplications is fixed by "
           "the shape alone. The gradient is g times the product of the other elements, zeros "
           "among them or not.",
           {"ReduceProd"}},
          total_type,
          [](DType type) {
            return fold_with("prod", type, bits_of(type, 1.0),
                             [](Expr a, Expr x) { return a * x; });
          }),
      product_gradient));
  table.add(mean_op());
  add_composite_reductions(table);
}

}  // namespace weir
