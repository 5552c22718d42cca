// Normalizations, as their definitions say, in reductions and arithmetic.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "compiler/frontend/onnx/converters.h"

namespace weir::onnx_format {
namespace {

using Axes = std::vector<std::int64_t>;

Var mean(Node& node, Var x, const Axes& axes) {
  if (axes.empty()) return x;
  return node.apply("reduce_mean", {x}, {{"axes", axes}, {"keep_dims", true}});
}

Axes axes_from(int first, int rank) {
  Axes axes;
  for (int i = first; i < rank; ++i) axes.push_back(i);
  return axes;
}

// x minus its mean over the axes, times 1 / sqrt(variance + epsilon).
struct Normalized {
  Var value, mean, scale;
};

Normalized normalized(Node& node, Var x, const Axes& axes, double epsilon) {
  Var average = mean(node, x, axes);
  Var centered = node.apply("sub", {x, average});
  Var variance = mean(node, node.apply("mul", {centered, centered}), axes);
  Var scale = node.apply("rsqrt", {node.apply("add", {variance, node.like(x, epsilon)})});
  return {node.apply("mul", {centered, scale}), average, scale};
}

// A list with one element for each channel, in a shape that broadcasts to x.
Var per_channel(Node& node, std::size_t i, const Shape& shape, std::string_view what) {
  Var list = node.input(i);
  if (list.type().rank() != 1 || list.shape()[0] != shape[1])
    throw Error(fmt::format("its {} is {}; it must have one element for each of the {} channels",
                            what, to_string(list.type()), shape[1].to_string()));
  Shape spread(shape.size() - 1, Dim(1));
  spread[0] = shape[1];
  return node.reshaped(list, std::move(spread));
}

void check_channels(Node& node) {
  if (node.rank(0) < 2)
    throw Error(fmt::format("x is {}; it must have a batch and channels", to_string(node.type(0))));
}

// --- BatchNormalization ------------------------------------------------------

// (x - mean) * (scale / sqrt(variance + epsilon)) + bias, with statistics that are given.
Var with_statistics(Node& node, Var x, Var average, Var variance, double epsilon) {
  const Shape& shape = x.shape();
  Var spread = node.apply("sqrt", {node.apply("add", {variance, node.like(variance, epsilon)})});
  Var factor =
      node.apply("div", {per_channel(node, 1, shape, "scale"), node.cast(spread, node.dtype(1))});
  Var centered = node.apply("sub", {x, node.cast(average, x.dtype())});
  Var scaled = node.apply("mul", {centered, node.cast(factor, x.dtype())});
  return node.apply("add", {scaled, node.cast(per_channel(node, 2, shape, "bias"), x.dtype())});
}

void convert_batch_normalization(Node& node) {
  node.check_inputs(5, 5);
  check_channels(node);
  double epsilon = node.real("epsilon", 1e-5), momentum = node.real("momentum", 0.9);
  bool is_training = node.opset() >= 14 && node.flag("training_mode", false);
  if (node.opset() < 9 && !node.flag("spatial", true))
    throw Unsupported("it normalizes every position by itself (spatial = 0)");
  if (node.opset() < 7) node.ignore("is_test");
  Var x = node.input(0);
  Var average = per_channel(node, 3, x.shape(), "mean");
  Var variance = per_channel(node, 4, x.shape(), "variance");
  if (!is_training) {
    if (node.result_count() > 1)
      throw Unsupported(
          "it computes statistics, for training; the model must be exported for "
          "inference");
    return node.set(0, with_statistics(node, x, average, variance, epsilon));
  }
  Axes axes = axes_from(2, x.type().rank());
  axes.insert(axes.begin(), 0);
  Shape spread(x.shape().size() - 1, Dim(1));
  spread[0] = x.shape()[1];
  Var batch_mean = mean(node, x, axes);
  Var centered = node.apply("sub", {x, batch_mean});
  Var batch_variance = mean(node, node.apply("mul", {centered, centered}), axes);
  batch_mean = node.reshaped(batch_mean, spread);
  batch_variance = node.reshaped(batch_variance, spread);
  node.set(0, with_statistics(node, x, batch_mean, batch_variance, epsilon));
  auto running = [&](Var before, Var now) {
    Var kept = node.apply("mul", {before, node.like(before, momentum)});
    Var added = node.cast(node.apply("mul", {now, node.like(now, 1 - momentum)}), before.dtype());
    return node.reshaped(node.apply("add", {kept, added}), {x.shape()[1]});
  };
  if (node.wants(1)) node.set(1, running(average, batch_mean));
  if (node.wants(2)) node.set(2, running(variance, batch_variance));
}

// --- Within an example -------------------------------------------------------

void convert_instance_normalization(Node& node) {
  node.check_inputs(3, 3);
  check_channels(node);
  Var x = node.input(0);
  Var y = normalized(node, x, axes_from(2, x.type().rank()), node.real("epsilon", 1e-5)).value;
  y = node.apply("mul", {y, per_channel(node, 1, x.shape(), "scale")});
  node.set(0, node.apply("add", {y, per_channel(node, 2, x.shape(), "bias")}));
}

// Scale and bias have an element for each group in opsets 18 to 20, and for each channel from 21
// on.
void convert_group_normalization(Node& node) {
  node.check_inputs(3, 3);
  check_channels(node);
  if (node.opset() >= 21) node.ignore("stash_type");
  Var x = node.input(0);
  const Shape& shape = x.shape();
  std::int64_t groups = node.integer("num_groups");
  std::optional<Dim> size = groups > 0 ? shape[1].divided_by(Dim(groups)) : std::nullopt;
  if (!size)
    throw Error(
        fmt::format("{} channels do not divide into {} groups", shape[1].to_string(), groups));
  Shape grouped = shape;
  grouped[1] = *size;
  grouped.insert(grouped.begin() + 1, Dim(groups));
  Var y = normalized(node, node.reshaped(x, grouped),
                     axes_from(2, static_cast<int>(grouped.size())), node.real("epsilon", 1e-5))
              .value;
  bool by_channel = node.opset() >= 21;
  if (by_channel) y = node.reshaped(y, shape);
  const Shape& own = by_channel ? shape : grouped;
  y = node.apply("mul", {y, per_channel(node, 1, own, "scale")});
  y = node.apply("add", {y, per_channel(node, 2, own, "bias")});
  node.set(0, node.reshaped(y, shape));
}

void convert_layer_normalization(Node& node) {
  node.check_inputs(2, 3);
  Var x = node.input(0);
  int axis = node.axis_attribute(x.type().rank(), -1);
  double epsilon = node.real("epsilon", 1e-5);
  // The type that statistics are computed in; f16 and bf16 accumulate in f32 anyway.
  node.ignore("stash_type");
  bool wants_statistics = node.wants(1) || node.wants(2);
  if (!wants_statistics) {
    node.set(0, node.apply("layer_norm", node.inputs(),
                           {{"axis", std::int64_t{axis}}, {"epsilon", epsilon}}));
    return;
  }
  Normalized parts = normalized(node, x, axes_from(axis, x.type().rank()), epsilon);
  Var y = node.apply("mul", {parts.value, node.input(1)});
  if (node.has_input(2)) y = node.apply("add", {y, node.input(2)});
  node.set(0, y);
  node.set(1, parts.mean);
  node.set(2, parts.scale);
}

// x / sqrt(mean(x^2) + epsilon) * scale
void convert_rms_normalization(Node& node) {
  node.check_inputs(2, 2);
  Var x = node.input(0);
  int axis = node.axis_attribute(x.type().rank(), -1);
  double epsilon = node.real("epsilon", 1e-5);
  node.ignore("stash_type");
  Var square = mean(node, node.apply("mul", {x, x}), axes_from(axis, x.type().rank()));
  Var scale = node.apply("rsqrt", {node.apply("add", {square, node.like(x, epsilon)})});
  node.set(0, node.apply("mul", {node.apply("mul", {x, scale}), node.input(1)}));
}

// (x - mean) / (sqrt(variance) + 1e-9), with the variance as mean(x^2) - mean(x)^2.
void convert_mean_variance_normalization(Node& node) {
  node.check_inputs(1, 1);
  Var x = node.input(0);
  Axes axes = node.integers("axes").value_or(Axes{0, 2, 3});
  for (std::int64_t& axis : axes) axis = node.axis(axis, x.type().rank());
  Var average = mean(node, x, axes);
  Var centered = node.apply("sub", {x, average});
  Var variance = mean(node, node.apply("mul", {centered, centered}), axes);
  Var spread = node.apply("add", {node.apply("sqrt", {variance}), node.like(x, 1e-9)});
  node.set(0, node.apply("div", {centered, spread}));
}

// x over the sum of its magnitudes, or over the root of the sum of its squares; 0 where that is 0.
void convert_lp_normalization(Node& node) {
  node.check_inputs(1, 1);
  Var x = node.input(0);
  std::int64_t axis = node.axis_attribute(x.type().rank(), -1), p = node.integer("p", 2);
  if (p != 1 && p != 2) throw Error(fmt::format("p is {}; it must be 1 or 2", p));
  Var terms = p == 1 ? node.apply("abs", {x}) : node.apply("mul", {x, x});
  Var norm = node.apply("reduce_sum", {terms}, {{"axes", Axes{axis}}, {"keep_dims", true}});
  if (p == 2) norm = node.apply("sqrt", {norm});
  Var is_zero = node.apply("equal", {norm, node.like(x, 0)});
  Var quotient = node.apply("div", {x, norm});
  node.set(0, node.apply("select", {is_zero, node.like(x, 0), quotient}));
}

// x / (bias + alpha / size * s)^beta, where s sums the squares of the channels around each.
void convert_lrn(Node& node) {
  node.check_inputs(1, 1);
  check_channels(node);
  Var x = node.input(0);
  std::int64_t size = node.integer("size");
  double alpha = node.real("alpha", 1e-4), beta = node.real("beta", 0.75),
         bias = node.real("bias", 1.0);
  constexpr std::int64_t kMost = 1024;
  if (size < 1 || size > kMost)
    throw Error(
        fmt::format("size is {}; it must be a number of channels, {} at most", size, kMost));
  std::int64_t before = (size - 1) / 2;
  Shape low(x.shape().size(), Dim(0)), high = low;
  low[1] = before;
  high[1] = size - 1 - before;
  Var padded = node.apply("pad", {node.apply("mul", {x, x})}, {{"low", low}, {"high", high}});
  Var sum;
  for (std::int64_t i = 0; i < size; ++i) {
    Shape starts(x.shape().size(), Dim(0)), limits = x.shape();
    starts[1] = i;
    limits[1] = x.shape()[1] + Dim(i);
    Var part = node.apply("slice", {padded}, {{"starts", starts}, {"limits", limits}});
    sum = sum.valid() ? node.apply("add", {sum, part}) : part;
  }
  Var scaled = node.apply("mul", {sum, node.like(x, alpha / static_cast<double>(size))});
  Var base = node.apply("add", {scaled, node.like(x, bias)});
  node.set(0, node.apply("div", {x, node.apply("pow", {base, node.like(x, beta)})}));
}

}  // namespace

void add_normalize_converters(ConverterTable& table) {
  table.add("BatchNormalization", 6, convert_batch_normalization);
  table.add("InstanceNormalization", 6, convert_instance_normalization);
  table.add("GroupNormalization", 18, convert_group_normalization);
  table.add("LayerNormalization", 17, convert_layer_normalization);
  table.add("RMSNormalization", 23, convert_rms_normalization);
  table.add("MeanVarianceNormalization", 9, convert_mean_variance_normalization);
  table.add("LpNormalization", 1, convert_lp_normalization);
  table.add("LRN", 1, convert_lrn);
}

}  // namespace weir::onnx_format
