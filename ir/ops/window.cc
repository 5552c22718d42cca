#include "ir/ops/window.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace weir::ops {
namespace {

using Integers = std::vector<std::int64_t>;

// Sizes and steps within a tensor are far below this, and their products fit in 64 bits.
constexpr std::int64_t kLargest = std::int64_t{1} << 31;

// One entry for each axis of the window; none given means `otherwise`.
Integers entries(const OpInstance& instance, std::string_view name, std::size_t rank,
                 std::int64_t otherwise, std::int64_t least) {
  Integers values = instance.attributes.integers(name);
  if (values.empty()) values.assign(rank, otherwise);
  if (values.size() != rank)
    throw Error(
        fmt::format("{} is [{}]; it must have one entry for each of the {} axes of the "
                    "window",
                    name, fmt::join(values, ", "), rank));
  for (std::int64_t value : values)
    if (value < least || value > kLargest)
      throw Error(fmt::format("{} has the entry {}; it must be from {} to {}", name, value, least,
                              kLargest));
  return values;
}

}  // namespace

Dim WindowAxis::positions(const Dim& size) const {
  Dim room = size + Dim(low) + Dim(high) - Dim(reach()) - Dim(1);
  if (room.is_constant() && room.value() < -stride)
    throw Error(
        fmt::format("a window of {} elements does not fit into an axis of {} framed by {} "
                    "and {}",
                    reach() + 1, size.to_string(), low, high));
  return floor_quotient(room, stride) + Dim(1);
}

Dim WindowAxis::spread(const Dim& positions) const {
  return (positions - Dim(1)) * Dim(stride) + Dim(reach()) + Dim(1) - Dim(low) - Dim(high);
}

std::optional<WindowAxis> WindowAxis::spread_to(const Dim& size) const {
  WindowAxis result = *this;
  Dim rest = spread(positions(size)) - size;
  if (!rest.is_constant()) return std::nullopt;
  result.high += rest.value();
  return result;
}

WindowAxis WindowAxis::ceiling(const Dim& size) const {
  WindowAxis result = *this;
  // ceil((size + low + high - reach - 1) / stride) + 1 windows, or fewer: as many as begin before
  // the end of the axis are ceil((size + low) / stride).
  result.high = std::min(high + stride - 1, reach());
  return result.spread_to(size).value_or(result);
}

Expr WindowAxis::tap(Expr o, Expr k) const {
  Expr at = stride == 1 ? o : o * stride;
  if (kernel > 1) at = at + (dilation == 1 ? k : k * dilation);
  return low == 0 ? at : at - low;
}

Expr WindowAxis::has_tap(const Element& element, Expr at, const Dim& size) const {
  Expr guard;
  if (low > 0) guard = at >= 0;
  if (high > 0) {
    Expr below = at < element.size(size);
    guard = guard.valid() ? guard & below : below;
  }
  return guard;
}

OpDef with_window(OpDef op) {
  op = with_attribute(std::move(op), "strides", Integers{},
                      "Elements from one window to the next, for each axis of the window; none "
                      "means 1.");
  op = with_attribute(std::move(op), "dilations", Integers{},
                      "Elements from one tap of a window to the next; none means 1.");
  op = with_attribute(std::move(op), "low", Integers{},
                      "Elements framing each axis at its start; negative leaves elements out, none "
                      "means 0.");
  return with_attribute(std::move(op), "high", Integers{}, "The same, at its end.");
}

Window window_of(const OpInstance& instance, std::span<const std::int64_t> kernel) {
  std::size_t rank = kernel.size();
  Integers strides = entries(instance, "strides", rank, 1, 1),
           dilations = entries(instance, "dilations", rank, 1, 1),
           low = entries(instance, "low", rank, 0, -kLargest),
           high = entries(instance, "high", rank, 0, -kLargest);
  Window window;
  std::int64_t taps = 1;
  for (std::size_t i = 0; i < rank; ++i) {
    if (kernel[i] < 1 || kernel[i] > kLargest)
      throw Error(fmt::format("the window has {} elements along axis {}; it must have from 1 to {}",
                              kernel[i], i, kLargest));
    // How many taps there are is what sums are counted by.
    if (kernel[i] > kLargest / taps)
      throw Error(fmt::format("the window [{}] has more than {} elements", fmt::join(kernel, ", "),
                              kLargest));
    taps *= kernel[i];
    window.push_back({kernel[i], strides[i], dilations[i], low[i], high[i]});
  }
  return window;
}

Window window_of(const OpInstance& instance, const Shape& kernel) {
  Integers sizes;
  for (const Dim& size : kernel) {
    if (!size.is_constant())
      throw Error(
          fmt::format("the window {} has a symbolic size; it must be integers", to_string(kernel)));
    sizes.push_back(size.value());
  }
  return window_of(instance, sizes);
}

Attributes attributes_of(const Window& window) {
  Attributes attributes;
  auto set = [&](const char* name, std::int64_t WindowAxis::* entry, std::int64_t otherwise) {
    Integers values;
    bool is_default = true;
    for (const WindowAxis& axis : window) {
      values.push_back(axis.*entry);
      is_default = is_default && axis.*entry == otherwise;
    }
    if (!is_default) attributes.set(name, values);
  };
  set("strides", &WindowAxis::stride, 1);
  set("dilations", &WindowAxis::dilation, 1);
  set("low", &WindowAxis::low, 0);
  set("high", &WindowAxis::high, 0);
  return attributes;
}

Integers sizes_of(const Window& window) {
  Integers sizes;
  for (const WindowAxis& axis : window) sizes.push_back(axis.kernel);
  return sizes;
}

Attributes onnx_window(const Window& window) {
  Integers strides, dilations, pads, high;
  for (const WindowAxis& axis : window) {
    strides.push_back(axis.stride);
    dilations.push_back(axis.dilation);
    pads.push_back(axis.low);
    high.push_back(axis.high);
  }
  pads.insert(pads.end(), high.begin(), high.end());
  return {{"kernel_shape", sizes_of(window)},
          {"strides", strides},
          {"dilations", dilations},
          {"pads", pads}};
}

}  // namespace weir::ops
