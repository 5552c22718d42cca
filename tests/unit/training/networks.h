// Training steps of networks that are known: digits, dense and by convolutions, the discriminator
// of a DCGAN, and the critic of a WGAN-GP, whose loss has the slope of its scores in it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "compiler/autodiff/gradient.h"
#include "compiler/autodiff/training_step.h"
#include "ir/builder_ops.h"

namespace weir::test {

inline Graph sgd_step(const Graph& graph) {
  return training_step(graph, parse_optimizer("sgd")).graph;
}

// Layers in a row, numbered, and the symbol N for the batch.
struct LayerBuilder {
  GraphBuilder b;
  int layers = 0;

  explicit LayerBuilder(const char* name) : b(name) {}

  Var weight(Shape shape) {
    return b.param("w" + std::to_string(layers), DType::f32, std::move(shape), {"he"});
  }
  Var bias(std::int64_t size, const char* name = "b", Initializer initializer = {"uniform"}) {
    return b.param(name + std::to_string(layers), DType::f32, {size}, std::move(initializer));
  }
  Var dense(Var x, std::int64_t inputs, std::int64_t outputs) {
    Var y = linear(x, weight({outputs, inputs}), bias(outputs));
    ++layers;
    return y;
  }
  Var normalized(Var x, std::int64_t channels) {
    return batch_norm(x, bias(channels, "scale"), bias(channels, "shift"),
                      bias(channels, "mean", {"zeros"}),
                      bias(channels, "variance", {"constant", {{"value", 1.0}}}));
  }
  Graph classify(Var logits) {
    Var labels = b.input("t", DType::i64, {Dim::symbol("N")});
    b.output("loss", cross_entropy(logits, labels));
    return sgd_step(b.graph());
  }
};

inline Graph dense_digits_step() {
  LayerBuilder net("dense");
  Var h = net.b.input("x", DType::f32, {Dim::symbol("N"), 64});
  h = leaky_relu(net.dense(h, 64, 64), 0.01);
  h = leaky_relu(net.dense(h, 64, 32), 0.01);
  return net.classify(net.dense(h, 32, 10));
}

inline Graph convolutional_digits_step(bool is_normalized) {
  LayerBuilder net("convolutional");
  Var h =
      reshape(net.b.input("x", DType::f32, {Dim::symbol("N"), 64}), {Dim::symbol("N"), 1, 8, 8});
  std::int64_t channels = 1;
  for (std::int64_t more : {16, 32}) {
    h = conv(h, net.weight({more, channels, 3, 3}), net.bias(more), {}, {}, {1, 1}, {1, 1});
    if (is_normalized) h = net.normalized(h, more);
    h = max_pool(leaky_relu(h, 0.01), {2, 2}, {2, 2});
    channels = more;
    ++net.layers;
  }
  return net.classify(net.dense(reshape(h, {Dim::symbol("N"), 128}), 128, 10));
}

// The backward pass asks the signs of an activation alone: the average that reads it needs no value
// of it.
inline Graph averaged_digits_step() {
  LayerBuilder net("averaged");
  Var x = net.b.input("x", DType::f32, {Dim::symbol("N"), 64});
  Var h = reshape(x, {Dim::symbol("N"), 1, 8, 8});
  h = conv(h, net.weight({32, 1, 3, 3}), net.bias(32), {}, {}, {1, 1}, {1, 1});
  ++net.layers;
  h = average_pool(leaky_relu(h, 0.01), {2, 2}, {2, 2});
  return net.classify(net.dense(reshape(h, {Dim::symbol("N"), 512}), 512, 10));
}

// Of images of 64 x 64, or, with one layer less, of 32 x 32.
inline Graph discriminator_step(std::int64_t size, const std::vector<std::int64_t>& widths) {
  LayerBuilder net("discriminator");
  Var h = net.b.input("x", DType::f32, {Dim::symbol("N"), 3, size, size});
  std::int64_t channels = 3;
  for (std::int64_t more : widths) {
    Var w = net.weight({more, channels, 4, 4});
    h = channels == 3 ? conv(h, w, net.bias(more), {2, 2}, {}, {1, 1}, {1, 1})
                      : net.normalized(conv(h, w, Var(), {2, 2}, {}, {1, 1}, {1, 1}), more);
    h = leaky_relu(h, 0.2);
    channels = more;
    ++net.layers;
  }
  h = reshape(conv(h, net.weight({1, channels, 4, 4})), {Dim::symbol("N")});
  Var t = net.b.input("t", DType::f32, {Dim::symbol("N")});
  net.b.output("loss", binary_cross_entropy(h, t));
  return sgd_step(net.b.graph());
}

// The critic of a WGAN-GP with the layers of a DCGAN: the difference of the means of its scores,
// and the penalty on the slope at images in between. The graph has the score of one or the other
// images first.
inline Graph wgan_step(bool real_first = true) {
  GraphBuilder inner("critic");
  const std::int64_t channels[] = {3, 64, 128, 256, 512};
  std::vector<Var> w, b;
  for (std::size_t i = 0; i < 5; ++i) {
    const std::int64_t outputs = i == 4 ? 1 : channels[i + 1];
    const std::string number = std::to_string(i);
    w.push_back(inner.param("w" + number, DType::f32, {outputs, channels[i], 4, 4}, {"he"}));
    b.push_back(inner.param("b" + number, DType::f32, {outputs}, {"uniform"}));
  }
  auto score = [&](const char* name) {
    Var value = inner.input(name, DType::f32, {Dim::symbol("N"), 3, 64, 64});
    for (std::size_t i = 0; i < 4; ++i)
      value = leaky_relu(conv(value, w[i], b[i], {2, 2}, {}, {1, 1}, {1, 1}), 0.2);
    return conv(value, w[4], b[4]);
  };
  Var first = score(real_first ? "real" : "fake"), second = score(real_first ? "fake" : "real");
  Var real = real_first ? first : second, fake = real_first ? second : first;
  inner.output("difference", reduce_mean(fake) - reduce_mean(real));
  inner.output("score", score("between"));
  std::vector<std::string> wrt{"between"};
  GraphBuilder outer(gradient(inner.graph(), wrt, {{"score"}}));
  auto output = [&](std::size_t i) { return Var(outer, outer.graph().outputs()[i].value); };
  Var slope = output(2);
  Var excess = sqrt(reduce_sum(slope * slope, {1, 2, 3})) - 1;
  outer.output("loss", output(0) + 10 * reduce_mean(excess * excess));
  return sgd_step(outer.graph());
}

struct Step {
  std::string name;
  Graph graph;
};

inline std::vector<Step> small_steps() {
  return {{"dense", dense_digits_step()},
          {"convolutional", convolutional_digits_step(false)},
          {"convolutional, normalized", convolutional_digits_step(true)},
          {"averaged", averaged_digits_step()},
          {"discriminator of 32 x 32", discriminator_step(32, {16, 32, 64})}};
}

}  // namespace weir::test
