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

void check_channels(Node& node) {
  if (node.rank(0) < 2)
    throw Error(fmt::format("x is {}; it must have a batch and channels", to_string(node.type(0))));
}

// --- By channel --------------------------------------------------------------

// In later opsets scale and bias, and mean and variance, may have types of their own.
void convert_batch_normalization(Node& node) {
  node.check_inputs(5, 5);
  double epsilon = node.real("epsilon", 1e-5), momentum = node.real("momentum", 0.9);
  bool is_training = node.opset() >= 14 && node.flag("training_mode", false);
  if (node.opset() < 9 && !node.flag("spatial", true))
    throw Unsupported("it normalizes every position by itself (spatial = 0)");
  if (node.opset() < 7) node.ignore("is_test");
  if (!is_training && node.result_count() > 1)
    throw Unsupported(
        "it computes statistics, for training; the model must be exported for inference");
  // The widest of the types; halves are computed on in f32 anyway.
  DType type = node.dtype(0);
  for (std::size_t i = 1; i < 5; ++i) {
    DType other = node.dtype(i);
    if (other != type && byte_size(other) == byte_size(type)) type = DType::f32;
    if (byte_size(other) > byte_size(type)) type = other;
  }
  std::vector<Var> operands;
  for (std::size_t i = 0; i < 5; ++i) operands.push_back(node.cast(node.input(i), type));
  if (!is_training) {
    Var y = node.apply("batch_norm", operands, {{"epsilon", epsilon}, {"momentum", momentum}});
    return node.set(0, node.cast(y, node.dtype(0)));
  }
  std::vector<Var> results = node.builder().apply_all(
      "batch_norm_training", operands, {{"epsilon", epsilon}, {"momentum", momentum}});
  node.set(0, node.cast(results[0], node.dtype(0)));
  for (std::size_t i = 1; i < 3; ++i)
    if (node.wants(i)) node.set(i, node.cast(results[i], node.dtype(i + 2)));
}

// Scale and bias have an element for each group in opsets 18 to 20, and for each channel from 21
// on.
void convert_group_normalization(Node& node) {
  node.check_inputs(3, 3);
  check_channels(node);
  std::int64_t groups = node.integer("num_groups");
  Attributes attributes{{"groups", groups}, {"epsilon", node.real("epsilon", 1e-5)}};
  std::vector<Var> operands = node.inputs();
  if (node.opset() >= 21) {
    node.ignore("stash_type");
  } else {
    const Dim& channels = node.shape(0)[1];
    std::optional<Dim> size = groups > 0 ? channels.divided_by(Dim(groups)) : std::nullopt;
    if (!size)
      throw Error(
          fmt::format("{} channels do not divide into {} groups", channels.to_string(), groups));
    for (std::size_t i = 1; i < 3; ++i) {
      if (operands[i].shape() != Shape{Dim(groups)})
        throw Error(fmt::format("its {} is {}; it must have one element for each of the {} groups",
                                i == 1 ? "scale" : "bias", to_string(operands[i].type()), groups));
      Var apart = node.reshaped(operands[i], {Dim(groups), Dim(1)});
      operands[i] = node.reshaped(node.broadcast(apart, {Dim(groups), *size}), {channels});
    }
  }
  node.set(0, node.apply("group_norm", operands, std::move(attributes)));
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
  // Statistics that are results are f32, whatever x is.
  Normalized parts =
      normalized(node, node.wide_input(0), axes_from(axis, x.type().rank()), epsilon);
  Var y = node.apply("mul", {parts.value, node.wide_input(1)});
  if (node.has_input(2)) y = node.apply("add", {y, node.wide_input(2)});
  node.set(0, node.cast(y, x.dtype()));
  node.set(1, node.cast(parts.mean, DType::f32));
  node.set(2, node.cast(parts.scale, DType::f32));
}

// The result has the type of the scale, which need not be that of x.
void convert_rms_normalization(Node& node) {
  node.check_inputs(2, 2);
  int axis = node.axis_attribute(node.rank(0), -1);
  node.ignore("stash_type");
  std::vector<Var> operands = node.inputs();
  if (operands[0].dtype() != operands[1].dtype()) {
    operands = {node.wide_input(0), node.wide_input(1)};
    if (operands[0].dtype() != operands[1].dtype())
      for (Var& operand : operands) operand = node.cast(operand, DType::f64);
  }
  Var y = node.apply("rms_norm", operands,
                     {{"axis", std::int64_t{axis}}, {"epsilon", node.real("epsilon", 1e-5)}});
  node.set(0, node.cast(y, node.dtype(1)));
}

// (x - mean) / (sqrt(variance) + 1e-9), with the variance as mean(x^2) - mean(x)^2.
void convert_mean_variance_normalization(Node& node) {
  node.check_inputs(1, 1);
  Var x = node.wide_input(0);
  Axes axes = node.integers("axes").value_or(Axes{0, 2, 3});
  for (std::int64_t& axis : axes) axis = node.axis(axis, x.type().rank());
  Var average = mean(node, x, axes);
  Var centered = node.apply("sub", {x, average});
  Var variance = mean(node, node.apply("mul", {centered, centered}), axes);
  Var spread = node.apply("add", {node.apply("sqrt", {variance}), node.like(x, 1e-9)});
  node.set(0, node.cast(node.apply("div", {centered, spread}), node.dtype(0)));
}

// x over the sum of its magnitudes, or over the root of the sum of its squares; 0 where that is 0.
void convert_lp_normalization(Node& node) {
  node.check_inputs(1, 1);
  Var x = node.wide_input(0);
  std::int64_t axis = node.axis_attribute(x.type().rank(), -1), p = node.integer("p", 2);
  if (p != 1 && p != 2) throw Error(fmt::format("p is {}; it must be 1 or 2", p));
  Var terms = p == 1 ? node.apply("abs", {x}) : node.apply("mul", {x, x});
  Var norm = node.apply("reduce_sum", {terms}, {{"axes", Axes{axis}}, {"keep_dims", true}});
  if (p == 2) norm = node.apply("sqrt", {norm});
  Var is_zero = node.apply("equal", {norm, node.like(x, 0)});
  Var quotient = node.apply("div", {x, norm});
  Var y = node.apply("select", {is_zero, node.like(x, 0), quotient});
  node.set(0, node.cast(y, node.dtype(0)));
}

// x / (bias + alpha / size * s)^beta, where s sums the squares of the channels around each.
void convert_lrn(Node& node) {
  node.check_inputs(1, 1);
  check_channels(node);
  Var x = node.wide_input(0);
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
  Var y = node.apply("div", {x, node.apply("pow", {base, node.like(x, beta)})});
  node.set(0, node.cast(y, node.dtype(0)));
}

}  // namespace

void add_normalize_converters(ConverterTable& table) {
  table.add("BatchNormalization", 6, convert_batch_normalization);
  table.add("GroupNormalization", 18, convert_group_normalization);
  table.add("LayerNormalization", 17, convert_layer_normalization);
  table.add("RMSNormalization", 23, convert_rms_normalization);
  table.add("MeanVarianceNormalization", 9, convert_mean_variance_normalization);
  table.add("LpNormalization", 1, convert_lp_normalization);
  table.add("LRN", 1, convert_lrn);
}

}  // namespace weir::onnx_format
