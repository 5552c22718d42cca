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

// The window of a convolution or a pool of x, its frame from auto_pad where that is given.
Window window_of(Node& node, const Integers& kernel) {
  Window window = stated_window(node, kernel);
  AutoPad mode = auto_pad_of(node);
  if (mode == AutoPad::none) return window;
  for (std::size_t i = 0; i < window.size(); ++i) {
    ops::WindowAxis& axis = window[i];
    axis.low = axis.high = 0;
    if (mode == AutoPad::valid) continue;
    // As many windows as strides begin in the axis.
    const Dim& size = node.shape(0)[kSpatial + i];
    Dim positions = floor_quotient(size + Dim(axis.stride - 1), axis.stride);
    Dim total = (positions - Dim(1)) * Dim(axis.stride) + Dim(axis.reach() + 1) - size;
    if (!total.is_constant())
      throw Unsupported(
          fmt::format("auto_pad depends on an axis of {}, {} elements from window to window; "
                      "declare the size as a number",
                      size.to_string(), axis.stride));
    split_frame(axis, std::max<std::int64_t>(0, total.value()), mode == AutoPad::same_upper);
  }
  return window;
}

void set_filtered(Node& node, std::string_view op, const Window& window) {
  Attributes attributes = ops::attributes_of(window);
  attributes.set("groups", node.integer("group", 1));
  std::vector<Var> operands{node.input(0), node.input(1)};
  if (node.has_input(2)) operands.push_back(node.input(2));
  node.set(0, node.apply(op, std::move(operands), std::move(attributes)));
}

void convert_conv(Node& node) {
  node.check_inputs(2, 3);
  check_spatial(node);
  set_filtered(node, "conv", window_of(node, kernel_of(node, &node.shape(1))));
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
  set_filtered(node, "conv_transpose", window);
}

// --- Pools -------------------------------------------------------------------

Attributes pool_attributes(const Window& window) {
  Attributes attributes = ops::attributes_of(window);
  Integers kernel;
  for (const ops::WindowAxis& axis : window) kernel.push_back(axis.kernel);
  attributes.set("kernel", kernel);
  return attributes;
}

// The window of a pool, ceil_mode included.
Attributes pool_of(Node& node) {
  check_spatial(node);
  Attributes attributes = pool_attributes(window_of(node, kernel_of(node, nullptr)));
  attributes.set("ceil_mode", node.flag("ceil_mode", false));
  return attributes;
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
  node.check_inputs(1, 1);
  bool column_major = node.flag("storage_order", false);
  Attributes attributes = pool_of(node);
  if (!node.wants(1)) {
    node.set(0, node.apply("max_pool", {node.input(0)}, std::move(attributes)));
    return;
  }
  std::vector<Var> results =
      node.builder().apply_all("arg_max_pool", {node.input(0)}, std::move(attributes));
  node.set(0, results[0]);
  node.set(1,
           places_in_x(node, results[1], window_of(node, kernel_of(node, nullptr)), column_major));
}

void convert_average_pool(Node& node) {
  node.check_inputs(1, 1);
  Attributes attributes = pool_of(node);
  attributes.set("count_include_pad", node.flag("count_include_pad", false));
  node.set(0, node.apply("average_pool", {node.input(0)}, std::move(attributes)));
}

// (the sum of |x|^p)^(1 / p), as the mean with the frame counted times the size of the window.
void convert_lp_pool(Node& node) {
  node.check_inputs(1, 1);
  check_spatial(node);
  double p = static_cast<double>(node.integer("p", 2));
  Var x = node.input(0);
  Integers kernel = kernel_of(node, nullptr);
  Attributes attributes = pool_of(node);
  attributes.set("count_include_pad", true);
  double count = 1;
  for (std::int64_t size : kernel) count *= static_cast<double>(size);
  Var powers = p == 2 ? node.apply("mul", {x, x}) : node.apply("abs", {x});
  if (p != 1 && p != 2) powers = node.apply("pow", {powers, node.like(x, p)});
  Var sum = node.apply(
      "mul", {node.apply("average_pool", {powers}, std::move(attributes)), node.like(x, count)});
  if (p == 1) return node.set(0, sum);
  node.set(0, p == 2 ? node.apply("sqrt", {sum}) : node.apply("pow", {sum, node.like(x, 1 / p)}));
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
