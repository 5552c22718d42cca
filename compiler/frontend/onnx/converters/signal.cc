// DFT and STFT: products with the roots of unity, which are known while the model is loaded.
#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include "compiler/frontend/onnx/converters.h"

namespace weir::onnx_format {
namespace {

using Integers = std::vector<std::int64_t>;

// The transform of signals of n elements to k of n bins, between complex numbers of two parts or,
// on the left, of one: [n * parts, k * 2], so that it is one product for all of a signal.
struct Transform {
  std::int64_t length, parts, bins;
  bool inverse;
};

Tensor weights_of(const Transform& t) {
  constexpr double kMost = 1 << 22;
  if (4.0 * static_cast<double>(t.length) * static_cast<double>(t.bins) > kMost)
    throw Unsupported(fmt::format("it transforms {} elements to {} bins", t.length, t.bins));
  Tensor weights(DType::f64, {t.length * t.parts, t.bins * 2});
  std::span<double> out = weights.mutable_elements<double>();
  double factor = t.inverse ? 1 / static_cast<double>(t.length) : 1;
  for (std::int64_t i = 0; i < t.length; ++i)
    for (std::int64_t k = 0; k < t.bins; ++k) {
      // Of i * k what is left of whole turns, so that the angle is small and exact.
      double turn = static_cast<double>(i * k % t.length) / static_cast<double>(t.length);
      double angle = (t.inverse ? 2 : -2) * std::numbers::pi * turn;
      double real = factor * std::cos(angle), imaginary = factor * std::sin(angle);
      auto at = [&](std::int64_t part, std::int64_t result) -> double& {
        return out[static_cast<std::size_t>((i * t.parts + part) * t.bins * 2 + k * 2 + result)];
      };
      at(0, 0) = real;
      at(0, 1) = imaginary;
      if (t.parts == 1) continue;
      at(1, 0) = -imaginary;
      at(1, 1) = real;
    }
  return weights;
}

// Of [..., n, parts] to [..., k, 2].
Var transformed(Node& node, Var x, const Transform& t) {
  Dim count = 1;
  for (std::size_t i = 0; i + 2 < x.shape().size(); ++i) count = count * x.shape()[i];
  Var weights = node.cast(node.builder().constant(weights_of(t)), x.dtype());
  Shape result = x.shape();
  result[result.size() - 2] = t.bins;
  result.back() = 2;
  Var y = node.apply("matmul", {node.reshaped(x, {count, Dim(t.length * t.parts)}), weights});
  return node.reshaped(y, std::move(result));
}

std::int64_t parts_of(Var x) {
  if (x.type().rank() >= 2)
    for (std::int64_t parts : {1, 2})
      if (x.shape().back() == Dim(parts)) return parts;
  throw Error(
      fmt::format("the signal is {}; its last axis must have the one or two parts of numbers",
                  to_string(x.type())));
}

std::int64_t number_of(const Dim& size, std::string_view what) {
  if (size.is_constant() && size.value() > 0) return size.value();
  throw Unsupported(
      fmt::format("{} is {}; it has to be a number, at least 1", what, size.to_string()));
}

// The axis is an attribute, and an input from opset 20 on.
void convert_dft(Node& node) {
  bool axis_is_input = node.opset() >= 20;
  node.check_inputs(1, axis_is_input ? 3 : 2);
  Var x = node.input(0);
  int rank = x.type().rank();
  std::int64_t parts = parts_of(x);
  std::int64_t place = !axis_is_input      ? node.integer("axis", 1)
                       : node.has_input(2) ? node.integer(2, "axis")
                                           : -2;
  auto axis = static_cast<std::size_t>(node.axis(place, rank));
  if (axis + 1 == x.shape().size()) throw Error("the axis is that of the parts of numbers");
  bool inverse = node.flag("inverse", false), onesided = node.flag("onesided", false);
  if (inverse && onesided) throw Unsupported("it is inverse and onesided");
  std::int64_t size = number_of(x.shape()[axis], "the length of the signal");
  std::int64_t length = node.has_input(1) ? node.integer(1, "length") : size;
  if (length < 1) throw Error(fmt::format("the length is {}; it must be at least 1", length));
  if (length < size) {
    Shape starts(x.shape().size(), Dim(0)), limits = x.shape();
    limits[axis] = length;
    x = node.apply("slice", {x}, {{"starts", starts}, {"limits", limits}});
  } else if (length > size) {
    Shape low(x.shape().size(), Dim(0)), high = low;
    high[axis] = Dim(length) - Dim(size);
    x = node.apply("pad", {x}, {{"low", low}, {"high", high}});
  }
  // The axis goes beside the parts, and back.
  Integers swap;
  for (int i = 0; i < rank; ++i) swap.push_back(i);
  std::swap(swap[axis], swap[static_cast<std::size_t>(rank) - 2]);
  auto swapped = [&](Var value) {
    return node.apply("transpose", {value}, {{"permutation", swap}});
  };
  std::int64_t bins = onesided ? length / 2 + 1 : length;
  node.set(0, swapped(transformed(node, swapped(x), {length, parts, bins, inverse})));
}

void convert_stft(Node& node) {
  node.check_inputs(2, 4);
  Var x = node.input(0);
  std::int64_t parts = parts_of(x), step = node.integer(1, "step");
  if (x.type().rank() != 3)
    throw Error(
        fmt::format("the signal is {}; it must be [batch, length, parts]", to_string(x.type())));
  std::int64_t size = number_of(x.shape()[1], "the length of the signal");
  std::optional<std::int64_t> length;
  if (node.has_input(3)) length = node.integer(3, "frame length");
  if (node.has_input(2)) {
    std::int64_t window =
        number_of(node.rank(2) == 1 ? node.shape(2)[0] : Dim(0), "the length of the window");
    if (node.rank(2) != 1 || (length && *length != window))
      throw Error(
          fmt::format("the window is {}; it must be as long as a frame", to_string(node.type(2))));
    length = window;
  }
  constexpr std::int64_t kMostFrames = 256;
  if (!length || *length < 1 || *length > size || step < 1)
    throw Error(fmt::format("frames of {} in steps of {} do not fit a signal of {}",
                            length.value_or(0), step, size));
  std::int64_t frames = (size - *length) / step + 1;
  if (frames > kMostFrames)
    throw Unsupported(fmt::format("it has {} frames; {} are the most", frames, kMostFrames));
  std::vector<Var> parts_of_x;
  Shape frame{x.shape()[0], 1, *length, parts};
  for (std::int64_t i = 0; i < frames; ++i) {
    Shape starts{0, i * step, 0}, limits{x.shape()[0], i * step + *length, parts};
    Var part = node.apply("slice", {x}, {{"starts", starts}, {"limits", limits}});
    parts_of_x.push_back(node.reshaped(part, frame));
  }
  Var all = parts_of_x[0];
  if (frames > 1) all = node.apply("concat", parts_of_x, {{"axis", std::int64_t{1}}});
  if (node.has_input(2))
    all = node.apply("mul", {all, node.reshaped(node.input(2), {Dim(*length), Dim(1)})});
  bool onesided = node.flag("onesided", true);
  std::int64_t bins = onesided ? *length / 2 + 1 : *length;
  node.set(0, transformed(node, all, {*length, parts, bins, false}));
}

}  // namespace

void add_signal_converters(ConverterTable& table) {
  table.add("DFT", 17, convert_dft);
  table.add("STFT", 17, convert_stft);
}

}  // namespace weir::onnx_format
