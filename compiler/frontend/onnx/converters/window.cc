// Convolutions and pools: frames, auto_pad, and the sizes that a node states or leaves out.
#include <algorithm>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/frontend/onnx/converters.h"
#include "ir/ops/window.h"

namespace weir::onnx_format {
namespace {

using ops::Window;
using Integers = std::vector<std::int64_t>;

constexpr std::size_t kSpatial = 2;  // the first spatial axis

// Attribute `name`, with an entry for each axis of the window.
Integers entries(Node& node, std::string_view name, std::size_t rank, std::int64_t otherwise) {
  Integers values = node.integers(name).value_or(Integers(rank, otherwise));
  if (values.size() != rank)
    throw Error(
        fmt::format("{} is [{}]; {} entries are needed", name, fmt::join(values, ", "), rank));
  return values;
}

void check_spatial(Node& node) {
  if (node.rank(0) < 3)
    throw Error(fmt::format("x is {}; it must have a batch, channels and spatial axes",
                            to_string(node.type(0))));
}

// The kernel's sizes: the attribute, or what `filters` says, which must then be integers.
Integers kernel_of(Node& node, const Shape* filters) {
  std::optional<Integers> stated = node.integers("kernel_shape");
  std::size_t rank = node.shape(0).size() - kSpatial;
  if (stated && stated->size() != rank)
    throw Error(fmt::format("kernel_shape is [{}] and x has {} spatial axes",
                            fmt::join(*stated, ", "), rank));
  if (!filters) {
    if (!stated) throw Error("the attribute kernel_shape is missing");
    return *stated;
  }
  if (filters->size() != rank + kSpatial)
    throw Error(fmt::format("x is {} and the filters are {}; they must have the same rank",
                            to_string(node.type(0)), to_string(node.type(1))));
  Integers sizes;
  for (std::size_t i = 0; i < rank; ++i) {
    const Dim& size = (*filters)[kSpatial + i];
    if (!size.is_constant())
      throw Unsupported(
          fmt::format("its filters are {}; a window must have a known size", to_string(*filters)));
    if (stated && (*stated)[i] != size.value())
      throw Error(fmt::format("kernel_shape is [{}] and the filters are {}",
                              fmt::join(*stated, ", "), to_string(*filters)));
    sizes.push_back(size.value());
  }
  return sizes;
}

enum class AutoPad : std::uint8_t { none, same_upper, same_lower, valid };

AutoPad auto_pad_of(Node& node) {
  std::string mode = node.text("auto_pad", "NOTSET");
  if (mode == "NOTSET" || mode.empty()) return AutoPad::none;
  if (mode == "VALID") return AutoPad::valid;
  if (mode == "SAME_UPPER") return AutoPad::same_upper;
  if (mode == "SAME_LOWER") return AutoPad::same_lower;
  throw Error(
      fmt::format("auto_pad is {}; it must be NOTSET, SAME_UPPER, SAME_LOWER or VALID", mode));
}

// Parts a frame of `total` elements: the odd one goes to the end, or to the start.
void split_frame(ops::WindowAxis& axis, std::int64_t total, bool upper) {
  axis.low = upper ? total / 2 : total - total / 2;
  axis.high = total - axis.low;
}

Window stated_window(Node& node, const Integers& kernel) {
  std::size_t rank = kernel.size();
  Integers strides = entries(node, "strides", rank, 1),
           dilations = entries(node, "dilations", rank, 1),
           pads = node.integers("pads").value_or(Integers(2 * rank, 0));
  if (pads.size() != 2 * rank)
    throw Error(
        fmt::format("pads is [{}]; {} entries are needed", fmt::join(pads, ", "), 2 * rank));
  Window window;
  for (std::size_t i = 0; i < rank; ++i) {
    if (kernel[i] < 1 || strides[i] < 1 || dilations[i] < 1)
      throw Error(fmt::format("kernel_shape [{}], strides [{}] and dilations [{}] must be positive",
                              fmt::join(kernel, ", "), fmt::join(strides, ", "),
                              fmt::join(dilations, ", ")));
    constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
    for (std::int64_t value :
         {kernel[i], strides[i], dilations[i], std::abs(pads[i]), std::abs(pads[rank + i])})
      if (value > kMost || value < 0)
        throw Error(fmt::format("its window has the entry {}, which is too large", value));
    window.push_back({kernel[i], strides[i], dilations[i], pads[i], pads[rank + i]});
  }
  return window;
}

// A window of a convolution or a pool of x, and what x is framed with before, one frame around the
// other, where auto_pad depends on symbols: the window is then that of the framed x.
struct FramedWindow {
  struct Frame {
    Shape low, high;  // of all axes of x
  };
  Window window;
  std::vector<Frame> frames;
};

// auto_pad SAME along an axis of a size of symbols: the windows are the size over the stride,
// rounded up, and what they need more than there is, max(0, room), is parted. The room lies between
// extent - stride and extent - 1. Half of it is the number of the even ones among 1, 2, ... up to
// it, and the greater half that of the odd ones; whether one of them is among these is a floor
// quotient, 0 or 1. Each of those is a frame of its own, at the start. At the end it need not be
// exact: elements that no window reaches are none.
void frame_same(FramedWindow& result, std::size_t axis, const Dim& size, std::size_t rank,
                bool upper) {
  const ops::WindowAxis& window = result.window[axis];
  constexpr std::int64_t kMostFrames = 16;
  const std::int64_t extent = window.reach() + 1, stride = window.stride;
  Dim room =
      floor_quotient(size + Dim(stride - 1), stride) * Dim(stride) + Dim(extent - stride) - size;
  std::int64_t first = upper ? 2 : 1, certain = std::max<std::int64_t>(0, extent - stride);
  Dim low = certain < first ? 0 : (certain - first) / 2 + 1;
  Shape steps{low};
  for (std::int64_t least = first + 2 * low.value(); least < extent; least += 2) {
    if (steps.size() > kMostFrames)
      throw Unsupported(
          fmt::format("auto_pad depends on an axis of {}, {} elements from window to window; "
                      "declare the size as a number",
                      size.to_string(), stride));
    steps.push_back(floor_quotient(room + Dim(stride - least), stride));
    low = low + steps.back();
  }
  if (steps.size() > 1) {
    steps[1] = steps[1] + steps[0];
    steps.erase(steps.begin());
  }
  const Shape none(rank, Dim(0));
  if (result.frames.size() < steps.size()) result.frames.resize(steps.size(), {none, none});
  for (std::size_t i = 0; i < steps.size(); ++i) result.frames[i].low[kSpatial + axis] = steps[i];
  result.frames.back().high[kSpatial + axis] = room - low + Dim(stride - 1);
}

FramedWindow framed_window_of(Node& node, const Integers& kernel) {
  FramedWindow result{stated_window(node, kernel), {}};
  AutoPad mode = auto_pad_of(node);
  if (mode == AutoPad::none) return result;
  for (std::size_t i = 0; i < result.window.size(); ++i) {
    ops::WindowAxis& axis = result.window[i];
    axis.low = axis.high = 0;
    if (mode == AutoPad::valid) continue;
    const Dim& size = node.shape(0)[kSpatial + i];
    Dim positions = floor_quotient(size + Dim(axis.stride - 1), axis.stride);
    Dim total = (positions - Dim(1)) * Dim(axis.stride) + Dim(axis.reach() + 1) - size;
    bool upper = mode == AutoPad::same_upper;
    if (total.is_constant()) {
      split_frame(axis, std::max<std::int64_t>(0, total.value()), upper);
    } else if (axis.reach() > 0) {
      frame_same(result, i, size, node.shape(0).size(), upper);
    }
  }
  return result;
}

// x with the frames that depend on symbols, filled with a value.
Var framed(Node& node, Var x, const FramedWindow& window, double fill) {
  for (const FramedWindow::Frame& frame : window.frames)
    x = node.apply("pad", {x}, {{"low", frame.low}, {"high", frame.high}, {"value", fill}});
  return x;
}

// Sets the result of a convolution of x, which is the first input or that in a frame.
void set_filtered(Node& node, std::string_view op, Var x, const Window& window) {
  Attributes attributes = ops::attributes_of(window);
  attributes.set("groups", node.integer("group", 1));
  std::vector<Var> operands{x, node.input(1)};
  if (node.has_input(2)) operands.push_back(node.input(2));
  node.set(0, node.apply(op, std::move(operands), std::move(attributes)));
}

void convert_conv(Node& node) {
  node.check_inputs(2, 3);
  check_spatial(node);
  FramedWindow window = framed_window_of(node, kernel_of(node, &node.shape(1)));
  set_filtered(node, "conv", framed(node, node.input(0), window, 0), window.window);
}

// Sizes of the result go before the frame, which is then parted as auto_pad says, or with the odd
// element at the start.
void convert_conv_transpose(Node& node) {
  node.check_inputs(2, 3);
  check_spatial(node);
  Window window = stated_window(node, kernel_of(node, &node.shape(1)));
  std::size_t rank = window.size();
  AutoPad mode = auto_pad_of(node);
  Integers padding = entries(node, "output_padding", rank, 0);
  std::optional<Integers> sizes = node.integers("output_shape");
  if (sizes && sizes->size() == rank + kSpatial) sizes->erase(sizes->begin(), sizes->begin() + 2);
  if (sizes && sizes->size() != rank)
    throw Error(
        fmt::format("output_shape is [{}]; {} entries are needed", fmt::join(*sizes, ", "), rank));
  for (std::size_t i = 0; i < rank; ++i) {
    ops::WindowAxis& axis = window[i];
    const Dim& size = node.shape(0)[kSpatial + i];
    if (mode == AutoPad::valid) axis.low = axis.high = 0;
    std::optional<Dim> wanted;
    if (sizes) {
      wanted = Dim((*sizes)[i]);
    } else if (mode == AutoPad::same_upper || mode == AutoPad::same_lower) {
      wanted = size * Dim(axis.stride);
    }
    if (!wanted) {
      axis.high -= padding[i];
      continue;
    }
    axis.low = axis.high = 0;
    Dim total = axis.spread(size) + Dim(padding[i]) - *wanted;
    if (!total.is_constant())
      throw Unsupported(fmt::format(
          "its result is to have {} elements along an axis of {}; declare the size as a "
          "number",
          wanted->to_string(), size.to_string()));
    split_frame(axis, std::max<std::int64_t>(0, total.value()), mode == AutoPad::same_upper);
    axis.high += std::min<std::int64_t>(0, total.value()) - padding[i];
  }
  set_filtered(node, "conv_transpose", node.input(0), window);
}

// --- Pools -------------------------------------------------------------------

Attributes pool_attributes(const Window& window) {
  Attributes attributes = ops::attributes_of(window);
  Integers kernel;
  for (const ops::WindowAxis& axis : window) kernel.push_back(axis.kernel);
  attributes.set("kernel", kernel);
  return attributes;
}

// A pool as the op has it, ceil_mode included; but auto_pad SAME has decided how many windows there
// are, and of what its frames have left over at the end ceil_mode would make one more.
struct Pool {
  FramedWindow window;
  Attributes attributes;
};

Pool pool_of(Node& node) {
  node.check_inputs(1, 1);
  check_spatial(node);
  Pool pool{framed_window_of(node, kernel_of(node, nullptr)), {}};
  pool.attributes = pool_attributes(pool.window.window);
  bool ceil_mode = node.flag("ceil_mode", false);
  pool.attributes.set("ceil_mode", ceil_mode && pool.window.frames.empty());
  return pool;
}

// A place of each window along an axis of the result, as an i64 that broadcasts over the others.
Var place_along(Node& node, const Shape& shape, std::size_t axis, std::int64_t step,
                std::int64_t offset) {
  Var place = node.builder().apply(
      "iota", {},
      {{"shape", Shape{shape[axis]}}, {"axis", std::int64_t{0}}, {"dtype", DType::i64}});
  Shape spread(shape.size() - axis, Dim(1));
  spread[0] = shape[axis];
  auto number = [&](std::int64_t value) {
    return node.builder().scalar(DType::i64, static_cast<double>(value));
  };
  place = node.apply("mul", {node.reshaped(place, spread), number(step)});
  return node.apply("add", {place, number(offset)});
}

// The maxima's places in the whole of x, row-major or with the spatial axes in the other order.
Var places_in_x(Node& node, Var taps, const Window& window, bool column_major) {
  GraphBuilder& builder = node.builder();
  const Shape& shape = taps.shape();
  auto number = [&](std::int64_t value) {
    return builder.scalar(DType::i64, static_cast<double>(value));
  };
  auto times = [&](Var a, const Dim& size) {
    Var factor = builder.apply("size_of", {}, {{"dims", Shape{size}}, {"dtype", DType::i64}});
    return node.apply("mul", {a, factor});
  };
  // The tap's own number along each axis, last first.
  std::vector<Var> at(window.size());
  Var rest = taps;
  for (std::size_t i = window.size(); i-- > 0;) {
    Var size = number(window[i].kernel);
    Var above = node.apply("div", {rest, size});
    Var tap = node.apply("sub", {rest, node.apply("mul", {above, size})});
    tap = node.apply("mul", {tap, number(window[i].dilation)});
    at[i] = node.apply(
        "add", {tap, place_along(node, shape, kSpatial + i, window[i].stride, -window[i].low)});
    rest = above;
  }
  Var channel = place_along(node, shape, 1, 1, 0), example = place_along(node, shape, 0, 1, 0);
  const Shape& x = node.shape(0);
  Var place = node.apply("add", {times(example, x[1]), channel});
  for (std::size_t k = 0; k < window.size(); ++k) {
    std::size_t i = column_major ? window.size() - 1 - k : k;
    place = node.apply("add", {times(place, x[kSpatial + i]), at[i]});
  }
  return place;
}

void convert_max_pool(Node& node) {
  bool column_major = node.flag("storage_order", false);
  Pool pool = pool_of(node);
  if (!node.wants(1)) {
    // The least there is takes no part.
    constexpr double kLeast = -std::numeric_limits<double>::infinity();
    Var x = framed(node, node.input(0), pool.window, kLeast);
    return node.set(0, node.apply("max_pool", {x}, std::move(pool.attributes)));
  }
  if (!pool.window.frames.empty())
    throw Unsupported(
        fmt::format("it gives places in x, and its auto_pad depends on the symbols in {}; declare "
                    "the sizes as numbers",
                    to_string(node.type(0))));
  std::vector<Var> results =
      node.builder().apply_all("arg_max_pool", {node.input(0)}, std::move(pool.attributes));
  node.set(0, results[0]);
  node.set(1, places_in_x(node, results[1], pool.window.window, column_major));
}

// The sums of the windows of each channel of x, as average_pool has them before it divides.
Var sum_of(Node& node, Var x, const Pool& pool) {
  Window window = pool.window.window;
  x = framed(node, x, pool.window, 0);
  const Shape shape = x.shape();
  Shape one_channel{shape[0] * shape[1], Dim(1)}, taps{Dim(1), Dim(1)}, sums{shape[0], shape[1]};
  for (std::size_t i = 0; i < window.size(); ++i) {
    const Dim& size = shape[kSpatial + i];
    if (pool.attributes.boolean("ceil_mode")) window[i] = window[i].ceiling(size);
    one_channel.push_back(size);
    taps.emplace_back(window[i].kernel);
    sums.push_back(window[i].positions(size));
  }
  Var ones = ops::broadcast_to(node.builder(), node.like(x, 1), taps);
  Var sum = node.apply("conv", {node.reshaped(x, one_channel), ones}, ops::attributes_of(window));
  return node.reshaped(sum, sums);
}

// The mean of windows of x. A frame that depends on symbols is part of what is added up; it counts
// as it would in average_pool, with the same bits.
Var average_of(Node& node, Var x, Pool pool, bool counts_frame) {
  if (pool.window.frames.empty()) {
    pool.attributes.set("count_include_pad", counts_frame);
    return node.apply("average_pool", {x}, std::move(pool.attributes));
  }
  Var count;
  if (counts_frame) {
    double taps = 1;
    for (const ops::WindowAxis& axis : pool.window.window) taps *= static_cast<double>(axis.kernel);
    count = node.like(x, taps);
  } else {
    Shape space(x.shape());
    space[0] = space[1] = Dim(1);
    count = sum_of(node, ops::broadcast_to(node.builder(), node.like(x, 1), space), pool);
  }
  return node.apply("div", {sum_of(node, x, pool), count});
}

void convert_average_pool(Node& node) {
  Pool pool = pool_of(node);
  bool counts_frame = node.flag("count_include_pad", false);
  node.set(0, average_of(node, node.input(0), std::move(pool), counts_frame));
}

// (the sum of |x|^p)^(1 / p).
void convert_lp_pool(Node& node) {
  Pool pool = pool_of(node);
  double p = static_cast<double>(node.integer("p", 2));
  Var x = node.wide_input(0);
  Var powers = p == 2 ? node.apply("mul", {x, x}) : node.apply("abs", {x});
  if (p != 1 && p != 2) powers = node.apply("pow", {powers, node.like(x, p)});
  Var sum = sum_of(node, powers, pool);
  if (p == 2) sum = node.apply("sqrt", {sum});
  if (p != 1 && p != 2) sum = node.apply("pow", {sum, node.like(x, 1 / p)});
  node.set(0, node.cast(sum, node.dtype(0)));
}

}  // namespace

void add_window_converters(ConverterTable& table) {
  table.add("Conv", 1, convert_conv);
  table.add("ConvTranspose", 1, convert_conv_transpose);
  table.add("MaxPool", 1, convert_max_pool);
  table.add("AveragePool", 1, convert_average_pool);
  table.add("LpPool", 2, convert_lp_pool);
}

}  // namespace weir::onnx_format
