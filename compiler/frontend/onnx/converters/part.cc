// Parts of tensors: Slice, Split, Concat, Pad, Gather at known places, and Trilu.
#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "compiler/frontend/onnx/converters.h"

namespace weir::onnx_format {
namespace {

using Integers = std::vector<std::int64_t>;

// The part from `start` to `limit` along one axis.
Var sliced(Node& node, Var x, std::size_t axis, const Dim& start, const Dim& limit) {
  Shape starts(x.shape().size(), Dim(0)), limits = x.shape();
  if (start == Dim(0) && limit == limits[axis]) return x;
  starts[axis] = start;
  limits[axis] = limit;
  return node.apply("slice", {x}, {{"starts", starts}, {"limits", limits}});
}

Var joined(Node& node, std::vector<Var> parts, std::size_t axis) {
  if (parts.size() == 1) return parts.front();
  return node.apply("concat", std::move(parts), {{"axis", static_cast<std::int64_t>(axis)}});
}

void check_part_count(std::size_t count) {
  constexpr std::size_t kMost = 256;
  if (count > kMost)
    throw Unsupported(
        fmt::format("it takes {} separate parts along one axis; {} are the most", count, kMost));
}

// Along one axis the elements at these places, each a slice.
Var picked(Node& node, Var x, std::size_t axis, const std::vector<Dim>& places) {
  std::vector<Var> parts;
  for (std::size_t i = 0; i < places.size();) {
    // What stands in order is one slice.
    std::size_t end = i + 1;
    while (end < places.size() && places[end] == places[end - 1] + Dim(1)) ++end;
    parts.push_back(sliced(node, x, axis, places[i], places[end - 1] + Dim(1)));
    i = end;
  }
  check_part_count(parts.size());
  if (parts.empty()) return sliced(node, x, axis, 0, 0);
  return joined(node, std::move(parts), axis);
}

// --- Slice -------------------------------------------------------------------

// A place along an axis of that size: counted from the end where negative, at the nearest end where
// it lies beyond. A symbolic place is taken as it is, and a symbolic size has to be large enough.
Dim place_within(const Dim& place, const Dim& size, std::string_view what) {
  if (!place.is_constant()) return place;
  std::int64_t value = place.value();
  if (size.is_constant()) {
    std::int64_t from_start = value < 0 ? value + size.value() : value;
    return std::clamp(from_start, std::int64_t{0}, size.value());
  }
  // The ends of the range of integers stand for the ends of the axis.
  constexpr std::int64_t kFar = std::numeric_limits<std::int32_t>::max();
  if (value >= kFar) return size;
  if (value <= -kFar) return Dim(0);
  if (value == 0) return Dim(0);
  Node::require_size(size, std::abs(value), fmt::format("it {} {}", what, value));
  return value < 0 ? size + Dim(value) : Dim(value);
}

// Starts, ends, axes and steps; the last two may be empty.
struct Cut {
  Shape starts, ends;
  Integers axes, steps;
};

Cut cut_of(Node& node) {
  Cut cut;
  if (node.opset() < 10) {
    node.check_inputs(1, 1);
    Integers starts = node.integers("starts").value_or(Integers{});
    Integers ends = node.integers("ends").value_or(Integers{});
    cut.starts.assign(starts.begin(), starts.end());
    cut.ends.assign(ends.begin(), ends.end());
    cut.axes = node.integers("axes").value_or(Integers{});
  } else {
    node.check_inputs(3, 5);
    cut.starts = node.dims(1, "list of starts");
    cut.ends = node.dims(2, "list of ends");
    if (node.has_input(3)) cut.axes = node.integers(3, "list of axes");
    if (node.has_input(4)) cut.steps = node.integers(4, "list of steps");
  }
  if (cut.axes.empty())
    for (std::size_t i = 0; i < cut.starts.size(); ++i)
      cut.axes.push_back(static_cast<std::int64_t>(i));
  if (cut.steps.empty()) cut.steps.assign(cut.starts.size(), 1);
  if (cut.starts.size() != cut.ends.size() || cut.starts.size() != cut.axes.size() ||
      cut.starts.size() != cut.steps.size())
    throw Error(fmt::format("it has {} starts, {} ends, {} axes and {} steps", cut.starts.size(),
                            cut.ends.size(), cut.axes.size(), cut.steps.size()));
  return cut;
}

// What a negative step visits, in ascending order: every element from `start` to below `limit`,
// from the last one on in steps of `stride` down.
struct Backwards {
  Dim start, limit;
  std::int64_t stride;
};

Backwards backwards(const Cut& cut, std::size_t i, const Dim& size) {
  constexpr std::int64_t kFar = std::numeric_limits<std::int32_t>::max();
  const Dim &start = cut.starts[i], &limit = cut.ends[i];
  // A step as long as any axis leads out.
  std::int64_t stride = -std::max(cut.steps[i], -(std::int64_t{1} << 50));
  if (size.is_constant() && start.is_constant() && limit.is_constant()) {
    std::int64_t count = size.value();
    auto place = [&](std::int64_t given, std::int64_t least) {
      std::int64_t from_start = given < 0 && given >= -count ? given + count : given;
      return std::clamp(from_start, least, count - 1);
    };
    if (count == 0) return {0, 0, 1};
    std::int64_t first = place(start.value(), 0);
    std::int64_t end = std::min(first, place(limit.value(), -1));
    return {end + 1, first + 1, stride};
  }
  auto place = [&](const Dim& given, std::string_view what) -> Dim {
    if (!given.is_constant()) return given;
    std::int64_t value = given.value();
    if (value >= kFar || value == -1) return size - Dim(1);
    std::int64_t least = value < 0 ? -value : value + 1;
    Node::require_size(size, least, fmt::format("it {} {}", what, value));
    return value < 0 ? size + Dim(value) : Dim(value);
  };
  bool from_first = start.is_constant() && start.value() <= -kFar;
  bool to_first = limit.is_constant() && limit.value() <= -kFar;
  return {to_first ? Dim(0) : place(limit, "ends at") + Dim(1),
          place(from_first ? Dim(0) : start, "starts at") + Dim(1), stride};
}

bool is_never_positive(const Dim& dim) {
  std::vector<Dim::Term> terms = dim.terms();
  return std::none_of(terms.begin(), terms.end(),
                      [](const Dim::Term& term) { return term.coefficient > 0; });
}

void convert_slice(Node& node) {
  Cut cut = cut_of(node);
  const Shape& shape = node.shape(0);
  Shape starts(shape.size(), Dim(0)), limits = shape;
  Integers strides(shape.size(), 1), reversed, strides_back = strides;
  for (std::size_t i = 0; i < cut.axes.size(); ++i) {
    auto axis = static_cast<std::size_t>(node.axis(cut.axes[i], node.rank(0)));
    if (cut.steps[i] == 0) throw Error("a step is 0");
    if (cut.steps[i] < 0) {
      Backwards part = backwards(cut, i, shape[axis]);
      starts[axis] = part.start;
      limits[axis] = part.limit;
      strides_back[axis] = part.stride;
      reversed.push_back(static_cast<std::int64_t>(axis));
    } else {
      starts[axis] = place_within(cut.starts[i], shape[axis], "starts at");
      limits[axis] = place_within(cut.ends[i], shape[axis], "ends at");
      strides[axis] = cut.steps[i];
    }
    Dim length = limits[axis] - starts[axis];
    if (is_never_positive(length)) {
      limits[axis] = starts[axis];
    } else {
      Node::require_size(
          length, 0,
          fmt::format("it goes from {} to {}", starts[axis].to_string(), limits[axis].to_string()));
    }
  }
  const Shape none(shape.size(), Dim(0));
  const Integers dense(shape.size(), 1);
  bool is_whole = starts == none && limits == shape && strides == dense;
  if (is_whole && reversed.empty()) return node.pass(0, 0);
  Var result = node.input(0);
  if (!is_whole)
    result = node.apply("slice", {result},
                        {{"starts", starts}, {"limits", limits}, {"strides", strides}});
  if (!reversed.empty()) result = node.apply("reverse", {result}, {{"axes", reversed}});
  if (strides_back != dense) {
    Shape all = result.shape();
    result = node.apply("slice", {result},
                        {{"starts", none}, {"limits", all}, {"strides", strides_back}});
  }
  node.set(0, result);
}

// --- Split, Concat -----------------------------------------------------------

// Sizes of the parts: stated, or equal but for a smaller last one.
Shape part_sizes(Node& node, const Dim& size) {
  std::optional<Shape> stated;
  if (node.opset() >= 13) {
    node.check_inputs(1, 2);
    if (node.has_input(1)) stated = node.dims(1, "list of sizes");
  } else {
    node.check_inputs(1, node.opset() == 1 ? 2 : 1);
    if (std::optional<Integers> sizes = node.integers("split"))
      stated = Shape(sizes->begin(), sizes->end());
  }
  auto count = static_cast<std::int64_t>(node.result_count());
  if (node.opset() >= 18 && node.has("num_outputs")) {
    if (stated) throw Error("it has both sizes and num_outputs");
    count = node.integer("num_outputs");
    if (count < 1 || count < static_cast<std::int64_t>(node.result_count()))
      throw Error(
          fmt::format("num_outputs is {} and it has {} outputs", count, node.result_count()));
  }
  if (stated) return *stated;
  if (std::optional<Dim> part = size.divided_by(Dim(count)))
    return Shape(static_cast<std::size_t>(count), *part);
  if (!size.is_constant() || node.opset() < 18)
    throw Error(fmt::format("{} does not divide into {} equal parts", size.to_string(), count));
  std::int64_t part = (size.value() + count - 1) / count;
  Shape sizes;
  for (std::int64_t rest = size.value(); static_cast<std::int64_t>(sizes.size()) < count;
       rest -= part)
    sizes.emplace_back(std::clamp(rest, std::int64_t{0}, part));
  return sizes;
}

void convert_split(Node& node) {
  Var x = node.input(0);
  auto axis = static_cast<std::size_t>(node.axis_attribute(x.type().rank(), 0));
  Shape sizes = part_sizes(node, x.shape()[axis]);
  if (sizes.size() < node.result_count())
    throw Error(fmt::format("it has {} sizes and {} outputs", sizes.size(), node.result_count()));
  Dim start = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    Dim end = start + sizes[i];
    if (node.wants(i)) node.set(i, sliced(node, x, axis, start, end));
    start = end;
  }
  if (start != x.shape()[axis])
    throw Error(fmt::format("the sizes add up to {}, and the axis has {}", start.to_string(),
                            x.shape()[axis].to_string()));
}

void convert_concat(Node& node) {
  node.check_inputs(1, std::string::npos);
  std::optional<std::int64_t> otherwise;
  if (node.opset() < 4) otherwise = 1;
  auto axis = static_cast<std::size_t>(node.axis_attribute(node.rank(0), otherwise));
  if (node.input_count() == 1) return node.pass(0, 0);
  node.set(0, joined(node, node.inputs(), axis));
}

// --- Pad ---------------------------------------------------------------------

struct Frame {
  Shape low, high;  // for each axis; negative ones cut off
};

Frame frame_of(Node& node) {
  Shape pads;
  if (node.opset() < 11) {
    node.check_inputs(1, 1);
    Integers given = node.integers(node.opset() < 2 ? "paddings" : "pads").value_or(Integers{});
    pads.assign(given.begin(), given.end());
  } else {
    node.check_inputs(2, node.opset() < 18 ? 3 : 4);
    pads = node.dims(1, "list of pads");
  }
  std::size_t rank = node.shape(0).size();
  Integers axes;
  if (node.has_input(3)) {
    axes = node.integers(3, "list of axes");
  } else {
    for (std::size_t i = 0; i < rank; ++i) axes.push_back(static_cast<std::int64_t>(i));
  }
  if (pads.size() != 2 * axes.size())
    throw Error(fmt::format("it has {} pads for {} axes; two for each are needed", pads.size(),
                            axes.size()));
  Frame frame{Shape(rank, Dim(0)), Shape(rank, Dim(0))};
  for (std::size_t i = 0; i < axes.size(); ++i) {
    auto axis = static_cast<std::size_t>(node.axis(axes[i], static_cast<int>(rank)));
    frame.low[axis] = pads[i];
    frame.high[axis] = pads[i + axes.size()];
  }
  return frame;
}

bool is_negative(const Dim& dim) { return dim.is_constant() && dim.value() < 0; }

// Takes what negative pads cut off; the frame is left with the others.
Var cut_off(Node& node, Var x, Frame& frame) {
  for (std::size_t i = 0; i < x.shape().size(); ++i) {
    Dim start = 0, limit = x.shape()[i];
    if (is_negative(frame.low[i])) start = Dim(0) - std::exchange(frame.low[i], Dim(0));
    if (is_negative(frame.high[i])) limit = limit + std::exchange(frame.high[i], Dim(0));
    x = sliced(node, x, i, start, limit);
  }
  return x;
}

double fill_value(Node& node) {
  if (node.opset() < 11) return node.real("value", 0.0);
  if (!node.has_input(2)) return 0;
  const Tensor& value = node.tensor(2, "fill value");
  if (value.element_count() != 1 || value.dtype() != node.dtype(0))
    throw Error(fmt::format("the fill value is {}; it must be one element of {}",
                            to_string(value.type()), to_string(node.type(0))));
  return scalar::to_double(value.dtype(), value.bits(0));
}

// Whether an axis may be cut off on one side by more than it has, so that of what is added on the
// other side a part is cut off, too.
bool may_cut_what_it_adds(const Shape& shape, const Frame& frame) {
  auto may = [](const Dim& size, const Dim& cut, const Dim& added) {
    return is_negative(cut) && !is_negative(added) && added != Dim(0) &&
           !(size.is_constant() && size.value() >= -cut.value());
  };
  for (std::size_t i = 0; i < shape.size(); ++i)
    if (may(shape[i], frame.low[i], frame.high[i]) || may(shape[i], frame.high[i], frame.low[i]))
      return true;
  return false;
}

void convert_pad(Node& node) {
  Frame frame = frame_of(node);
  std::string mode = node.text("mode", "constant");
  Var x = node.input(0);
  if (mode == "constant" && may_cut_what_it_adds(x.shape(), frame)) {
    Frame added = frame, cut = frame;
    for (std::size_t i = 0; i < frame.low.size(); ++i)
      for (auto side : {&Frame::low, &Frame::high})
        (is_negative((frame.*side)[i]) ? added.*side : cut.*side)[i] = 0;
    x = node.apply("pad", {x},
                   {{"low", added.low}, {"high", added.high}, {"value", fill_value(node)}});
    return node.set(0, cut_off(node, x, cut));
  }
  x = cut_off(node, x, frame);
  bool is_whole = frame.low == Shape(frame.low.size(), Dim(0)) && frame.high == frame.low;
  if (mode == "constant") {
    double fill = fill_value(node);
    if (!is_whole)
      x = node.apply("pad", {x}, {{"low", frame.low}, {"high", frame.high}, {"value", fill}});
    return node.set(0, x);
  }
  if (node.opset() < 11) node.ignore("value");
  if (mode != "reflect" && mode != "edge" && (mode != "wrap" || node.opset() < 19))
    throw Error(
        "the attribute mode must be \"constant\", \"reflect\", \"edge\" or, from opset 19 on, "
        "\"wrap\"");
  if (is_whole) return node.set(0, x);
  for (std::size_t i = 0; i < frame.low.size(); ++i) {
    const Dim &low = frame.low[i], &high = frame.high[i], &size = x.shape()[i];
    if ((low == Dim(0) && high == Dim(0)) || size.is_constant()) continue;
    for (const Dim& side : {low, high}) {
      Dim least = mode == "edge" ? Dim(0) : mode == "wrap" ? side - Dim(1) : side;
      Node::require_size(size - least, 1,
                         fmt::format("it pads an axis by {} and {} in the mode {}", low.to_string(),
                                     high.to_string(), mode));
    }
  }
  node.set(0,
           node.apply("extend", {x}, {{"low", frame.low}, {"high", frame.high}, {"mode", mode}}));
}

// --- Gather ------------------------------------------------------------------

// A few places that are known are slices.
void convert_gather(Node& node) {
  constexpr std::int64_t kMostSlices = 16;
  node.check_inputs(2, 2);
  int rank = node.rank(0);
  auto axis = static_cast<std::size_t>(node.axis_attribute(rank, 0));
  if (!is_integer(node.dtype(1)))
    throw Error(fmt::format("the indices are {}; they must be integers", to_string(node.type(1))));
  const Tensor* known = node.tensor(1);
  if (known == nullptr || known->element_count() > kMostSlices)
    return node.set(0, node.apply("gather", {node.input(0), node.input(1)},
                                  {{"axis", static_cast<std::int64_t>(axis)}}));
  const Tensor& indices = *known;
  const Dim& size = node.shape(0)[axis];
  std::vector<Dim> places;
  for (std::int64_t i = 0; i < indices.element_count(); ++i) {
    std::int64_t place = scalar::to_integer(indices.dtype(), indices.bits(i));
    if (size.is_constant() && (place < -size.value() || place >= size.value()))
      throw Error(fmt::format("the index {} is not one of {} to {}", place, -size.value(),
                              size.value() - 1));
    // -1 - place rather than -place - 1, which may leave 64 bits.
    std::int64_t before = place < 0 ? -1 - place : place;
    if (before == std::numeric_limits<std::int64_t>::max())
      throw Error(fmt::format("the index {} is beyond every axis", place));
    Node::require_size(size, before + 1, fmt::format("it takes the element at {}", place));
    places.push_back(place < 0 ? size + Dim(place) : Dim(place));
  }
  Var x = node.input(0);
  Shape shape(x.shape().begin(), x.shape().begin() + static_cast<std::ptrdiff_t>(axis));
  for (std::int64_t length : indices.sizes()) shape.emplace_back(length);
  shape.insert(shape.end(), x.shape().begin() + static_cast<std::ptrdiff_t>(axis) + 1,
               x.shape().end());
  node.set(0, node.reshaped(picked(node, x, axis, places), std::move(shape)));
}

// --- Others ------------------------------------------------------------------

// The part of the middle of a larger axis, or zeros around a smaller one.
void convert_center_crop_pad(Node& node) {
  node.check_inputs(2, 2);
  Var x = node.input(0);
  Integers wanted = node.integers(1, "shape");
  std::optional<Integers> axes = node.integers("axes");
  if (!axes) {
    axes.emplace();
    for (int i = 0; i < x.type().rank(); ++i) axes->push_back(i);
  }
  if (axes->size() != wanted.size())
    throw Error(fmt::format("{} sizes are given for {} axes", wanted.size(), axes->size()));
  Shape low(x.shape().size(), Dim(0)), high = low;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    auto axis = static_cast<std::size_t>(node.axis((*axes)[i], x.type().rank()));
    std::optional<std::int64_t> size = x.shape()[axis].constant();
    if (!size || wanted[i] < 0)
      throw Unsupported(fmt::format("it makes an axis of size {} one of {}",
                                    x.shape()[axis].to_string(), wanted[i]));
    std::int64_t more = wanted[i] - *size;
    if (more < 0) {
      std::int64_t start = -more / 2;
      x = sliced(node, x, axis, start, start + wanted[i]);
    } else {
      low[axis] = more / 2;
      high[axis] = more - more / 2;
    }
  }
  if (low != Shape(low.size(), Dim(0)) || high != low)
    x = node.apply("pad", {x}, {{"low", low}, {"high", high}});
  node.set(0, x);
}

// A diagonal that is not known is added to the numbers of the rows.
void convert_trilu(Node& node) {
  node.check_inputs(1, 2);
  Var x = node.input(0);
  bool upper = node.flag("upper", true);
  int rank = x.type().rank();
  if (rank < 2)
    throw Error(fmt::format("x is {}; it must have rows and columns", to_string(x.type())));
  if (!node.has_input(1) || node.is_known(1)) {
    std::int64_t diagonal = node.has_input(1) ? node.integer(1, "diagonal") : 0;
    return node.set(0, node.apply("trilu", {x}, {{"upper", upper}, {"diagonal", diagonal}}));
  }
  Shape matrix(x.shape().end() - 2, x.shape().end());
  auto count = [&](std::int64_t axis) {
    return node.apply("iota", {}, {{"shape", matrix}, {"axis", axis}});
  };
  Var diagonal =
      node.apply("add", {count(0), node.reshaped(node.cast(node.input(1), DType::i64), {})});
  Var kept = node.apply(upper ? "greater_equal" : "less_equal", {count(1), diagonal});
  Tensor zero(x.dtype(), {});
  node.set(0, node.apply("select", {kept, x, node.builder().constant(std::move(zero))}));
}

}  // namespace

void add_part_converters(ConverterTable& table) {
  table.add("Slice", 1, convert_slice);
  table.add("Split", 2, convert_split);
  table.add("Concat", 1, convert_concat);
  table.add("Pad", 2, convert_pad);
  table.add("Gather", 1, convert_gather);
  table.add("CenterCropPad", 18, convert_center_crop_pad);
  table.add("Trilu", 14, convert_trilu);
}

}  // namespace weir::onnx_format
