#include "ir/ops/image_sums.h"

#include <algorithm>
#include <cstdint>

#include "ir/ops/convolution.h"

namespace weir::ops {
namespace {

using Integers = std::vector<std::int64_t>;

// Fewer channels than this lie apart, one image after the other (layouts.h), and so do those of
// most 1-D images.
constexpr std::int64_t kFewChannels = 16;
constexpr std::int64_t kManyChannels = 64;
// Columns of such images that are enough for vectors along them; and lanes of a sum along a 1-D
// image, which are whole vectors on any target.
constexpr std::int64_t kEnoughColumns = 8;
constexpr std::int64_t kLanes = 16;
// A chain of fewer elements is no work to be saved.
constexpr std::int64_t kEnoughOfChain = 3;
// Elements of a lane, at most, that are one chunk; and at least, where one vector of lanes does not
// do, of which there are so many at most.
constexpr std::int64_t kMostElements = 256;
constexpr std::int64_t kFewElements = 64;
constexpr std::int64_t kMostVectors = 1024;
// Pixels of an image that are less than two for each lane.
constexpr std::int64_t kFewPixels = 2 * kLanes;
// Positions of an image of which lanes would leave a third and more.
constexpr std::int64_t kFewPoints = 3 * kLanes;
// Vectors of lanes that are enough behind a stride.
constexpr std::int64_t kEnoughVectors = 4;

// Ops of the gradient of a loss that a kernel of the forward pass may have.
constexpr int kMostEpilogueOps = 64;

bool has_at_most(const Dim& dim, std::int64_t size) {
  const std::optional<std::int64_t> known = dim.constant();
  return known && *known <= size;
}

bool has_few_channels(const Shape& shape) {
  return has_at_most(shape[kChannels], kFewChannels - 1);
}

bool has_many_channels(const Shape& shape) {
  return !has_at_most(shape[kChannels], kManyChannels - 1);
}

// What a reshape of rows, one for each image, made the images of; none if they are not.
std::optional<Var> rows_of_images(GraphBuilder& builder, const Var& images) {
  const Graph& graph = builder.graph();
  const Value& value = graph.value(images.id());
  if (value.kind != Value::Kind::result) return std::nullopt;
  const Node& node = graph.node(value.producer);
  if (!node.op->keeps_order) return std::nullopt;
  const Shape& shape = graph.type(node.operands[0]).shape;
  if (shape.size() != 2 || shape[0] != value.type.shape[kBatch]) return std::nullopt;
  return Var(builder, node.operands[0]);
}

// What a value is a part of; itself, if it is none.
ValueId whole_of(const Graph& graph, ValueId value) {
  const Value& made = graph.value(value);
  if (made.kind != Value::Kind::result) return value;
  const Node& node = graph.node(made.producer);
  return node.op->part ? node.operands[0] : value;
}

// What moved windows over images behind pointwise ops, and made the value, a cotangent of the
// result of `forward`: an op of the backward pass. A kernel of it stores the value, with what is
// pointwise in its epilogue, also of a part of what the windows give (split_contractions.h); of
// several the last does. None where that is a map.
std::optional<NodeId> windows_behind(const Graph& graph, ValueId value, NodeId forward,
                                     int most_ops = 4) {
  const Value& made = graph.value(value);
  if (made.kind != Value::Kind::result || made.producer.index <= forward.index || most_ops == 0)
    return std::nullopt;
  const Node& node = graph.node(made.producer);
  if (node.op->takes_images) return made.producer;
  if (!node.op->pointwise) return std::nullopt;
  std::optional<NodeId> last;
  for (ValueId operand : node.operands) {
    if (graph.type(operand).shape != made.type.shape) continue;
    const std::optional<NodeId> found =
        windows_behind(graph, whole_of(graph, operand), forward, most_ops - 1);
    if (found && (!last || *last < *found)) last = found;
  }
  return last;
}

// Whether the value is known before a node is, or made of constants and sizes alone. It looks at so
// many ops, each as often as it is used.
bool is_known_before(const Graph& graph, ValueId value, NodeId node, int& most_ops) {
  const Value& made = graph.value(value);
  if (made.kind != Value::Kind::result || made.producer.index < node.index) return true;
  if (made.producer == node || most_ops-- <= 0) return false;
  const Node& maker = graph.node(made.producer);
  return std::ranges::all_of(maker.operands, [&](ValueId operand) {
    return is_known_before(graph, operand, node, most_ops);
  });
}

// Whether the value is pointwise in the result of a node and what is known before, as the gradient
// of a loss is that compares each element with its target: a kernel of the node has it in its
// epilogue.
bool is_epilogue_of(const Graph& graph, ValueId value, NodeId node, int& most_ops) {
  const Value& made = graph.value(value);
  if (made.kind != Value::Kind::result || made.producer.index <= node.index)
    return made.producer == node;
  const Node& maker = graph.node(made.producer);
  if (!maker.op->pointwise || most_ops-- <= 0) return false;
  bool depends = false;
  for (ValueId operand : maker.operands) {
    const bool follows = is_epilogue_of(graph, operand, node, most_ops);
    if (!follows && !is_known_before(graph, operand, node, most_ops)) return false;
    depends = depends || follows;
  }
  return depends;
}

// Whether windows are single positions, side by side: a kernel goes through an image as one row.
bool has_points(const Graph& graph, const Node& windows) {
  if (!windows.op->is_contraction) return false;
  auto is_one = [](const Dim& size) { return size == Dim(1); };
  const Shape& filters = graph.type(windows.operands[1]).shape;
  return std::all_of(filters.begin() + kSpatial, filters.end(), is_one) &&
         std::ranges::all_of(windows.attributes.integers("strides"), is_one);
}

// Whether windows go through each channel for itself, which takes as long wherever channels lie.
bool is_depthwise(const Node& windows, const Shape& shape) {
  return windows.op->is_contraction && shape[kChannels] != Dim(1) &&
         shape[kChannels] == Dim(windows.attributes.integer("groups"));
}

// The stride along an axis by whose remainders a kernel stores positions apart from each other:
// where it divides these (split_residues.h).
std::int64_t step_along(const Shape& shape, const Integers& strides, std::size_t axis) {
  const std::int64_t step = strides.empty() ? 1 : strides[axis - kSpatial];
  return shape[axis] != Dim(step) && shape[axis].divided_by(Dim(step)) ? step : 1;
}

Var in_compute_type(GraphBuilder& builder, Var value) {
  const DType type = compute_type(value.dtype());
  return type == value.dtype() ? value : builder.apply("cast", {value}, {{"dtype", type}});
}

Var in_type(GraphBuilder& builder, Var sum, DType type) {
  return sum.dtype() == type ? sum : builder.apply("cast", {sum}, {{"dtype", type}});
}

Var sum_over(GraphBuilder& builder, Var value, Integers axes) {
  return builder.apply("reduce_sum", {value}, {{"axes", std::move(axes)}});
}

Var sum_of_all_but_channels(GraphBuilder& builder, Var value) {
  Integers axes{kBatch};
  for (std::size_t i = kSpatial; i < value.shape().size(); ++i)
    axes.push_back(static_cast<std::int64_t>(i));
  return sum_over(builder, value, std::move(axes));
}

// Of each image the rows are added up, and then what that leaves: wherever channels lie, a kernel
// that stores rows adds each to what it has of those before. Behind strides it stores the positions
// of one remainder by them at a time.
Var sum_of_rows(GraphBuilder& builder, Var value, const Integers& strides) {
  const DType type = value.dtype();
  const Shape& shape = value.shape();
  Shape apart(shape.begin(), shape.begin() + kSpatial);
  for (std::size_t axis = kSpatial; axis < shape.size(); ++axis) {
    const bool is_apart = axis == kSpatial || axis + 1 == shape.size();
    const std::int64_t step = is_apart ? step_along(shape, strides, axis) : 1;
    apart.push_back(*shape[axis].divided_by(Dim(step)));
    if (step != 1) apart.emplace_back(step);
  }
  value = reshape_to(builder, in_compute_type(builder, value), apart);
  value = sum_over(builder, value, {kSpatial});
  return in_type(builder, sum_of_all_but_channels(builder, value), type);
}

// Sums that the elements of an image go to in turn, if these are gone through as one row: as few as
// leave one chunk each, and as many elements where that can be. None if the elements are fewer than
// a vector, or their number is known only at the call.
std::optional<std::int64_t> lanes_of(const Shape& pixels) {
  const std::optional<std::int64_t> elements = element_count(pixels).constant();
  if (!elements || *elements < kLanes) return std::nullopt;
  const std::int64_t vectors = (*elements + kLanes - 1) / kLanes;
  const std::int64_t fewest = (vectors + kMostElements - 1) / kMostElements;
  if (fewest > kMostVectors) return std::nullopt;
  for (std::int64_t lanes = fewest; lanes <= kMostVectors; ++lanes) {
    if (lanes > 1 && vectors / lanes < kFewElements) break;
    if (*elements % (lanes * kLanes) == 0) return lanes * kLanes;
  }
  return fewest * kLanes;
}

// Vectors along an image are added up, whose pixels are one row. What the last one lacks is filled
// up with zeros, which leave a sum that began as one as it is: it is never -0. Behind a stride, one
// of each remainder by it.
Var sum_in_lanes(GraphBuilder& builder, Var value, std::int64_t lanes, std::int64_t step) {
  const DType type = value.dtype();
  const std::int64_t elements = element_count(spatial(value.shape())).value();
  const std::int64_t vector = lanes * step, vectors = (elements + vector - 1) / vector;
  Shape apart(value.shape().begin(), value.shape().begin() + kSpatial);
  if (const std::int64_t missing = vectors * vector - elements; missing != 0) {
    Shape row = apart, high(apart.size(), Dim(0));
    row.emplace_back(elements);
    high.emplace_back(missing);
    value = builder.apply("pad", {reshape_to(builder, value, row)},
                          {{"low", Shape(row.size(), Dim(0))}, {"high", high}});
  }
  apart.emplace_back(vectors);
  apart.emplace_back(lanes);
  if (step != 1) apart.emplace_back(step);
  value = reshape_to(builder, in_compute_type(builder, value), apart);
  value = sum_over(builder, value, {kSpatial});
  return in_type(builder, sum_of_all_but_channels(builder, value), type);
}

// With channels innermost each row of an image is summed first, across its columns, and those sums
// in the order of the rows. There are two chains a row, of the even columns and of the odd ones, if
// these are as many, so that the order is also that of kernels that store one of the two at a time,
// behind a stride of 2; behind a longer stride there are as many.
Var sum_along_rows(GraphBuilder& builder, Var value, const Integers& strides) {
  const DType type = value.dtype();
  value = in_compute_type(builder, value);
  const std::size_t last = value.shape().size() - 1;
  std::int64_t chains = std::max<std::int64_t>(2, step_along(value.shape(), strides, last));
  if (has_at_most(value.shape()[last], kEnoughOfChain * chains - 1)) chains = 2;
  if (!value.shape()[last].divided_by(Dim(chains))) chains = 1;
  Shape apart = value.shape();
  apart.back() = *apart.back().divided_by(Dim(chains));
  apart.push_back(chains);
  Var sums =
      sum_over(builder, reshape_to(builder, value, apart), {static_cast<std::int64_t>(last)});
  Integers channels_last{0};
  Dim rows = apart[0];
  for (std::size_t i = kSpatial; i <= last; ++i) {
    channels_last.push_back(static_cast<std::int64_t>(i));
    rows = rows * sums.shape()[i];
  }
  channels_last.push_back(kChannels);
  sums = builder.apply("transpose", {sums}, {{"permutation", channels_last}});
  Var sum = sum_over(builder, reshape_to(builder, sums, {rows, apart[kChannels]}), {0});
  return in_type(builder, sum, type);
}

// An image of few pixels that a kernel goes through as one row, of which lanes would leave half to
// be read again. What the last layer stores lies as it is given, each channel's pixels side by side.
Var sum_of_few_pixels(GraphBuilder& builder, const Var& value, bool is_given) {
  const Shape& shape = value.shape();
  Var row =
      reshape_to(builder, value, {shape[kBatch], shape[kChannels], element_count(spatial(shape))});
  if (!is_given) return sum_along_rows(builder, row, {});
  Var sums = sum_over(builder, in_compute_type(builder, row), {kSpatial});
  return in_type(builder, sum_over(builder, sums, {kBatch}), value.dtype());
}

// The rows are summed, as a layer of features has it, and then each channel's pixels.
Var sum_of_flat_images(GraphBuilder& builder, const Var& rows, const Dim& channels, DType type) {
  const Dim pixels = *rows.shape()[1].divided_by(channels);
  Var sums = sum_over(builder, in_compute_type(builder, rows), {0});
  return in_type(builder, sum_over(builder, reshape_to(builder, sums, {channels, pixels}), {1}),
                 type);
}

// The sum over all but the channels in an order that a kernel of windows has, behind which the value
// is stored, or as it is given.
Var sum_behind(GraphBuilder& builder, const Node& windows, const Var& value, bool is_given) {
  const Shape& shape = value.shape();
  if (has_points(builder.graph(), windows)) {
    if (!has_few_channels(shape) &&
        element_count(spatial(shape)).constant().value_or(kFewPixels) < kFewPixels)
      return sum_of_few_pixels(builder, value, is_given);
    if (const std::optional<std::int64_t> lanes = lanes_of(spatial(shape)))
      return sum_in_lanes(builder, value, *lanes, 1);
  }
  Integers strides;
  if (windows.op->spreads_images) strides = windows.attributes.integers("strides");
  if (shape.size() == kSpatial + 1) {
    // Behind a stride many channels are innermost, and lanes of few elements each leave as much to
    // be read again as they save.
    const std::int64_t step = step_along(shape, strides, kSpatial);
    const bool is_strided = !strides.empty() && strides.front() != 1;
    const bool is_short = has_at_most(shape.back(), kEnoughVectors * kLanes * step - 1);
    if (is_strided && (has_many_channels(shape) || (is_short && !has_few_channels(shape))))
      return sum_along_rows(builder, value, strides);
    const std::optional<std::int64_t> lanes = lanes_of({*shape.back().divided_by(Dim(step))});
    return lanes && !(is_strided && is_short) ? sum_in_lanes(builder, value, *lanes, step)
                                              : sum_of_all_but_channels(builder, value);
  }
  // Many channels are innermost, but where windows go through each for itself; and tiles of few
  // columns have several rows of an image.
  const bool by_channel = is_depthwise(windows, shape);
  const bool is_strided = std::ranges::any_of(strides, [](std::int64_t by) { return by != 1; });
  const std::int64_t enough = has_few_channels(shape) || by_channel ? kEnoughColumns : kLanes;
  const std::int64_t step = step_along(shape, strides, shape.size() - 1);
  const bool has_few_columns = has_at_most(shape.back(), enough * step - 1);
  const bool along_rows =
      by_channel ? is_strided && has_few_columns : has_many_channels(shape) || has_few_columns;
  return along_rows ? sum_along_rows(builder, value, strides)
                    : sum_of_rows(builder, value, strides);
}

}  // namespace

Var sum_of_channels(GraphBuilder& builder, const Var& result, const Var& value) {
  const Shape& shape = value.shape();
  if (std::optional<Var> rows = rows_of_images(builder, value))
    return sum_of_flat_images(builder, *rows, shape[kChannels], value.dtype());
  const Graph& graph = builder.graph();
  const NodeId forward = graph.value(result.id()).producer;
  std::optional<NodeId> mover = windows_behind(graph, value.id(), forward);
  int most_ops = kMostEpilogueOps;
  if (!mover && is_epilogue_of(graph, value.id(), forward, most_ops)) mover = forward;
  if (mover) return sum_behind(builder, graph.node(*mover), value, *mover == forward);
  return shape.size() == kSpatial + 1 || has_few_channels(shape)
             ? sum_of_all_but_channels(builder, value)
             : sum_of_rows(builder, value, {});
}

std::optional<Var> sum_behind_windows(const Var& result, const Var& gradient, const Var& value) {
  GraphBuilder& builder = gradient.builder();
  if (rows_of_images(builder, gradient)) return std::nullopt;
  const Graph& graph = builder.graph();
  NodeId forward = graph.value(result.id()).producer;
  // Half-precision types are widened for the gradient.
  while (graph.node(forward).op->pointwise)
    forward = graph.value(graph.node(forward).operands[0]).producer;
  const std::optional<NodeId> windows = windows_behind(graph, gradient.id(), forward);
  if (!windows) return std::nullopt;
  const Node& node = graph.node(*windows);
  if (has_points(graph, node) && has_at_most(element_count(spatial(value.shape())), kFewPoints))
    return std::nullopt;
  return sum_behind(builder, node, value, false);
}

}  // namespace weir::ops
