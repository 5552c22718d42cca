// Parts of tensors: slice takes one out, concat joins some, pad frames one. Movement, too: index
// maps, with guards where an element may come from nowhere.
//
// Offsets and lengths may be symbolic. Whatever keeps indices within the operands is required for
// every value of the symbols when the node is made, so nothing is left to check at a call.

#include <algorithm>

#include <fmt/format.h>

#include "ir/ops/helpers.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;

using Integers = std::vector<std::int64_t>;

// --- slice -------------------------------------------------------------------

Integers strides_of(const OpInstance& instance) {
  Integers strides = instance.attributes.integers("strides");
  if (strides.empty()) strides.assign(instance.operand(0).shape.size(), 1);
  return strides;
}

void check_slice(const OpInstance& instance) {
  const TensorType& x = instance.operand(0);
  const Shape &starts = instance.attributes.dims("starts"),
              &limits = instance.attributes.dims("limits");
  Integers strides = strides_of(instance);
  if (starts.size() != x.shape.size() || limits.size() != x.shape.size() ||
      strides.size() != x.shape.size())
    throw Error(fmt::format("starts, limits and strides must have one entry for each axis of {}",
                            to_string(x)));
  for (std::size_t i = 0; i < starts.size(); ++i) {
    if (strides[i] < 1)
      throw Error(fmt::format("the stride {} of axis {} must be at least 1", strides[i], i));
    const Dim length = limits[i] - starts[i];
    const bool ends_first = length.is_constant() && length.value() < 0;
    if (!never_negative(starts[i]) || ends_first || !never_negative(x.shape[i] - limits[i]))
      throw Error(fmt::format(
          "axis {} of {} is cut from {} to {}; 0 <= start <= limit <= {} must hold{}", i,
          to_string(x), starts[i].to_string(), limits[i].to_string(), x.shape[i].to_string(),
          x.shape[i].is_constant() && limits[i].is_constant()
              ? ""
              : " for all symbols from 0 on (declare a dimension of at least k as N + k)"));
  }
}

// A limit may lie before its start for some symbols, whose calls are refused: along an axis that a
// window makes, W - 2, all of it is a part too.
std::vector<SizeNeed> slice_needs(const OpInstance& instance) {
  const Shape &starts = instance.attributes.dims("starts"),
              &limits = instance.attributes.dims("limits");
  std::vector<SizeNeed> needs;
  for (std::size_t i = 0; i < starts.size(); ++i)
    needs.push_back({limits[i] - starts[i],
                     fmt::format("axis {} of {} is cut from {} to {}, which lies before it", i,
                                 to_string(instance.operand(0)), starts[i].to_string(),
                                 limits[i].to_string())});
  return needs;
}

// How many steps of `stride` begin before `length`.
Dim step_count(const Dim& length, std::int64_t stride) {
  return floor_quotient(length - Dim(1), stride) + Dim(1);
}

// Extent of `count` elements with `interior` gaps between neighbours.
Dim spread_extent(const Dim& count, std::int64_t interior) {
  if (interior == 0 || count == Dim(0)) return count;
  return count * (Dim(interior) + Dim(1)) - Dim(interior);
}

// Each element goes back to where it was taken from; zero elsewhere.
std::vector<Var> slice_gradient(const GradientContext& context) {
  const Shape& operand = context.instance.operand(0).shape;
  const Shape& starts = context.instance.attributes.dims("starts");
  Shape high;
  Integers interior;
  Integers strides = strides_of(context.instance);
  for (std::size_t i = 0; i < operand.size(); ++i) {
    interior.push_back(strides[i] - 1);
    high.push_back(operand[i] - starts[i] -
                   spread_extent(context.results[0].shape()[i], strides[i] - 1));
  }
  return {context.builder.apply("pad", {context.cotangents[0]},
                                {{"low", starts}, {"high", high}, {"interior", interior}})};
}

std::vector<OnnxValue> slice_to_onnx(OnnxNodes& nodes, const OpInstance& instance,
                                     std::span<const OnnxValue> operands) {
  const Shape &starts = instance.attributes.dims("starts"),
              &limits = instance.attributes.dims("limits");
  Integers strides = strides_of(instance), axes, steps;
  Shape first, last;  // of the axes that are cut
  for (std::size_t i = 0; i < starts.size(); ++i) {
    if (starts[i] == Dim(0) && limits[i] == instance.operand(0).shape[i] && strides[i] == 1)
      continue;
    first.push_back(starts[i]);
    last.push_back(limits[i]);
    axes.push_back(static_cast<std::int64_t>(i));
    steps.push_back(strides[i]);
  }
  if (axes.empty()) return {operands[0]};
  return {nodes.add(instance.op->onnx.name, {operands[0], nodes.sizes(first), nodes.sizes(last),
                                             nodes.integers(axes), nodes.integers(steps)})};
}

// Of a slice that takes every element along all axes but one, and steps along none.
std::optional<AxisRange> part_that_slice_is(const OpInstance& instance) {
  const Shape& whole = instance.operand(0).shape;
  const Shape &starts = instance.attributes.dims("starts"),
              &limits = instance.attributes.dims("limits");
  const Integers strides = strides_of(instance);
  std::optional<AxisRange> part;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    if (strides[i] != 1) return std::nullopt;
    if (starts[i] == Dim(0) && limits[i] == whole[i]) continue;
    if (part) return std::nullopt;
    part = AxisRange{i, starts[i], limits[i]};
  }
  return part;
}

OpDef slice_op() {
  OpDef op = movement(
      {"slice",
       "A part along each axis: from start, below limit, in steps.",
       "Element i of an axis is element start + i * stride of x. Everything must lie within x "
       "for every value of the symbols; that no limit is below its start is checked at the call. "
       "The gradient is padded back with zeros.",
       {"Slice"}});
  op = with_attribute(std::move(op), "starts", AttributeKind::dims, "First index, for each axis.");
  op = with_attribute(std::move(op), "limits", AttributeKind::dims,
                      "Index to stop before, for each axis.");
  op = with_attribute(std::move(op), "strides", Integers{}, "Step, for each axis; none means 1.");
  op.check = check_slice;
  op.size_needs = slice_needs;
  op.infer = [](const OpInstance& instance) {
    TensorType result{instance.operand(0).dtype, {}};
    const Shape &starts = instance.attributes.dims("starts"),
                &limits = instance.attributes.dims("limits");
    Integers strides = strides_of(instance);
    for (std::size_t i = 0; i < starts.size(); ++i)
      result.shape.push_back(step_count(limits[i] - starts[i], strides[i]));
    return std::vector<TensorType>{std::move(result)};
  };
  op.comprehension = [](const OpInstance& instance) {
    return gather_from([starts = instance.attributes.dims("starts"),
                        strides = strides_of(instance)](const Element& element) {
      std::vector<Expr> index;
      for (std::size_t i = 0; i < starts.size(); ++i) {
        Expr at = strides[i] == 1 ? element.index[i] : element.index[i] * strides[i];
        index.push_back(starts[i] == Dim(0) ? at : at + element.size(starts[i]));
      }
      return index;
    });
  };
  op.part = part_that_slice_is;
  op.to_onnx = slice_to_onnx;
  return with_moving_gradient(std::move(op), slice_gradient);
}

// --- concat ------------------------------------------------------------------

// Where each operand begins along the axis; the last entry is the result's extent.
std::vector<Dim> concat_offsets(const OpInstance& instance) {
  auto axis = static_cast<std::size_t>(instance.axis(instance.operand(0).rank()));
  std::vector<Dim> offsets{Dim(0)};
  for (const TensorType& operand : instance.operands)
    offsets.push_back(offsets.back() + operand.shape[axis]);
  return offsets;
}

// The parts of the result that the operands are.
std::vector<AxisRange> parts_of_concat(const OpInstance& instance) {
  const std::vector<Dim> offsets = concat_offsets(instance);
  std::vector<AxisRange> parts;
  for (std::size_t k = 0; k + 1 < offsets.size(); ++k)
    parts.push_back({axis_of(instance), offsets[k], offsets[k + 1]});
  return parts;
}

std::vector<TensorType> infer_concat(const OpInstance& instance) {
  const TensorType& first = instance.operand(0);
  if (first.rank() == 0)
    throw Error("scalars have no axis to be joined along; reshape them to [1]");
  auto axis = static_cast<std::size_t>(instance.axis(first.rank()));
  for (const TensorType& operand : instance.operands) {
    bool fits = operand.rank() == first.rank();
    for (std::size_t i = 0; fits && i < first.shape.size(); ++i)
      fits = i == axis || operand.shape[i] == first.shape[i];
    if (!fits)
      throw Error(fmt::format("{} and {} must be the same but for axis {}", to_string(first),
                              to_string(operand), axis));
  }
  TensorType result = first;
  result.shape[axis] = concat_offsets(instance).back();
  return {std::move(result)};
}

Comprehension concat_comprehension(const OpInstance& instance) {
  auto axis = static_cast<std::size_t>(instance.axis(instance.operand(0).rank()));
  Comprehension result;
  result.body = [axis, offsets = concat_offsets(instance)](const Element& element) {
    std::size_t count = offsets.size() - 1;
    if (count == 1) return std::vector<Expr>{element.load(0, element.index)};
    DType type = element.instance.operand(0).dtype;
    Expr value(element.arena, element.arena.constant(type, 0.0));
    Expr at = element.index[axis];
    for (std::size_t k = 0; k < count; ++k) {
      std::vector<Expr> index(element.index.begin(), element.index.end());
      if (k > 0) index[axis] = at - element.size(offsets[k]);
      Expr guard;
      if (k > 0) guard = at >= element.size(offsets[k]);
      if (k + 1 < count) {
        Expr below = at < element.size(offsets[k + 1]);
        guard = guard.valid() ? guard & below : below;
      }
      value = element.load_if(static_cast<int>(k), guard, value, index);
    }
    return std::vector<Expr>{value};
  };
  return result;
}

OpDef concat_op() {
  OpDef op = with_attribute(
      movement({"concat",
                "Tensors one after the other along an axis.",
                "All other dimensions must be the same. The gradient of each operand is "
                "its slice.",
                {"Concat", 4}}),
      "axis", AttributeKind::integer, "The axis; negative counts from the end.", "axis");
  op.operands = {{"inputs", TypeSet::any, OperandSpec::Presence::variadic}};
  op.infer = infer_concat;
  op.comprehension = concat_comprehension;
  op.operand_ranges = parts_of_concat;
  return with_moving_gradient(std::move(op), [](const GradientContext& context) {
    const Shape& whole = context.results[0].shape();
    const std::vector<AxisRange> parts = parts_of_concat(context.instance);
    std::vector<Var> gradients(context.operands.size());
    for (std::size_t k = 0; k < gradients.size(); ++k)
      if (context.wanted[k])
        gradients[k] = context.builder.apply("slice", {context.cotangents[0]},
                                             slice_attributes(whole, parts[k]));
    return gradients;
  });
}

// --- pad ---------------------------------------------------------------------

Integers interior_of(const OpInstance& instance) {
  Integers interior = instance.attributes.integers("interior");
  if (interior.empty()) interior.assign(instance.operand(0).shape.size(), 0);
  return interior;
}

std::vector<TensorType> infer_pad(const OpInstance& instance) {
  const TensorType& x = instance.operand(0);
  const Shape &low = instance.attributes.dims("low"), &high = instance.attributes.dims("high");
  Integers interior = interior_of(instance);
  if (low.size() != x.shape.size() || high.size() != x.shape.size() ||
      interior.size() != x.shape.size())
    throw Error(fmt::format("low, high and interior must have one entry for each axis of {}",
                            to_string(x)));
  TensorType result{x.dtype, {}};
  for (std::size_t i = 0; i < low.size(); ++i) {
    if (!never_negative(low[i]) || !never_negative(high[i]) || interior[i] < 0)
      throw Error(fmt::format("axis {} is padded by {}, {} and {}; none may be negative", i,
                              low[i].to_string(), high[i].to_string(), interior[i]));
    result.shape.push_back(low[i] + spread_extent(x.shape[i], interior[i]) + high[i]);
  }
  return {std::move(result)};
}

Comprehension pad_comprehension(const OpInstance& instance) {
  Comprehension result;
  result.body = [low = instance.attributes.dims("low"), high = instance.attributes.dims("high"),
                 interior = interior_of(instance),
                 fill = instance.attributes.real("value")](const Element& element) {
    const TensorType& x = element.instance.operand(0);
    Expr guard;
    auto require = [&guard](Expr condition) {
      guard = guard.valid() ? guard & condition : condition;
    };
    std::vector<Expr> index;
    for (std::size_t i = 0; i < low.size(); ++i) {
      Expr at = element.index[i];
      if (low[i] != Dim(0)) {
        at = at - element.size(low[i]);
        require(at >= 0);
      }
      if (high[i] != Dim(0)) require(at < element.size(spread_extent(x.shape[i], interior[i])));
      if (interior[i] > 0) {
        Expr step = element.number(interior[i] + 1);
        require(modulo(at, step) == 0);
        at = floor_div(at, step);
      }
      index.push_back(at);
    }
    if (!guard.valid()) return std::vector<Expr>{element.load(0, index)};
    Expr otherwise(element.arena, element.arena.constant(x.dtype, fill));
    return std::vector<Expr>{element.load_if(0, guard, otherwise, index)};
  };
  return result;
}

// Spreads the elements apart: along each axis of its own in turn, one of size 1 behind it is filled
// up with gaps and merged. The gap behind the last element stays: the axis has n * (interior + 1).
OnnxValue spread_in_onnx(OnnxNodes& nodes, OnnxValue value, const TensorType& type,
                         const Integers& interior, const OnnxValue& fill) {
  Shape shape = type.shape;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (interior[i] == 0) continue;
    Shape apart = shape;
    apart.insert(apart.begin() + static_cast<std::ptrdiff_t>(i) + 1, Dim(1));
    Integers pads(2 * apart.size(), 0);
    pads[apart.size() + i + 1] = interior[i];
    shape[i] = shape[i] * Dim(interior[i] + 1);
    value = nodes.add("Reshape", {value, nodes.sizes(apart)}, {{"allowzero", true}});
    value = nodes.add("Pad", {value, nodes.integers(pads), fill});
    value = nodes.add("Reshape", {value, nodes.sizes(shape)}, {{"allowzero", true}});
  }
  return value;
}

std::vector<OnnxValue> pad_to_onnx(OnnxNodes& nodes, const OpInstance& instance,
                                   std::span<const OnnxValue> operands) {
  const TensorType& x = instance.operand(0);
  const Shape &low = instance.attributes.dims("low"), &high = instance.attributes.dims("high");
  Integers interior = interior_of(instance);
  OnnxValue fill = nodes.number(x.dtype, instance.attributes.real("value"));
  OnnxValue value = spread_in_onnx(nodes, operands[0], x, interior, fill);
  // The gap behind the last element is part of the frame where that is wide enough, and is else cut
  // off together with what the frame has too much.
  Shape pads = low, limits;
  Integers cut;  // axes
  for (std::size_t i = 0; i < low.size(); ++i) {
    Dim gap = x.shape[i] == Dim(0) ? Dim(0) : Dim(interior[i]);
    bool within = never_negative(high[i] - gap);
    pads.push_back(within ? high[i] - gap : high[i]);
    if (within) continue;
    cut.push_back(static_cast<std::int64_t>(i));
    limits.push_back(low[i] + spread_extent(x.shape[i], interior[i]) + high[i]);
  }
  if (std::any_of(pads.begin(), pads.end(), [](const Dim& pad) { return pad != Dim(0); }))
    value = nodes.add(instance.op->onnx.name, {value, nodes.sizes(pads), fill});
  if (!cut.empty())
    value = nodes.add("Slice", {value, nodes.integers(Integers(cut.size(), 0)), nodes.sizes(limits),
                                nodes.integers(cut)});
  return {value};
}

OpDef pad_op() {
  OpDef op = movement(
      {"pad",
       "Framed by a value, and spread apart by it.",
       "Along each axis: low fill values, then the elements with `interior` fill values "
       "between neighbours, then high fill values. The gradient is the slice of the elements.",
       {"Pad"}});
  op = with_attribute(std::move(op), "low", AttributeKind::dims,
                      "Fill values before, for each axis.");
  op = with_attribute(std::move(op), "high", AttributeKind::dims,
                      "Fill values after, for each axis.");
  op = with_attribute(std::move(op), "interior", Integers{},
                      "Fill values between neighbours, for each axis; none means 0.");
  op = with_attribute(std::move(op), "value", 0.0, "The fill value.");
  op.infer = infer_pad;
  op.comprehension = pad_comprehension;
  op.to_onnx = pad_to_onnx;
  return with_moving_gradient(
      std::move(op), [](const GradientContext& context) -> std::vector<Var> {
        const Shape& operand = context.instance.operand(0).shape;
        const Shape& low = context.instance.attributes.dims("low");
        Shape limits;
        Integers strides;
        Integers interior = interior_of(context.instance);
        for (std::size_t i = 0; i < low.size(); ++i) {
          // Up to a multiple of the stride where the frame allows, so that a symbolic count comes
          // out exactly.
          Dim whole = operand[i] * Dim(interior[i] + 1);
          Dim extent = context.results[0].shape()[i];
          bool room = never_negative(extent - low[i] - whole);
          limits.push_back(low[i] + (room ? whole : spread_extent(operand[i], interior[i])));
          strides.push_back(interior[i] + 1);
        }
        return {context.builder.apply("slice", {context.cotangents[0]},
                                      {{"starts", low}, {"limits", limits}, {"strides", strides}})};
      });
}

}  // namespace

void add_part_ops(OpTable& table) {
  table.add(slice_op());
  table.add(concat_op());
  table.add(pad_op());
}

}  // namespace weir
