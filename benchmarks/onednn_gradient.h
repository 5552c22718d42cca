// The gradient of one layer by oneDNN, in whatever layouts its primitives like best: what is in the
// arrays means nothing.
#pragma once

#include <algorithm>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "benchmarks/networks.h"
#include "benchmarks/onednn.h"

#if defined(WEIR_BENCHMARK_ONEDNN)

namespace weir::bench {

class OneDnnGradient {
 public:
  // `of_weights`: with respect to the weights, else to the layer's input.
  OneDnnGradient(const Network& network, std::int64_t batch, bool of_weights, int threads)
      : threads_(threads) {
    omp_set_num_threads(threads_);
    const Layer& layer = network.layers[0];
    Sizes x{batch};
    x.insert(x.end(), network.input.begin(), network.input.end());
    if (layer.kind == Layer::Kind::dense)
      choose_dense(any(x), any({layer.outputs, x[1]}), any({batch, layer.outputs}), of_weights);
    else
      choose_convolution(layer, x, of_weights);
  }

  void run() {
    omp_set_num_threads(threads_);
    primitive_.execute(stream_, arguments_);
    stream_.wait();
  }

 private:
  using Sizes = dnnl::memory::dims;
  using Description = dnnl::memory::desc;
  static constexpr auto kForward = dnnl::prop_kind::forward_training;

  static Description any(const Sizes& sizes) {
    return {sizes, dnnl::memory::data_type::f32, dnnl::memory::format_tag::any};
  }

  template <class Primitive, class Chosen>
  void choose_for_input(const Chosen& chosen) {
    primitive_ = Primitive(chosen);
    set(DNNL_ARG_WEIGHTS, chosen.weights_desc());
    set(DNNL_ARG_DIFF_DST, chosen.diff_dst_desc());
    set(DNNL_ARG_DIFF_SRC, chosen.diff_src_desc());
  }
  template <class Primitive, class Chosen>
  void choose_for_weights(const Chosen& chosen) {
    primitive_ = Primitive(chosen);
    set(DNNL_ARG_SRC, chosen.src_desc());
    set(DNNL_ARG_DIFF_DST, chosen.diff_dst_desc());
    set(DNNL_ARG_DIFF_WEIGHTS, chosen.diff_weights_desc());
  }

  void choose_dense(const Description& x, const Description& w, const Description& y,
                    bool of_weights) {
    using Forward = dnnl::inner_product_forward;
    using OfInput = dnnl::inner_product_backward_data;
    using OfWeights = dnnl::inner_product_backward_weights;
    Forward::primitive_desc forward({kForward, x, w, y}, engine_);
    if (of_weights)
      choose_for_weights<OfWeights>(OfWeights::primitive_desc({x, w, y}, engine_, forward));
    else
      choose_for_input<OfInput>(OfInput::primitive_desc({x, w, y}, engine_, forward));
  }

  void choose_convolution(const Layer& layer, const Sizes& x_sizes, bool of_weights) {
    using Forward = dnnl::convolution_forward;
    using OfInput = dnnl::convolution_backward_data;
    using OfWeights = dnnl::convolution_backward_weights;
    const std::size_t axes = x_sizes.size() - 2;
    Sizes filters{layer.outputs, x_sizes[1] / layer.groups};
    filters.insert(filters.end(), axes, layer.kernel);
    if (layer.groups > 1) {
      filters[0] /= layer.groups;
      filters.insert(filters.begin(), layer.groups);
    }
    Sizes result{x_sizes[0], layer.outputs};
    const std::int64_t reach = (layer.kernel - 1) * layer.dilation;
    for (std::size_t axis = 2; axis < x_sizes.size(); ++axis)
      result.push_back((x_sizes[axis] + layer.low + layer.high - reach - 1) / layer.stride + 1);
    Sizes strides(axes, layer.stride), between(axes, layer.dilation - 1), low(axes, layer.low),
        high(axes, layer.high);
    constexpr auto kDirect = dnnl::algorithm::convolution_direct;
    Description x = any(x_sizes), w = any(filters), y = any(result);
    Forward::primitive_desc forward({kForward, kDirect, x, w, y, strides, between, low, high},
                                    engine_);
    if (of_weights)
      choose_for_weights<OfWeights>(OfWeights::primitive_desc(
          {kDirect, x, w, y, strides, between, low, high}, engine_, forward));
    else
      choose_for_input<OfInput>(OfInput::primitive_desc(
          {kDirect, x, w, y, strides, between, low, high}, engine_, forward));
  }

  void set(int argument, const Description& description) {
    dnnl::memory memory(description, engine_);
    auto* elements = static_cast<float*>(memory.get_data_handle());
    std::fill_n(elements, description.get_size() / sizeof(float), 0.5F);
    arguments_.emplace(argument, memory);
  }

  int threads_;
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  dnnl::primitive primitive_;
  std::unordered_map<int, dnnl::memory> arguments_;
};

}  // namespace weir::bench
#endif
