// Places in an order: where the extremes are along an axis, and which elements come first.
//
// Elements are ordered by value, NaN above all numbers and -0 beside 0, and equal ones by their
// index. The rank of an element is a count of those before it, so that sorting is a scatter by rank
// and takes no routine of its own. Counting is quadratic in the length of the axis; top_k of a long
// axis therefore sorts blocks first, and then the best of each.

#include <limits>

#include <fmt/format.h>

#include "ir/ops/indexed.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;

// Elements of a block that top_k sorts on its own.
constexpr std::int64_t kSortedBlock = 256;

OpDef with_axis(OpDef op) {
  return with_attribute(std::move(op), "axis", std::int64_t{-1},
                        "The axis; negative counts from the end.");
}

// Whether a comes before b by value, and whether the two are equal; NaN is the largest.
struct Comparison {
  Expr before, equal;
};
Comparison compare(Expr a, Expr b, bool largest) {
  Comparison result{largest ? a > b : a < b, a == b};
  if (!is_float(a.type())) return result;
  Expr a_nan = is_nan(a), b_nan = is_nan(b);
  result.before = result.before | (largest ? a_nan & !b_nan : b_nan & !a_nan);
  result.equal = result.equal | (a_nan & b_nan);
  return result;
}

// --- arg_max, arg_min --------------------------------------------------------

// Pairs of an index and a value: the extreme one of two, and of equal ones the first or the last.
Reduction extreme_pair(DType type, bool largest, bool last) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Reduction reduction;
  reduction.name = largest ? "arg_max" : "arg_min";
  reduction.types = {DType::i64, type};
  // An index of no element, which any element goes before. A NaN would go behind what is no element
  // but not what is equal to it.
  reduction.identity = {scalar::from_i64(last ? -1 : std::numeric_limits<std::int64_t>::max()),
                        scalar::bits_of(type, largest ? -kInfinity : kInfinity)};
  reduction.step = [largest, last](std::span<const Expr> a, std::span<const Expr> b) {
    // The smallest of NaN alone is NaN too, though NaN is the largest of all: what is no element
    // goes behind everything.
    Comparison comparison = compare(b[1], a[1], largest);
    Expr nothing = last ? a[0] < 0 : a[0] == std::numeric_limits<std::int64_t>::max();
    Expr something = last ? b[0] >= 0 : b[0] != std::numeric_limits<std::int64_t>::max();
    Expr nearer = last ? a[0] < b[0] : b[0] < a[0];
    Expr take = something & (nothing | comparison.before | (comparison.equal & nearer));
    return std::vector<Expr>{select(take, b[0], a[0]), select(take, b[1], a[1])};
  };
  reduction.merge = reduction.step;
  return reduction;
}

OpDef arg_extreme_op(bool largest) {
  std::string which = largest ? "largest" : "smallest";
  OpDef op = indexed(
      {largest ? "arg_max" : "arg_min",
       fmt::format("The index of the {} element along an axis.", which),
       fmt::format("NaN is larger than all numbers{}. Of equal elements it is the first, or with "
                   "select_last the last; -0 equals 0. The axis must have an element.",
                   largest ? ", as in reduce_max" : ""),
       {largest ? "ArgMax" : "ArgMin"}});
  op.operands = {{"x", TypeSet::numbers}};
  op = with_axis(std::move(op));
  op = with_attribute(std::move(op), "keep_dims", false, "Leave the axis in place with size 1.");
  op = with_attribute(std::move(op), "select_last", false, "Of equal elements, take the last.");
  op.infer = [](const OpInstance& instance) {
    const TensorType& x = instance.operand(0);
    std::size_t axis = axis_of(instance);
    if (x.shape[axis] == Dim(0))
      throw Error(fmt::format("axis {} of {} has no elements", axis, to_string(x)));
    TensorType result{DType::i64, x.shape};
    if (instance.attributes.boolean("keep_dims"))
      result.shape[axis] = 1;
    else
      result.shape.erase(result.shape.begin() + static_cast<std::ptrdiff_t>(axis));
    return std::vector<TensorType>{std::move(result)};
  };
  op.size_needs = [](const OpInstance& instance) {
    const TensorType& x = instance.operand(0);
    std::size_t axis = axis_of(instance);
    return std::vector<SizeNeed>{
        {x.shape[axis] - Dim(1), fmt::format("axis {} of {} has no elements", axis, to_string(x))}};
  };
  op.comprehension = [largest](const OpInstance& instance) {
    const TensorType& x = instance.operand(0);
    std::size_t axis = axis_of(instance);
    bool along_rows = axis + 1 == x.shape.size(), keep = instance.attributes.boolean("keep_dims");
    DType type = compute_type(x.dtype);
    Comprehension result;
    result.reduce_extents = {x.shape[axis]};
    result.reduction = extreme_pair(type, largest, instance.attributes.boolean("select_last"));
    result.reduction->order = along_rows ? Reduction::Order::lanes : Reduction::Order::chain;
    result.reduction->chunk = along_rows ? kRowChunk : kColumnChunk;
    result.body = [=](const Element& element) {
      std::vector<Expr> index(element.index.begin(), element.index.end());
      if (keep)
        index[axis] = element.reduce[0];
      else
        index.insert(index.begin() + static_cast<std::ptrdiff_t>(axis), element.reduce[0]);
      return std::vector<Expr>{element.reduce[0], cast(element.load(0, index), type)};
    };
    return result;
  };
  op.to_onnx = [](OnnxNodes& nodes, const OpInstance& instance,
                  std::span<const OnnxValue> operands) {
    return std::vector<OnnxValue>{
        nodes.add(instance.op->onnx.name, {operands[0]},
                  {{"axis", static_cast<std::int64_t>(axis_of(instance))},
                   {"keepdims", instance.attributes.boolean("keep_dims")},
                   {"select_last_index", instance.attributes.boolean("select_last")}})};
  };
  return without_gradient(std::move(op), "it is a step function: its results are integers");
}

// --- rank --------------------------------------------------------------------

OpDef rank_op() {
  OpDef op = indexed({"rank", "How many elements along an axis come before each one.",
                      "By value, the smallest first or with largest the largest first, and by "
                      "index where values are equal: "
                      "each element has another rank, 0 and up. NaN is larger than all numbers; -0 "
                      "equals 0. Takes time in "
                      "proportion to the square of the axis' length.",
                      OnnxOp::none()});
  op.operands = {{"x", TypeSet::numbers}};
  op = with_axis(std::move(op));
  op = with_attribute(std::move(op), "largest", false, "Begin with the largest.");
  op.infer = [](const OpInstance& instance) {
    instance.axis(instance.operand(0).rank());
    return std::vector<TensorType>{{DType::i64, instance.operand(0).shape}};
  };
  op.comprehension = [](const OpInstance& instance) {
    std::size_t axis = axis_of(instance);
    bool largest = instance.attributes.boolean("largest");
    DType type = compute_type(instance.operand(0).dtype);
    Comprehension result;
    result.reduce_extents = {instance.operand(0).shape[axis]};
    // As many as i32 counts are more than can be compared with each other.
    result.reduction = sum(DType::i32, kColumnChunk);
    result.body = [=](const Element& element) {
      std::vector<Expr> index(element.index.begin(), element.index.end());
      Expr own = cast(element.load(0, index), type);
      index[axis] = element.reduce[0];
      Comparison comparison = compare(cast(element.load(0, index), type), own, largest);
      Expr before =
          comparison.before | (comparison.equal & (element.reduce[0] < element.index[axis]));
      return std::vector<Expr>{cast(before, DType::i32)};
    };
    return result;
  };
  op.onnx_body = [](GraphBuilder& builder, std::span<const Var> operands,
                    const Attributes& attributes) -> std::vector<Var> {
    // The same comparisons, all at once.
    Var x = operands[0];
    std::vector<TensorType> types{x.type()};
    std::size_t axis = axis_of({&get_op("rank"), types, attributes});
    bool largest = attributes.boolean("largest");
    auto signed_axis = static_cast<std::int64_t>(axis);
    Shape row = x.shape(), column = x.shape();
    row.insert(row.begin() + static_cast<std::ptrdiff_t>(axis), Dim(1));
    column.insert(column.begin() + static_cast<std::ptrdiff_t>(axis) + 1, Dim(1));
    Var other = reshape_to(builder, x, row), own = reshape_to(builder, x, column);
    auto apply = [&](const char* name, Var a, Var b) { return builder.apply(name, {a, b}); };
    Var before = apply(largest ? "greater" : "less", other, own),
        equal = apply("equal", other, own);
    if (is_float(x.dtype())) {
      Var other_nan = apply("not_equal", other, other), own_nan = apply("not_equal", own, own);
      Var above = largest
                      ? apply("logical_and", other_nan, builder.apply("logical_not", {own_nan}))
                      : apply("logical_and", own_nan, builder.apply("logical_not", {other_nan}));
      before = apply("logical_or", before, above);
      equal = apply("logical_or", equal, apply("logical_and", other_nan, own_nan));
    }
    Shape square{x.shape()[axis], x.shape()[axis]};
    auto count = [&](std::int64_t of) {
      return builder.apply("iota", {}, {{"shape", square}, {"axis", of}});
    };
    Shape aligned(column.size(), Dim(1));
    aligned[axis] = aligned[axis + 1] = x.shape()[axis];
    Var earlier = reshape_to(builder, apply("less", count(1), count(0)), aligned);
    before = apply("logical_or", before, apply("logical_and", equal, earlier));
    Var ones = builder.apply("cast", {before}, {{"dtype", DType::i64}});
    return {builder.apply("reduce_sum", {ones},
                          {{"axes", std::vector<std::int64_t>{signed_axis + 1}}})};
  };
  return without_gradient(std::move(op), "it is a step function: its results are integers");
}

// --- top_k -------------------------------------------------------------------

struct Selection {
  std::size_t axis;
  std::int64_t k;
  bool largest;
};

Selection selection_of(const OpInstance& instance) {
  return {axis_of(instance), instance.attributes.integer("k"),
          instance.attributes.boolean("largest")};
}

Var part(GraphBuilder& builder, Var x, std::size_t axis, const Dim& start, const Dim& limit) {
  Shape starts(x.shape().size(), Dim(0)), limits = x.shape();
  starts[axis] = start;
  limits[axis] = limit;
  return builder.apply("slice", {x}, {{"starts", starts}, {"limits", limits}});
}

Attributes along(std::size_t axis) { return {{"axis", static_cast<std::int64_t>(axis)}}; }

// The indices of the first k elements in order: each index is put where its rank says, those of
// rank k and above into one place behind.
Var sorted_indices(GraphBuilder& builder, Var x, const Selection& selection) {
  Attributes ranking = along(selection.axis);
  ranking.set("largest", selection.largest);
  Var rank = builder.apply("rank", {x}, std::move(ranking));
  Var place = builder.apply("minimum",
                            {rank, builder.scalar(DType::i64, static_cast<double>(selection.k))});
  Attributes counting = along(selection.axis);
  counting.set("shape", x.shape());
  Var index = builder.apply("iota", {}, std::move(counting));
  Shape shape = x.shape();
  shape[selection.axis] = selection.k + 1;
  Var blank = broadcast_to(builder, builder.scalar(DType::i64, 0), shape);
  Var placed = builder.apply("scatter_elements", {blank, place, index}, along(selection.axis));
  return part(builder, placed, selection.axis, 0, selection.k);
}

// The same of an axis of many blocks: of each block the first k, which keep their order among equal
// ones, and of those the first k.
Var first_indices(GraphBuilder& builder, Var x, const Selection& selection) {
  const Dim& size = x.shape()[selection.axis];
  std::int64_t block = std::max(kSortedBlock, 4 * selection.k);
  if (!size.is_constant() || size.value() < 4 * block) return sorted_indices(builder, x, selection);
  std::int64_t blocks = size.value() / block, whole = blocks * block;
  Shape apart = x.shape(), joined = x.shape(), aligned(x.shape().size() + 1, Dim(1));
  apart[selection.axis] = block;
  apart.insert(apart.begin() + static_cast<std::ptrdiff_t>(selection.axis), Dim(blocks));
  joined[selection.axis] = blocks * selection.k;
  aligned[selection.axis] = blocks;
  Selection inner = selection;
  ++inner.axis;
  Var best = sorted_indices(
      builder, reshape_to(builder, part(builder, x, selection.axis, 0, whole), apart), inner);
  Var first = builder.apply("iota", {}, {{"shape", Shape{blocks}}});
  first = builder.apply("mul", {first, builder.scalar(DType::i64, static_cast<double>(block))});
  Var candidates = reshape_to(
      builder, builder.apply("add", {best, reshape_to(builder, first, aligned)}), joined);
  if (whole < size.value()) {
    Attributes counting = along(selection.axis);
    Shape rest = x.shape();
    rest[selection.axis] = size.value() - whole;
    counting.set("shape", rest);
    Var index = builder.apply("add", {builder.apply("iota", {}, std::move(counting)),
                                      builder.scalar(DType::i64, static_cast<double>(whole))});
    candidates = builder.apply("concat", {candidates, index}, along(selection.axis));
  }
  Var values = builder.apply("gather_elements", {x, candidates}, along(selection.axis));
  return builder.apply("gather_elements", {candidates, first_indices(builder, values, selection)},
                       along(selection.axis));
}

OpDef top_k_op() {
  OpDef op = indexed({"top_k",
                      "The first k elements along an axis in order, and their indices.",
                      "The largest first, or the smallest; equal ones by their index. NaN is "
                      "larger than all numbers, and -0 "
                      "equals 0. The gradient goes to the elements that were taken. An axis of n "
                      "elements costs about max(256, 4 k) n comparisons, and n^2 where n is a "
                      "symbol.",
                      {"TopK"}});
  op.operands = {{"x", TypeSet::numbers}};
  op = with_attribute(std::move(op), "k", AttributeKind::integer,
                      "How many; at most the size of the axis.");
  op = with_axis(std::move(op));
  op = with_attribute(std::move(op), "largest", true,
                      "Begin with the largest, and not the smallest.");
  op.result_names = {"values", "indices"};
  op.infer = [](const OpInstance& instance) {
    const TensorType& x = instance.operand(0);
    Selection selection = selection_of(instance);
    const Dim& size = x.shape[selection.axis];
    if (selection.k < 0 || (size.is_constant() && selection.k > size.value()))
      throw Error(fmt::format("k is {}; of axis {} of {} it must be 0 to {}", selection.k,
                              selection.axis, to_string(x), size.to_string()));
    if (!size.is_constant() && !never_negative(size - Dim(selection.k)))
      throw Error(fmt::format(
          "k is {}, and axis {} of {} may be smaller; its size must be a number or at least k",
          selection.k, selection.axis, to_string(x)));
    Shape shape = x.shape;
    shape[selection.axis] = selection.k;
    return std::vector<TensorType>{{x.dtype, shape}, {DType::i64, shape}};
  };
  op.composite = [](GraphBuilder& builder, std::span<const Var> operands,
                    const Attributes& attributes) -> std::vector<Var> {
    Var x = operands[0];
    std::vector<TensorType> types{x.type()};
    Selection selection = selection_of({&get_op("top_k"), types, attributes});
    Var indices = first_indices(builder, x, selection);
    return {builder.apply("gather_elements", {x, indices}, along(selection.axis)), indices};
  };
  op.to_onnx = [](OnnxNodes& nodes, const OpInstance& instance,
                  std::span<const OnnxValue> operands) -> std::vector<OnnxValue> {
    Selection selection = selection_of(instance);
    std::int64_t count[] = {selection.k};
    return nodes.add_all(
        "TopK", {operands[0], nodes.integers(count)},
        {{"axis", static_cast<std::int64_t>(selection.axis)}, {"largest", selection.largest}}, 2);
  };
  return op;
}

// --- one_hot -----------------------------------------------------------------

OpDef one_hot_op() {
  OpDef op = indexed({"one_hot",
                      "A new axis with 1 where an index says, and 0 elsewhere.",
                      "Negative indices count from the end. An index that is out of range gives "
                      "zeros alone: it is no data "
                      "fault.",
                      {"OneHot"}});
  op.operands = {{"indices", TypeSet::integers}};
  op = with_attribute(std::move(op), "depth", AttributeKind::dims,
                      "The size of the new axis: a list of one.");
  op = with_axis(std::move(op));
  op = with_attribute(std::move(op), "dtype", DType::f32, "Element type of the result.");
  op.check = [](const OpInstance& instance) {
    const Shape& depth = instance.attributes.dims("depth");
    if (depth.size() != 1 || (depth[0].is_constant() && depth[0].value() < 0))
      throw Error(fmt::format("the attribute depth must be one size, not {}", to_string(depth)));
    instance.axis(instance.operand(0).rank() + 1);
  };
  op.composite = [](GraphBuilder& builder, std::span<const Var> operands,
                    const Attributes& attributes) -> std::vector<Var> {
    Var indices = operands[0];
    std::vector<TensorType> types{indices.type()};
    OpInstance instance{&get_op("one_hot"), types, attributes};
    auto axis = static_cast<std::size_t>(instance.axis(indices.type().rank() + 1));
    const Dim& depth = attributes.dims("depth")[0];
    Shape apart = indices.shape();
    apart.insert(apart.begin() + static_cast<std::ptrdiff_t>(axis), Dim(1));
    Shape row(apart.size() - axis, Dim(1));
    row.front() = depth;
    Var at = reshape_to(builder, places(builder, indices, depth), apart);
    Var here = builder.apply("equal", {at, builder.apply("iota", {}, {{"shape", row}})});
    DType type = attributes.dtype("dtype");
    return {type == DType::boolean ? here : builder.apply("cast", {here}, {{"dtype", type}})};
  };
  return without_gradient(std::move(op), "it is a step function of integers");
}

}  // namespace

void add_order_ops(OpTable& table) {
  table.add(arg_extreme_op(true));
  table.add(arg_extreme_op(false));
  table.add(rank_op());
  table.add(top_k_op());
  table.add(one_hot_op());
}

}  // namespace weir
