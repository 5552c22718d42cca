// Networks of layers in a row, described once: as a graph of ours, which other runtimes get through
// the export, and for libraries that are called layer by layer.
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ir/builder_ops.h"

namespace weir::bench {

struct Layer {
  enum class Kind { dense, conv, max_pool };
  Kind kind = Kind::dense;
  std::int64_t outputs = 0;  // features or channels; of a pool: as many as come in
  // Of windows, the same along all spatial axes; `low` and `high` are the frame around them.
  std::int64_t kernel = 1, stride = 1, dilation = 1, low = 0, high = 0, groups = 1;
  bool normalized = false;     // a batch_norm follows, and there is no bias
  std::optional<float> slope;  // a LeakyReLU follows
};

struct Network {
  std::string name;
  std::vector<std::int64_t> input;  // features, or channels and spatial axes
  std::vector<Layer> layers;

  std::size_t spatial_axes() const { return input.size() - 1; }
};

inline Network perceptron(std::string name, const std::vector<std::int64_t>& features) {
  Network network{std::move(name), {features[0]}, {}};
  for (std::size_t i = 1; i < features.size(); ++i) {
    Layer layer;
    layer.outputs = features[i];
    if (i + 1 < features.size()) layer.slope = 0.01f;
    network.layers.push_back(layer);
  }
  return network;
}

inline Layer convolution(std::int64_t outputs, std::int64_t kernel, std::int64_t stride,
                         std::int64_t frame, bool normalized, std::optional<float> slope) {
  Layer layer;
  layer.kind = Layer::Kind::conv;
  layer.outputs = outputs;
  layer.kernel = kernel;
  layer.stride = stride;
  layer.low = layer.high = frame;
  layer.normalized = normalized;
  layer.slope = slope;
  return layer;
}

// Redmon and Farhadi, YOLO9000 (2017): its tiny configuration for the VOC classes.
inline Network tiny_yolo() {
  Network network{"Tiny-YOLOv2", {3, 416, 416}, {}};
  for (std::int64_t channels : {16, 32, 64, 128, 256, 512}) {
    network.layers.push_back(convolution(channels, 3, 1, 1, true, 0.1f));
    Layer pool;
    pool.kind = Layer::Kind::max_pool;
    pool.kernel = 2;
    pool.stride = channels == 512 ? 1 : 2;
    pool.high = channels == 512 ? 1 : 0;
    network.layers.push_back(pool);
  }
  for (int i = 0; i < 2; ++i) network.layers.push_back(convolution(1024, 3, 1, 1, true, 0.1f));
  network.layers.push_back(convolution(125, 1, 1, 0, false, std::nullopt));
  return network;
}

// Radford, Metz and Chintala, Unsupervised representation learning (2016), for images of 64 x 64.
inline Network dcgan_discriminator() {
  Network network{"DCGAN discriminator", {3, 64, 64}, {}};
  for (std::int64_t channels : {64, 128, 256, 512})
    network.layers.push_back(convolution(channels, 4, 2, 1, channels != 64, 0.2f));
  network.layers.push_back(convolution(1, 4, 1, 0, false, std::nullopt));
  return network;
}

// Convolutions as the networks above and MobileNets have them, and those that are grouped, dilated,
// or of one or three spatial axes, each a network of its own.
inline std::vector<Network> single_convolutions() {
  Layer grouped = convolution(128, 3, 1, 1, false, 0.1f);
  grouped.groups = 4;
  Layer dilated = convolution(64, 3, 1, 2, false, 0.1f);
  dilated.dilation = 2;
  auto depthwise = [](std::int64_t channels, std::int64_t stride) {
    Layer layer = convolution(channels, 3, stride, 1, false, 0.1f);
    layer.groups = channels;
    return layer;
  };
  return {
      {"3x3 3->16, 416", {3, 416, 416}, {convolution(16, 3, 1, 1, false, 0.1f)}},
      {"3x3 16->32, 208", {16, 208, 208}, {convolution(32, 3, 1, 1, false, 0.1f)}},
      {"3x3 64->64, 56", {64, 56, 56}, {convolution(64, 3, 1, 1, false, 0.1f)}},
      {"3x3 256->512, 13", {256, 13, 13}, {convolution(512, 3, 1, 1, false, 0.1f)}},
      {"4x4/2 64->128, 32", {64, 32, 32}, {convolution(128, 4, 2, 1, false, 0.2f)}},
      {"4x4/2 256->512, 8", {256, 8, 8}, {convolution(512, 4, 2, 1, false, 0.2f)}},
      {"1x1 64->128, 40", {64, 40, 40}, {convolution(128, 1, 1, 0, false, 0.1f)}},
      {"3x3 depthwise 96, 40", {96, 40, 40}, {depthwise(96, 1)}},
      {"3x3/2 depthwise 96, 40", {96, 40, 40}, {depthwise(96, 2)}},
      {"3x3 128->128, 4 groups", {128, 28, 28}, {grouped}},
      {"3x3 dilated 64->64, 56", {64, 56, 56}, {dilated}},
      {"9 64->64, 1024", {64, 1024}, {convolution(64, 9, 1, 4, false, 0.1f)}},
      {"3x3x3 16->32, 24", {16, 24, 24, 24}, {convolution(32, 3, 1, 1, false, 0.1f)}},
  };
}

// Numbers between -1 and 1, the same in every run.
class Numbers {
 public:
  Tensor tensor(Tensor::Sizes sizes, float scale, float offset = 0) {
    Tensor result(DType::f32, std::move(sizes));
    for (float& element : result.mutable_elements<float>()) element = offset + scale * next();
    return result;
  }

 private:
  float next() {
    state_ = state_ * 1664525u + 1013904223u;
    return static_cast<float>(state_ >> 8) * 0x1p-23f - 1.0f;
  }

  std::uint32_t state_ = 12345;
};

// A network's params in a graph, with weights that keep values at one size from layer to layer, and
// what it gives for an input. Layer i has the params w<i>, and b<i> or scale<i>, shift<i>, mean<i>
// and variance<i>. Where it is `trained`, layers are normalized by the batch, and the last two are
// missing.
class NetworkParams {
 public:
  NetworkParams(GraphBuilder& builder, const Network& network, bool trained = false)
      : network_(network), trained_(trained) {
    Numbers numbers;
    std::int64_t channels = network.input[0];
    for (std::size_t i = 0; i < network.layers.size(); ++i) {
      const Layer& layer = network.layers[i];
      Params& params = params_.emplace_back();
      if (layer.kind == Layer::Kind::max_pool) continue;
      auto param = [&](const char* name, float scale, float offset) {
        return builder.param(name + std::to_string(i),
                             numbers.tensor({layer.outputs}, scale, offset));
      };
      std::int64_t inputs = channels / layer.groups;
      std::int64_t taps = inputs;
      Tensor::Sizes sizes{layer.outputs, inputs};
      if (layer.kind == Layer::Kind::conv) {
        sizes.insert(sizes.end(), network.spatial_axes(), layer.kernel);
        for (std::size_t axis = 0; axis < network.spatial_axes(); ++axis) taps *= layer.kernel;
      }
      params.weight =
          builder.param("w" + std::to_string(i),
                        numbers.tensor(sizes, std::sqrt(6.0f / static_cast<float>(taps))));
      channels = layer.outputs;
      if (!layer.normalized) {
        params.bias = param("b", 0.1f, 0);
        continue;
      }
      params.scale = param("scale", 0.1f, 1);
      params.bias = param("shift", 0.1f, 0);
      if (trained) continue;
      params.mean = param("mean", 0.1f, 0);
      params.variance = param("variance", 0.2f, 1);
    }
  }

  Var operator()(Var value) const {
    for (std::size_t i = 0; i < network_.layers.size(); ++i) {
      const Layer& layer = network_.layers[i];
      const Params& params = params_[i];
      const std::size_t axes = network_.spatial_axes();
      std::vector<std::int64_t> kernel(axes, layer.kernel), strides(axes, layer.stride),
          dilations(axes, layer.dilation), low(axes, layer.low), high(axes, layer.high);
      if (layer.kind == Layer::Kind::max_pool) {
        value = max_pool(value, kernel, strides, {}, low, high);
        continue;
      }
      Var bias = layer.normalized ? Var() : params.bias;
      value = layer.kind == Layer::Kind::dense
                  ? linear(value, params.weight, bias)
                  : conv(value, params.weight, bias, strides, dilations, low, high, layer.groups);
      if (layer.normalized) value = normalized(value, params, layer.outputs);
      if (layer.slope) value = leaky_relu(value, *layer.slope);
    }
    return value;
  }

 private:
  struct Params {
    Var weight, bias, scale, mean, variance;
  };

  Var normalized(Var value, const Params& params, std::int64_t channels) const {
    if (!trained_)
      return batch_norm(value, params.scale, params.bias, params.mean, params.variance);
    // Running statistics that nobody asks for.
    Var unused = value.builder().constant(Numbers().tensor({channels}, 0));
    return batch_norm_training(value, params.scale, params.bias, unused, unused)[0];
  }

  const Network& network_;
  bool trained_;
  std::vector<Params> params_;
};

inline Shape shape_of_input(const Network& network, const Dim& batch) {
  Shape shape{batch};
  for (std::int64_t size : network.input) shape.emplace_back(size);
  return shape;
}

inline Model build_model(const Network& network, const Dim& batch) {
  GraphBuilder builder("network");
  NetworkParams params(builder, network);
  builder.output("y", params(builder.input("x", DType::f32, shape_of_input(network, batch))));
  return builder.finish();
}

}  // namespace weir::bench
