// Scatters: x with updates at indices that an operand holds, put there or combined with what stands
// there.
//
// Updates of one place follow each other in the row-major order of the updates, whatever runs them:
// the axes along which two of them may meet are the steps' axes in order, and the others are
// independent. The gradient of an update is taken from its place; an update that is overwritten or
// outdone has none.

#include <limits>

#include <fmt/format.h>

#include "ir/ops/indexed.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;

enum class Mode { none, add, mul, max, min };

Mode mode_of(const Attributes& attributes) {
  const std::string& text = attributes.text("reduction");
  if (text == "none") return Mode::none;
  if (text == "add") return Mode::add;
  if (text == "mul") return Mode::mul;
  if (text == "max") return Mode::max;
  if (text == "min") return Mode::min;
  throw Error(fmt::format(
      "the attribute reduction must be \"none\", \"add\", \"mul\", \"max\" or \"min\", not \"{}\"",
      text));
}

Expr combined(Mode mode, Expr old, Expr update) {
  switch (mode) {
    case Mode::none:
      return update;
    case Mode::add:
      return old + update;
    case Mode::mul:
      return old * update;
    case Mode::max:
      return max(old, update);
    case Mode::min:
      return min(old, update);
  }
  return update;
}

// --- Both forms --------------------------------------------------------------

// The places of a scatter's updates, in a graph.
class Places {
 public:
  Places(GraphBuilder& builder, const OpInstance& instance, Var indices)
      : builder_(builder), instance_(instance), indices_(indices) {
    by_tuples_ = instance.attributes.find("batch_dims") != nullptr;
  }

  // The elements at the places.
  Var take(Var x) const {
    return builder_.apply(by_tuples_ ? "gather_nd" : "gather_elements", {x, indices_},
                          attributes());
  }
  Var put(Var x, Var updates, const char* reduction) const {
    Attributes with_reduction = attributes();
    with_reduction.set("reduction", std::string(reduction));
    return builder_.apply(instance_.op->name, {x, indices_, updates}, std::move(with_reduction));
  }
  // A number for each update, ascending in the order in which those of one place follow each other.
  Var numbers() const {
    const Shape& shape = instance_.operand(2).shape;
    if (!by_tuples_)
      return builder_.apply(
          "iota", {}, {{"shape", shape}, {"axis", static_cast<std::int64_t>(axis_of(instance_))}});
    TupleLayout layout = tuple_layout(instance_);
    Shape aligned(shape.size(), Dim(1));
    std::copy(layout.tuples.begin(), layout.tuples.end(),
              aligned.begin() + static_cast<std::ptrdiff_t>(layout.batch));
    Var count = builder_.apply("iota", {}, {{"shape", Shape{element_count(layout.tuples)}}});
    return broadcast_to(builder_, reshape_to(builder_, count, aligned), shape);
  }

 private:
  Attributes attributes() const {
    const char* name = by_tuples_ ? "batch_dims" : "axis";
    return {{name, instance_.attributes.integer(name)}};
  }

  GraphBuilder& builder_;
  const OpInstance& instance_;
  Var indices_;
  bool by_tuples_;
};

class ScatterGradient {
 public:
  explicit ScatterGradient(const GradientContext& context)
      : context_(context),
        builder_(context.builder),
        places_(context.builder, context.instance, context.operands[1]) {}

  std::vector<Var> run() {
    Var g = context_.cotangents[0];
    Var x = context_.operands[0], updates = context_.operands[2];
    switch (mode_of(context_.instance.attributes)) {
      case Mode::none: {
        Var numbers = places_.numbers();
        Var last = places_.put(filled(DType::i64, -1), numbers, "none");
        Var is_last = apply("equal", places_.take(last), numbers);
        return {places_.put(g, like(updates, 0), "none"), {}, select(is_last, places_.take(g))};
      }
      case Mode::add:
        return {g, {}, places_.take(g)};
      case Mode::mul:
        return {apply("mul", g, places_.put(like(x, 1), updates, "mul")),
                {},
                apply("mul", places_.take(g), product_of_others(x, updates))};
      case Mode::max:
      case Mode::min:
        break;
    }
    // Of equal extremes x goes first, then the update with the lowest number.
    Var result = context_.results[0];
    Var is_x = same(x, result), is_extreme = same(updates, places_.take(result));
    Var numbers = places_.numbers();
    Var none = builder_.scalar(
        DType::i64, static_cast<double>(std::numeric_limits<std::int32_t>::max()) * 1048576.0);
    Var first = places_.put(broadcast_to(builder_, none, x.shape()),
                            builder_.apply("select", {is_extreme, numbers, none}), "min");
    Var is_first = apply("logical_and", is_extreme, apply("equal", places_.take(first), numbers));
    Var is_update =
        apply("logical_and", is_first, builder_.apply("logical_not", {places_.take(is_x)}));
    return {select(is_x, g), {}, select(is_update, places_.take(g))};
  }

 private:
  Var apply(const char* op, Var a, Var b) { return builder_.apply(op, {a, b}); }
  Var like(Var value, double number) {
    return broadcast_to(builder_, builder_.scalar(value.dtype(), number), value.shape());
  }
  Var filled(DType type, double number) {
    return broadcast_to(builder_, builder_.scalar(type, number), context_.operands[0].shape());
  }
  Var select(Var condition, Var value) {
    return builder_.apply("select", {condition, value, like(value, 0)});
  }
  Var same(Var a, Var b) {
    return apply("logical_or", apply("equal", a, b),
                 apply("logical_and", apply("not_equal", a, a), apply("not_equal", b, b)));
  }

  // For each update, the product of everything else at its place: the product of what is not zero
  // there, over the update if that is not; and zero if any other is.
  Var product_of_others(Var x, Var updates) {
    Var one = builder_.scalar(x.dtype(), 1), zero = builder_.scalar(x.dtype(), 0);
    auto is_zero = [&](Var value) { return apply("equal", value, zero); };
    auto counted = [&](Var value) {
      return builder_.apply("cast", {is_zero(value)}, {{"dtype", DType::i64}});
    };
    auto without_zeros = [&](Var value) {
      return builder_.apply("select", {is_zero(value), one, value});
    };
    Var product = places_.take(places_.put(without_zeros(x), without_zeros(updates), "mul"));
    Var zeros = places_.take(places_.put(counted(x), counted(updates), "add"));
    Var others = apply("sub", zeros, counted(updates));
    Var only = apply("equal", others, builder_.scalar(DType::i64, 0));
    return builder_.apply("select", {only, apply("div", product, without_zeros(updates)), zero});
  }

  const GradientContext& context_;
  GraphBuilder& builder_;
  Places places_;
};

OpDef scatter(Text text) {
  std::string name = text.name;
  OpDef op = indexed(std::move(text));
  op.operands = {{"x", TypeSet::any}, index_spec(), {"updates", TypeSet::any}};
  op.check = [](const OpInstance& instance) {
    if (mode_of(instance.attributes) != Mode::none && instance.operand(0).dtype == DType::boolean)
      throw Error(
          "bools are put in their places, and not combined; the attribute reduction must be "
          "\"none\"");
  };
  // What is combined in f16 or bf16 is combined in f32, and rounded once.
  op.composite = [name](GraphBuilder& builder, std::span<const Var> operands,
                        const Attributes& attributes) -> std::vector<Var> {
    return {builder.apply(name, {operands[0], operands[1], operands[2]}, attributes)};
  };
  op.is_composite = [](const OpInstance& instance) {
    return is_half(instance.operand(0).dtype) && mode_of(instance.attributes) != Mode::none;
  };
  return with_gradient(
      std::move(op), [](const GradientContext& context) { return ScatterGradient(context).run(); });
}

OpDef with_reduction(OpDef op) {
  return with_attribute(
      std::move(op), "reduction", std::string("none"),
      "What an update does with what stands there: none (takes its place), add, mul, max or min.");
}

void check_updates(const OpInstance& instance, const Shape& shape) {
  if (instance.operand(2).shape == shape) return;
  throw Error(fmt::format("the updates are {}; they must be {}, one for each place",
                          to_string(instance.operand(2)), to_string(shape)));
}

// ONNX has the names of the modes; of opset 17 are all but max and min.
std::optional<std::string> onnx_reduction(const OpInstance& instance) {
  Mode mode = mode_of(instance.attributes);
  if (mode == Mode::max || mode == Mode::min) return std::nullopt;
  return instance.attributes.text("reduction");
}

// --- scatter_elements --------------------------------------------------------

// For an extreme, which opset 17 does not have: what is put at each place is compared with every
// place along the axis.
std::vector<Var> extreme_by_comparison(GraphBuilder& builder, std::span<const Var> operands,
                                       const Attributes& attributes) {
  Var x = operands[0], updates = operands[2];
  std::vector<TensorType> types{x.type(), operands[1].type(), updates.type()};
  OpInstance instance{&get_op("scatter_elements"), types, attributes};
  std::size_t axis = axis_of(instance);
  bool largest = mode_of(attributes) == Mode::max;
  const Dim& size = x.shape()[axis];
  Shape apart = updates.shape();
  apart.insert(apart.begin() + static_cast<std::ptrdiff_t>(axis), Dim(1));
  Shape counted(apart.size() - axis, Dim(1));
  counted.front() = size;
  Var at = reshape_to(builder, places(builder, operands[1], size), apart);
  Var here = builder.apply("equal", {at, builder.apply("iota", {}, {{"shape", counted}})});
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Tensor none(x.dtype(), {});
  none.set_bits(0, scalar::bits_of(x.dtype(), largest ? -kInfinity : kInfinity));
  Var candidates =
      builder.apply("select", {here, reshape_to(builder, updates, apart), builder.constant(none)});
  Var extreme =
      builder.apply(largest ? "reduce_max" : "reduce_min", {candidates},
                    {{"axes", std::vector<std::int64_t>{static_cast<std::int64_t>(axis) + 1}}});
  const char* combine = largest ? "maximum" : "minimum";
  Shape reached = x.shape();
  for (std::size_t i = 0; i < reached.size(); ++i)
    if (i != axis) reached[i] = updates.shape()[i];
  if (reached == x.shape()) return {builder.apply(combine, {x, extreme})};
  // The part of x that the updates reach, and the rest around it axis by axis.
  auto part = [&](Var of, const Shape& starts, const Shape& limits) {
    return builder.apply("slice", {of}, {{"starts", starts}, {"limits", limits}});
  };
  Shape zero(reached.size(), Dim(0));
  Var result = builder.apply(combine, {part(x, zero, reached), extreme});
  for (std::size_t i = 0; i < reached.size(); ++i) {
    if (reached[i] == x.shape()[i]) continue;
    Shape starts = zero, limits = result.shape();
    starts[i] = reached[i];
    limits[i] = x.shape()[i];
    result = builder.apply("concat", {result, part(x, starts, limits)},
                           {{"axis", static_cast<std::int64_t>(i)}});
  }
  return {result};
}

// A step for each update, put at its place in the result. Along `count` axes of the updates from
// `first` on, places may meet.
Steps updates_in_order(const OpInstance& instance, std::size_t first, std::size_t count,
                       std::function<std::vector<Expr>(const Element&)> place_of) {
  Steps steps;
  steps.extents = instance.operand(2).shape;
  steps.in_order.assign(steps.extents.size(), false);
  for (std::size_t i = 0; i < count; ++i) steps.in_order[first + i] = true;
  steps.start = 0;
  steps.body = [place_of = std::move(place_of),
                mode = mode_of(instance.attributes)](const Element& element) {
    std::vector<Expr> at = place_of(element);
    Expr update = element.load(2, element.index);
    Expr value =
        mode == Mode::none ? update : combined(mode, element.load(Element::kResult, at), update);
    return Steps::Step{at, value};
  };
  return steps;
}

OpDef scatter_elements_op() {
  OpDef op =
      scatter({"scatter_elements",
               "x with each update in its own place but along one axis, where indices have it.",
               "indices and updates have one shape and as many axes as x, none of them larger but "
               "that one. Updates of one place "
               "follow each other in order: the last one stays, or each is combined with what "
               "stands there. Negative indices "
               "count from the end; one that is out of range is a data fault. f16 and bf16 are "
               "combined in f32. The gradient "
               "goes to the update that stays; of equal extremes, to x or else the first.",
               {"ScatterElements"}});
  op = with_reduction(with_attribute(std::move(op), "axis", std::int64_t{0},
                                     "The axis; negative counts from the end."));
  op.infer = [](const OpInstance& instance) {
    check_along_axis(instance, axis_of(instance));
    check_updates(instance, instance.operand(1).shape);
    return std::vector<TensorType>{instance.operand(0)};
  };
  op.index_operands = [](const OpInstance& instance) {
    return std::vector<IndexOperand>{{1, {instance.operand(0).shape[axis_of(instance)]}}};
  };
  op.steps = [](const OpInstance& instance) {
    std::size_t axis = axis_of(instance);
    return updates_in_order(instance, axis, 1, [axis](const Element& element) {
      std::vector<Expr> at(element.index.begin(), element.index.end());
      at[axis] = place(element, 1, element.index, element.instance.operand(0).shape[axis]);
      return at;
    });
  };
  op.to_onnx = [](OnnxNodes& nodes, const OpInstance& instance,
                  std::span<const OnnxValue> operands) -> std::vector<OnnxValue> {
    std::optional<std::string> reduction = onnx_reduction(instance);
    if (!reduction) return {};
    return {nodes.add(
        "ScatterElements",
        {operands[0], onnx_indices(nodes, instance, operands, false), operands[2]},
        {{"axis", static_cast<std::int64_t>(axis_of(instance))}, {"reduction", *reduction}})};
  };
  op.onnx_body = extreme_by_comparison;
  return op;
}

// --- scatter_nd --------------------------------------------------------------

// As a scatter along one axis, of all that the tuples index.
std::vector<Var> along_one_axis(GraphBuilder& builder, std::span<const Var> operands,
                                const Attributes& attributes) {
  Var x = operands[0], indices = operands[1], updates = operands[2];
  std::vector<TensorType> types{x.type(), indices.type(), updates.type()};
  TupleLayout layout = tuple_layout({&get_op("scatter_nd"), types, attributes});
  Dim batch = product(std::span(x.shape()).first(layout.batch));
  Dim tuples = element_count(layout.tuples), rest = element_count(layout.rest);
  auto count = static_cast<std::int64_t>(layout.sizes.size());
  Var flat = reshape_to(builder, indices, {batch, tuples, count});
  Var position;
  for (std::int64_t k = 0; k < count; ++k) {
    Var one = builder.apply("slice", {flat},
                            {{"starts", Shape{0, 0, k}}, {"limits", Shape{batch, tuples, k + 1}}});
    const Dim& size = layout.sizes[static_cast<std::size_t>(k)];
    one = places(builder, one, size);
    if (!position.valid()) {
      position = one;
      continue;
    }
    Var scale = builder.apply("size_of", {}, {{"dims", Shape{size}}});
    position = builder.apply("add", {builder.apply("mul", {position, scale}), one});
  }
  Shape apart{batch, element_count(layout.sizes), rest}, put{batch, tuples, rest};
  Var result =
      builder.apply("scatter_elements",
                    {reshape_to(builder, x, apart), broadcast_to(builder, position, put),
                     reshape_to(builder, updates, put)},
                    {{"axis", std::int64_t{1}}, {"reduction", attributes.text("reduction")}});
  return {reshape_to(builder, result, x.shape())};
}

OpDef scatter_nd_op() {
  OpDef op = scatter({"scatter_nd",
                      "x with updates at tuples of indices.",
                      "The last dimension of indices holds an index for each of the first axes of "
                      "x, behind batch_dims axes that all have "
                      "in common; updates have what gather_nd finds. Updates of one place follow "
                      "each other in order: the last one stays, "
                      "or each is combined with what stands there. Negative indices count from the "
                      "end; one that is out of range is a "
                      "data fault. f16 and bf16 are combined in f32. The gradient goes to the "
                      "update that stays; of equal extremes, to x "
                      "or else the first.",
                      {"ScatterND"}});
  op = with_reduction(with_attribute(std::move(op), "batch_dims", std::int64_t{0},
                                     "Leading axes that x and indices have in common."));
  op.infer = [](const OpInstance& instance) {
    const TensorType& x = instance.operand(0);
    check_updates(instance, tuple_layout(instance).found(x.shape));
    return std::vector<TensorType>{x};
  };
  op.index_operands = [](const OpInstance& instance) {
    return std::vector<IndexOperand>{{1, tuple_layout(instance).sizes}};
  };
  op.steps = [](const OpInstance& instance) {
    TupleLayout layout = tuple_layout(instance);
    return updates_in_order(
        instance, layout.batch, layout.tuples.size(),
        [layout](const Element& element) { return tuple_place(element, layout); });
  };
  op.to_onnx = [](OnnxNodes& nodes, const OpInstance& instance,
                  std::span<const OnnxValue> operands) -> std::vector<OnnxValue> {
    std::optional<std::string> reduction = onnx_reduction(instance);
    if (!reduction || instance.attributes.integer("batch_dims") != 0) return {};
    return {nodes.add("ScatterND",
                      {operands[0], onnx_indices(nodes, instance, operands, true), operands[2]},
                      {{"reduction", *reduction}})};
  };
  op.onnx_body = along_one_axis;
  return op;
}

}  // namespace

void add_scatter_ops(OpTable& table) {
  table.add(scatter_elements_op());
  table.add(scatter_nd_op());
}

}  // namespace weir
