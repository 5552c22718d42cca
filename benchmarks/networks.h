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
  // Of windows, the same along both spatial axes; `low` and `high` are the frame around them.
  std::int64_t kernel = 1, stride = 1, low = 0, high = 0, groups = 1;
  bool normalized = false;     // a batch_norm follows, and there is no bias
  std::optional<float> slope;  // a LeakyReLU follows
};

struct Network {
  std::string name;
  std::vector<std::int64_t> input;  // features, or channels, height and width
  std::vector<Layer> layers;
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

// The network with weights that keep values at one size from layer to layer. Layer i has the params
// w<i>, and b<i> or scale<i>, shift<i>, mean<i> and variance<i>.
inline Model build_model(const Network& network, const Dim& batch) {
  GraphBuilder builder("network");
  Numbers numbers;
  Shape shape{batch};
  for (std::int64_t size : network.input) shape.emplace_back(size);
  Var value = builder.input("x", DType::f32, shape);
  for (std::size_t i = 0; i < network.layers.size(); ++i) {
    const Layer& layer = network.layers[i];
    std::string number = std::to_string(i);
    auto param = [&](const char* name, float scale, float offset) {
      return builder.param(name + number, numbers.tensor({layer.outputs}, scale, offset));
    };
    std::vector<std::int64_t> kernel(2, layer.kernel), strides(2, layer.stride), low(2, layer.low),
        high(2, layer.high);
    if (layer.kind == Layer::Kind::max_pool) {
      value = max_pool(value, kernel, strides, {}, low, high);
      continue;
    }
    std::int64_t inputs = value.shape()[1].value() / layer.groups;
    std::int64_t taps =
        inputs * (layer.kind == Layer::Kind::conv ? layer.kernel * layer.kernel : 1);
    Tensor::Sizes sizes{layer.outputs, inputs};
    if (layer.kind == Layer::Kind::conv) sizes.insert(sizes.end(), kernel.begin(), kernel.end());
    Var w = builder.param("w" + number,
                          numbers.tensor(sizes, std::sqrt(6.0f / static_cast<float>(taps))));
    Var bias = layer.normalized ? Var() : param("b", 0.1f, 0);
    value = layer.kind == Layer::Kind::dense
                ? linear(value, w, bias)
                : conv(value, w, bias, strides, {}, low, high, layer.groups);
    if (layer.normalized) {
      Var scale = param("scale", 0.1f, 1), shift = param("shift", 0.1f, 0);
      Var mean = param("mean", 0.1f, 0), variance = param("variance", 0.2f, 1);
      value = batch_norm(value, scale, shift, mean, variance);
    }
    if (layer.slope) value = leaky_relu(value, *layer.slope);
  }
  builder.output("y", value);
  return builder.finish();
}

}  // namespace weir::bench
