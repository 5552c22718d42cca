// Movement that is made of movement: extend, tile, split, trilu, depth_to_space and space_to_depth
// are bodies of slices, joins, reshapes and repetitions; reverse alone is an index map of its own.
// Kernels read through all of it, and the gradients are those of the bodies.

#include <algorithm>
#include <array>
#include <limits>

#include <fmt/format.h>

#include "ir/ops/helpers.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;

using Integers = std::vector<std::int64_t>;

// The part of an axis from `start` to `limit`.
Var part_of(GraphBuilder& builder, Var x, std::size_t axis, const Dim& start, const Dim& limit) {
  Shape starts(x.shape().size(), Dim(0)), limits = x.shape();
  if (start == Dim(0) && limit == limits[axis]) return x;
  starts[axis] = start;
  limits[axis] = limit;
  return builder.apply("slice", {x}, {{"starts", starts}, {"limits", limits}});
}

Var joined(GraphBuilder& builder, std::vector<Var> parts, std::size_t axis) {
  if (parts.size() == 1) return parts[0];
  return builder.apply("concat", std::move(parts), {{"axis", static_cast<std::int64_t>(axis)}});
}

Var reversed(GraphBuilder& builder, Var x, std::size_t axis) {
  return builder.apply("reverse", {x}, {{"axes", Integers{static_cast<std::int64_t>(axis)}}});
}

// A body gives the result of its only value.
OpDef with_body(OpDef op,
                std::function<Var(GraphBuilder&, Var x, const Attributes& attributes)> body) {
  op.composite = [body = std::move(body)](GraphBuilder& builder, std::span<const Var> operands,
                                          const Attributes& attributes) -> std::vector<Var> {
    return {body(builder, operands[0], attributes)};
  };
  return op;
}

// --- reverse -----------------------------------------------------------------

std::vector<int> reversed_axes(const OpInstance& instance) {
  int rank = instance.operand(0).rank();
  std::vector<int> axes = instance.axes(rank);
  if (axes.empty())
    for (int i = 0; i < rank; ++i) axes.push_back(i);
  return axes;
}

OpDef reverse_op() {
  OpDef op = with_attribute(
      movement({"reverse",
                "The elements along axes in the opposite order.",
                "The first element of an axis becomes the last. The gradient is reversed back.",
                {"Slice"}}),
      "axes", Integers{}, "Axes to reverse; negative ones count from the end. None means all.");
  op.infer = [](const OpInstance& instance) {
    reversed_axes(instance);
    return std::vector<TensorType>{instance.operand(0)};
  };
  op.comprehension = [](const OpInstance& instance) {
    return gather_from([shape = instance.operand(0).shape,
                        axes = reversed_axes(instance)](const Element& element) {
      std::vector<Expr> index(element.index.begin(), element.index.end());
      for (int axis : axes) {
        auto i = static_cast<std::size_t>(axis);
        index[i] = element.size(shape[i] - Dim(1)) - index[i];
      }
      return index;
    });
  };
  op.to_onnx = [](OnnxNodes& nodes, const OpInstance& instance,
                  std::span<const OnnxValue> operands) -> std::vector<OnnxValue> {
    Integers axes;  // with something to reverse: of an empty axis, ONNX's shapes say that one
                    // element is left
    for (int axis : reversed_axes(instance)) {
      const Dim& extent = instance.operand(0).shape[static_cast<std::size_t>(axis)];
      if (!extent.is_constant() || extent.value() > 1) axes.push_back(axis);
    }
    if (axes.empty()) return {operands[0]};
    Integers backwards(axes.size(), -1);
    Integers ends(axes.size(), std::numeric_limits<std::int64_t>::min());
    return {nodes.add("Slice", {operands[0], nodes.integers(backwards), nodes.integers(ends),
                                nodes.integers(axes), nodes.integers(backwards)})};
  };
  return with_moving_gradient(
      std::move(op), [](const GradientContext& context) -> std::vector<Var> {
        return {
            context.builder.apply("reverse", {context.cotangents[0]}, context.instance.attributes)};
      });
}

// --- extend ------------------------------------------------------------------

void check_extend(const OpInstance& instance) {
  const TensorType& x = instance.operand(0);
  const Shape &low = instance.attributes.dims("low"), &high = instance.attributes.dims("high");
  const std::string& mode = instance.attributes.text("mode");
  if (mode != "reflect" && mode != "edge" && mode != "wrap")
    throw Error(fmt::format("mode is \"{}\"; it must be one of reflect, edge, wrap", mode));
  if (low.size() != x.shape.size() || high.size() != x.shape.size())
    throw Error(fmt::format("low and high must have one entry for each axis of {}", to_string(x)));
  for (std::size_t i = 0; i < low.size(); ++i) {
    if (!never_negative(low[i]) || !never_negative(high[i]))
      throw Error(fmt::format("axis {} is extended by {} and {}; none may be negative", i,
                              low[i].to_string(), high[i].to_string()));
    if (low[i] == Dim(0) && high[i] == Dim(0)) continue;
    bool is_number = x.shape[i].is_constant() && low[i].is_constant() && high[i].is_constant();
    // So many elements can be copied to a side at once.
    Dim most = mode == "wrap" ? x.shape[i] : x.shape[i] - Dim(1);
    bool fits = mode == "edge" ? never_negative(most)
                               : never_negative(most - low[i]) && never_negative(most - high[i]);
    if (is_number ? x.shape[i] == Dim(0) : !fits)
      throw Error(fmt::format(
          "axis {} of {} is extended by {} and {} in the mode {}, and {}", i, to_string(x),
          low[i].to_string(), high[i].to_string(), mode,
          is_number ? "has no element"
                    : "may be too short for that (declare a dimension of at least k as N + k)"));
  }
}

// Mirrored about the first and the last element, as often as it takes.
Var reflected(GraphBuilder& builder, Var x, std::size_t axis, Dim low, Dim high) {
  while (low != Dim(0) || high != Dim(0)) {
    Dim last = x.shape()[axis] - Dim(1);
    Dim before = never_negative(last - low) ? low : last;
    Dim after = never_negative(last - high) ? high : last;
    std::vector<Var> parts{x};
    if (before != Dim(0))
      parts.insert(parts.begin(),
                   reversed(builder, part_of(builder, x, axis, 1, before + Dim(1)), axis));
    if (after != Dim(0))
      parts.push_back(reversed(builder, part_of(builder, x, axis, last - after, last), axis));
    x = joined(builder, std::move(parts), axis);
    low = low - before;
    high = high - after;
  }
  return x;
}

Var with_edges(GraphBuilder& builder, Var x, std::size_t axis, const Dim& low, const Dim& high) {
  auto repeated = [&](const Dim& place, const Dim& times) {
    Shape shape = x.shape();
    shape[axis] = times;
    return broadcast_to(builder, part_of(builder, x, axis, place, place + Dim(1)), shape);
  };
  std::vector<Var> parts;
  if (low != Dim(0)) parts.push_back(repeated(0, low));
  parts.push_back(x);
  if (high != Dim(0)) parts.push_back(repeated(x.shape()[axis] - Dim(1), high));
  return joined(builder, std::move(parts), axis);
}

// The elements again and again; the part before them is the end of a repetition.
Var wrapped(GraphBuilder& builder, Var x, std::size_t axis, const Dim& low, const Dim& high) {
  // As many repetitions that a side is a part of them.
  Var whole = x;
  auto size = [&] { return whole.shape()[axis]; };
  while (!never_negative(size() - low) || !never_negative(size() - high))
    whole = joined(builder, {whole, whole}, axis);
  std::vector<Var> parts;
  if (low != Dim(0)) parts.push_back(part_of(builder, whole, axis, size() - low, size()));
  parts.push_back(x);
  if (high != Dim(0)) parts.push_back(part_of(builder, whole, axis, 0, high));
  return joined(builder, std::move(parts), axis);
}

Var extend_body(GraphBuilder& builder, Var x, const Attributes& attributes) {
  const Shape &low = attributes.dims("low"), &high = attributes.dims("high");
  const std::string& mode = attributes.text("mode");
  for (std::size_t i = 0; i < low.size(); ++i) {
    if (low[i] == Dim(0) && high[i] == Dim(0)) continue;
    // An axis of one element is its own mirror image.
    bool edge = mode == "edge" || x.shape()[i] == Dim(1);
    x = edge             ? with_edges(builder, x, i, low[i], high[i])
        : mode == "wrap" ? wrapped(builder, x, i, low[i], high[i])
                         : reflected(builder, x, i, low[i], high[i]);
  }
  return x;
}

OpDef extend_op() {
  OpDef op = movement(
      {"extend",
       "Continued beyond the ends of its axes with its own elements.",
       "reflect mirrors about the first and the last element, which are not repeated; edge repeats "
       "them; wrap begins again at the other end. The axes one after the other, so that corners "
       "follow from the sides.",
       {"Pad"}});
  op = with_attribute(std::move(op), "low", AttributeKind::dims, "Elements before, for each axis.");
  op = with_attribute(std::move(op), "high", AttributeKind::dims, "Elements after, for each axis.");
  op = with_attribute(std::move(op), "mode", std::string("reflect"), "reflect, edge or wrap.");
  op.check = check_extend;
  op.to_onnx = [](OnnxNodes& nodes, const OpInstance& instance,
                  std::span<const OnnxValue> operands) -> std::vector<OnnxValue> {
    const Shape &low = instance.attributes.dims("low"), &high = instance.attributes.dims("high");
    const std::string& mode = instance.attributes.text("mode");
    if (mode == "wrap" || low.empty()) return {};
    // Runtimes mirror once.
    for (std::size_t i = 0; i < low.size(); ++i)
      for (const Dim& side : {low[i], high[i]})
        if (mode == "reflect" && !never_negative(instance.operand(0).shape[i] - Dim(1) - side))
          return {};
    Shape pads = low;
    pads.insert(pads.end(), high.begin(), high.end());
    return {nodes.add(instance.op->onnx.name, {operands[0], nodes.sizes(pads)}, {{"mode", mode}})};
  };
  return with_body(std::move(op), extend_body);
}

// --- tile, split, trilu ------------------------------------------------------

OpDef tile_op() {
  OpDef op = with_attribute(
      movement({"tile",
                "Repeated along its axes.",
                "The whole of an axis again and again. The gradient is the sum over the "
                "repetitions.",
                {"Tile"}}),
      "repeats", AttributeKind::dims, "How often, for each axis.");
  op.check = [](const OpInstance& instance) {
    const Shape& repeats = instance.attributes.dims("repeats");
    bool fits = repeats.size() == instance.operand(0).shape.size() &&
                std::all_of(repeats.begin(), repeats.end(), never_negative);
    if (!fits)
      throw Error(
          fmt::format("repeats is {}; it must have a number, 0 or more, for each axis of {}",
                      to_string(repeats), to_string(instance.operand(0))));
  };
  op.to_onnx = [](OnnxNodes& nodes, const OpInstance& instance,
                  std::span<const OnnxValue> operands) -> std::vector<OnnxValue> {
    return {nodes.add(instance.op->onnx.name,
                      {operands[0], nodes.sizes(instance.attributes.dims("repeats"))})};
  };
  return with_body(std::move(op), [](GraphBuilder& builder, Var x, const Attributes& attributes) {
    const Shape& repeats = attributes.dims("repeats");
    Shape apart, filled, merged;
    for (std::size_t i = 0; i < repeats.size(); ++i) {
      if (repeats[i] != Dim(1)) {
        apart.emplace_back(1);
        filled.push_back(repeats[i]);
      }
      apart.push_back(x.shape()[i]);
      filled.push_back(x.shape()[i]);
      merged.push_back(repeats[i] * x.shape()[i]);
    }
    Var spread = broadcast_to(builder, reshape_to(builder, x, apart), filled);
    return reshape_to(builder, spread, merged);
  });
}

void check_split(const OpInstance& instance) {
  const TensorType& x = instance.operand(0);
  if (x.rank() == 0) throw Error("a scalar has no axis to be split along");
  const Dim& whole = x.shape[static_cast<std::size_t>(instance.axis(x.rank()))];
  const Shape& sizes = instance.attributes.dims("sizes");
  Dim sum = 0;
  for (const Dim& size : sizes) {
    if (!never_negative(size))
      throw Error(fmt::format("a size is {}; none may be negative", size.to_string()));
    sum = sum + size;
  }
  if (sizes.empty() || sum != whole)
    throw Error(fmt::format("the sizes {} must add up to {}, the size of axis {} of {}",
                            to_string(sizes), whole.to_string(), instance.axis(x.rank()),
                            to_string(x)));
}

OpDef split_op() {
  OpDef op = movement({"split",
                       "Parts of the given sizes, one after the other along an axis.",
                       "There is a result for each size. The gradient puts the parts together.",
                       {"Split"}});
  op.result_names = {"part", "..."};
  op = with_attribute(std::move(op), "sizes", AttributeKind::dims, "Size of each part.");
  op = with_attribute(std::move(op), "axis", std::int64_t{0},
                      "The axis; negative counts from the end.");
  op.check = check_split;
  op.to_onnx = [](OnnxNodes& nodes, const OpInstance& instance,
                  std::span<const OnnxValue> operands) {
    const Shape& sizes = instance.attributes.dims("sizes");
    return nodes.add_all(instance.op->onnx.name, {operands[0], nodes.sizes(sizes)},
                         {{"axis", std::int64_t{instance.axis(instance.operand(0).rank())}}},
                         sizes.size());
  };
  op.composite = [](GraphBuilder& builder, std::span<const Var> operands,
                    const Attributes& attributes) {
    std::vector<TensorType> types{operands[0].type()};
    auto axis = static_cast<std::size_t>(
        OpInstance{&get_op("split"), types, attributes}.axis(types[0].rank()));
    std::vector<Var> parts;
    Dim start = 0;
    for (const Dim& size : attributes.dims("sizes")) {
      parts.push_back(part_of(builder, operands[0], axis, start, start + size));
      start = start + size;
    }
    return parts;
  };
  return op;
}

OpDef trilu_op() {
  OpDef op = movement({"trilu",
                       "The triangle of matrices above or below a diagonal, zeros in the other.",
                       "Row i keeps the columns from i + diagonal on, or up to it where upper is "
                       "false. The gradient has the same zeros.",
                       {"Trilu"}});
  op = with_attribute(std::move(op), "upper", true, "Whether the upper triangle is kept.");
  op = with_attribute(std::move(op), "diagonal", std::int64_t{0},
                      "0 for the main diagonal, 1 for the one above it, and so on.");
  op.check = [](const OpInstance& instance) {
    if (instance.operand(0).rank() < 2)
      throw Error(
          fmt::format("x is {}; it must have rows and columns", to_string(instance.operand(0))));
  };
  op.to_onnx = [](OnnxNodes& nodes, const OpInstance& instance,
                  std::span<const OnnxValue> operands) -> std::vector<OnnxValue> {
    Tensor diagonal = Tensor::from<std::int64_t>({instance.attributes.integer("diagonal")}, {});
    return {nodes.add(instance.op->onnx.name, {operands[0], nodes.constant(diagonal)},
                      {{"upper", instance.attributes.boolean("upper")}})};
  };
  return with_body(std::move(op), [](GraphBuilder& builder, Var x, const Attributes& attributes) {
    Shape matrix(x.shape().end() - 2, x.shape().end());
    auto count = [&](std::int64_t axis) {
      return builder.apply("iota", {}, {{"shape", matrix}, {"axis", axis}});
    };
    Var diagonal =
        builder.constant(Tensor::from<std::int64_t>({attributes.integer("diagonal")}, {}));
    Var kept = builder.apply(attributes.boolean("upper") ? "greater_equal" : "less_equal",
                             {builder.apply("sub", {count(1), count(0)}), diagonal});
    return builder.apply("select", {kept, x, builder.constant(Tensor(x.dtype(), {}))});
  });
}

// --- depth_to_space, space_to_depth ------------------------------------------

Dim block_of(const Attributes& attributes) { return attributes.integer("block"); }

// Runtimes have the nodes for f32 alone.
OpDef blocks(Text text) {
  OpDef op = with_attribute(movement(std::move(text)), "block", AttributeKind::integer,
                            "Rows and columns of a block.", "blocksize");
  op.to_onnx = [](OnnxNodes& nodes, const OpInstance& instance,
                  std::span<const OnnxValue> operands) -> std::vector<OnnxValue> {
    if (instance.operand(0).dtype != DType::f32) return {};
    Attributes attributes{{"blocksize", instance.attributes.integer("block")}};
    if (const Attribute* mode = instance.attributes.find("mode")) attributes.set("mode", *mode);
    return {nodes.add(instance.op->onnx.name, {operands[0]}, attributes)};
  };
  return op;
}

// `divided`: the dimensions that blocks, or their elements, must divide.
void check_blocks(const OpInstance& instance, std::span<const std::size_t> divided, bool squared) {
  const TensorType& x = instance.operand(0);
  Dim block = block_of(instance.attributes);
  if (x.rank() != 4 || !never_negative(block - Dim(1)))
    throw Error(
        fmt::format("x is {} and block is {}; there must be four dimensions and blocks of "
                    "at least 1",
                    to_string(x), block.to_string()));
  for (std::size_t axis : divided)
    if (Dim by = squared ? block * block : block; !x.shape[axis].divided_by(by))
      throw Error(
          fmt::format("axis {} of {} does not divide by {}", axis, to_string(x), by.to_string()));
}

Var rearranged(GraphBuilder& builder, Var x, const Shape& apart, Integers permutation,
               const Shape& result) {
  Var moved = builder.apply("transpose", {reshape_to(builder, x, apart)},
                            {{"permutation", std::move(permutation)}});
  return reshape_to(builder, moved, result);
}

OpDef depth_to_space_op() {
  OpDef op = blocks({"depth_to_space",
                     "Channels become blocks of rows and columns.",
                     "x is [batch, channels, height, width]. In the mode DCR a channel's number is "
                     "that of its place in the block times the number of channels left, plus that "
                     "of the channel left; in CRD it is the other way round.",
                     {"DepthToSpace", 1}});
  op = with_attribute(std::move(op), "mode", std::string("DCR"), "DCR or CRD.", "mode");
  op.check = [](const OpInstance& instance) {
    check_blocks(instance, std::array<std::size_t, 1>{1}, true);
    const std::string& mode = instance.attributes.text("mode");
    if (mode != "DCR" && mode != "CRD")
      throw Error(fmt::format("mode is \"{}\"; it must be DCR or CRD", mode));
  };
  return with_body(std::move(op), [](GraphBuilder& builder, Var x, const Attributes& attributes) {
    const Shape& s = x.shape();
    Dim block = block_of(attributes), depth = *s[1].divided_by(block * block);
    bool blocks_first = attributes.text("mode") == "DCR";
    Shape apart = blocks_first ? Shape{s[0], block, block, depth, s[2], s[3]}
                               : Shape{s[0], depth, block, block, s[2], s[3]};
    Integers permutation = blocks_first ? Integers{0, 3, 4, 1, 5, 2} : Integers{0, 1, 4, 2, 5, 3};
    return rearranged(builder, x, apart, std::move(permutation),
                      {s[0], depth, s[2] * block, s[3] * block});
  });
}

OpDef space_to_depth_op() {
  OpDef op = blocks({"space_to_depth",
                     "Blocks of rows and columns become channels.",
                     "x is [batch, channels, height, width]. The opposite of depth_to_space in the "
                     "mode DCR.",
                     {"SpaceToDepth", 1}});
  op.check = [](const OpInstance& instance) {
    check_blocks(instance, std::array<std::size_t, 2>{2, 3}, false);
  };
  return with_body(std::move(op), [](GraphBuilder& builder, Var x, const Attributes& attributes) {
    const Shape& s = x.shape();
    Dim block = block_of(attributes);
    Dim height = *s[2].divided_by(block), width = *s[3].divided_by(block);
    return rearranged(builder, x, {s[0], s[1], height, block, width, block}, {0, 3, 5, 1, 2, 4},
                      {s[0], s[1] * block * block, height, width});
  });
}

}  // namespace

void add_rearrange_ops(OpTable& table) {
  table.add(reverse_op());
  table.add(extend_op());
  table.add(tile_op());
  table.add(split_op());
  table.add(trilu_op());
  table.add(depth_to_space_op());
  table.add(space_to_depth_op());
}

}  // namespace weir
