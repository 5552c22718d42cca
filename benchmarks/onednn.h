// oneDNN (Debian's version 2), to compare with, where it was found when the benchmarks were built.
//
// A network's primitives choose their layouts for weights and for what goes from layer to layer;
// the input and the result are plain, and reordered at the edges where a primitive wants them
// otherwise. What weights need is done once, ahead of all runs.
#pragma once

#include <memory>

#include "benchmarks/networks.h"

#if defined(WEIR_BENCHMARK_ONEDNN)
#include <unordered_map>

#include <dnnl.hpp>

// Of the OpenMP runtime that oneDNN comes with: how many threads the caller's next loops have.
extern "C" void omp_set_num_threads(int threads);

namespace weir::bench {

class OneDnnNetwork {
 public:
  // `input` and `output` are arrays of the caller's: [batch, ...], row-major. `edges`: whether they
  // are; else they stand for arrays in whatever layouts the first and last primitives like best,
  // and what is in them means nothing.
  OneDnnNetwork(const Network& network, const Weights& weights, std::int64_t batch, float* input,
                float* output, int threads, bool edges = true)
      : threads_(threads), weights_(weights) {
    omp_set_num_threads(threads_);
    Sizes sizes{batch};
    sizes.insert(sizes.end(), network.input.begin(), network.input.end());
    if (edges) current_ = dnnl::memory(plain(sizes), engine_, input);
    for (std::size_t i = 0; i < network.layers.size(); ++i) {
      const Layer& layer = network.layers[i];
      if (layer.kind == Layer::Kind::max_pool)
        add_pool(layer, sizes);
      else if (layer.kind == Layer::Kind::dense)
        add_dense(layer, std::to_string(i), sizes);
      else
        add_convolution(layer, std::to_string(i), sizes);
    }
    if (edges) add_reorder(current_, dnnl::memory(plain(sizes), engine_, output));
  }

  void run() {
    omp_set_num_threads(threads_);
    for (auto& [primitive, arguments] : steps_) primitive.execute(stream_, arguments);
    stream_.wait();
  }

 private:
  using Sizes = dnnl::memory::dims;
  using Description = dnnl::memory::desc;
  using Arguments = std::unordered_map<int, dnnl::memory>;
  static constexpr auto kForward = dnnl::prop_kind::forward_inference;

  static Description described(const Sizes& sizes, dnnl::memory::format_tag tag) {
    return {sizes, dnnl::memory::data_type::f32, tag};
  }
  static Description any(const Sizes& sizes) {
    return described(sizes, dnnl::memory::format_tag::any);
  }
  static Description plain(const Sizes& sizes) {
    using Tag = dnnl::memory::format_tag;
    constexpr Tag kTags[] = {Tag::a, Tag::ab, Tag::abc, Tag::abcd, Tag::abcde};
    return described(sizes, kTags[sizes.size() - 1]);
  }

  dnnl::memory filled(const Tensor& tensor, const Sizes& sizes) {
    dnnl::memory result(plain(sizes), engine_);
    std::span<const float> elements = tensor.elements<float>();
    std::copy(elements.begin(), elements.end(), static_cast<float*>(result.get_data_handle()));
    return result;
  }

  // The layer's weights and bias, a batch_norm folded into both.
  std::pair<dnnl::memory, dnnl::memory> constants(const Layer& layer, const std::string& number,
                                                  const Sizes& sizes) {
    dnnl::memory w = filled(weights_.at("w" + number), sizes);
    if (!layer.normalized) return {w, filled(weights_.at("b" + number), {layer.outputs})};
    auto of = [&](const char* name) { return weights_.at(name + number).elements<float>(); };
    auto scale = of("scale"), shift = of("shift"), mean = of("mean"), variance = of("variance");
    dnnl::memory bias(plain({layer.outputs}), engine_);
    auto* filters = static_cast<float*>(w.get_data_handle());
    auto* added = static_cast<float*>(bias.get_data_handle());
    auto outputs = static_cast<std::size_t>(layer.outputs);
    std::size_t count = weights_.at("w" + number).elements<float>().size() / outputs;
    for (std::size_t i = 0; i < outputs; ++i) {
      float factor = scale[i] / std::sqrt(variance[i] + 1e-5f);
      for (std::size_t k = 0; k < count; ++k) filters[i * count + k] *= factor;
      added[i] = shift[i] - mean[i] * factor;
    }
    return {w, bias};
  }

  static dnnl::primitive_attr epilogue(const Layer& layer) {
    dnnl::primitive_attr attributes;
    if (!layer.slope) return attributes;
    dnnl::post_ops after;
    after.append_eltwise(1, dnnl::algorithm::eltwise_relu, *layer.slope, 0);
    attributes.set_post_ops(after);
    return attributes;
  }

  void add_reorder(const dnnl::memory& from, const dnnl::memory& to) {
    steps_.emplace_back(dnnl::reorder(from, to),
                        Arguments{{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
  }

  // What the next layer reads, in the layout that it wants.
  dnnl::memory source(const Description& wanted) {
    if (!current_) current_ = dnnl::memory(wanted, engine_);
    if (current_.get_desc() == wanted) return current_;
    dnnl::memory reordered(wanted, engine_);
    add_reorder(current_, reordered);
    return reordered;
  }

  template <class Primitive, class Chosen>
  void add(const Chosen& chosen, const dnnl::memory& w, const dnnl::memory& bias) {
    dnnl::memory weights(chosen.weights_desc(), engine_), from = source(chosen.src_desc());
    dnnl::reorder(w, weights)
        .execute(stream_, Arguments{{DNNL_ARG_FROM, w}, {DNNL_ARG_TO, weights}});
    stream_.wait();
    current_ = dnnl::memory(chosen.dst_desc(), engine_);
    steps_.emplace_back(Primitive(chosen), Arguments{{DNNL_ARG_SRC, from},
                                                     {DNNL_ARG_WEIGHTS, weights},
                                                     {DNNL_ARG_BIAS, bias},
                                                     {DNNL_ARG_DST, current_}});
  }

  void add_dense(const Layer& layer, const std::string& number, Sizes& sizes) {
    Sizes filters{layer.outputs, sizes[1]}, result{sizes[0], layer.outputs};
    dnnl::inner_product_forward::desc wanted(kForward, any(sizes), any(filters),
                                             any({layer.outputs}), any(result));
    auto [w, bias] = constants(layer, number, filters);
    add<dnnl::inner_product_forward>(
        dnnl::inner_product_forward::primitive_desc(wanted, epilogue(layer), engine_), w, bias);
    sizes = result;
  }

  void add_convolution(const Layer& layer, const std::string& number, Sizes& sizes) {
    const std::size_t axes = sizes.size() - 2;
    Sizes filters{layer.outputs, sizes[1] / layer.groups};
    filters.insert(filters.end(), axes, layer.kernel);
    if (layer.groups > 1) {
      filters[0] /= layer.groups;
      filters.insert(filters.begin(), layer.groups);
    }
    Sizes result = windowed(layer, sizes);
    result[1] = layer.outputs;
    Sizes strides(axes, layer.stride), between(axes, layer.dilation - 1), low(axes, layer.low),
        high(axes, layer.high);
    dnnl::convolution_forward::desc wanted(kForward, dnnl::algorithm::convolution_auto, any(sizes),
                                           any(filters), any({layer.outputs}), any(result), strides,
                                           between, low, high);
    auto [w, bias] = constants(layer, number, filters);
    add<dnnl::convolution_forward>(
        dnnl::convolution_forward::primitive_desc(wanted, epilogue(layer), engine_), w, bias);
    sizes = result;
  }

  void add_pool(const Layer& layer, Sizes& sizes) {
    Sizes result = windowed(layer, sizes);
    Sizes strides(2, layer.stride), kernel(2, layer.kernel), low(2, layer.low), high(2, layer.high);
    dnnl::pooling_forward::desc wanted(kForward, dnnl::algorithm::pooling_max, current_.get_desc(),
                                       any(result), strides, kernel, low, high);
    dnnl::pooling_forward::primitive_desc chosen(wanted, engine_);
    dnnl::memory from = current_;
    current_ = dnnl::memory(chosen.dst_desc(), engine_);
    steps_.emplace_back(dnnl::pooling_forward(chosen),
                        Arguments{{DNNL_ARG_SRC, from}, {DNNL_ARG_DST, current_}});
    sizes = result;
  }

  static Sizes windowed(const Layer& layer, Sizes sizes) {
    const std::int64_t reach = (layer.kernel - 1) * layer.dilation;
    for (std::size_t axis = 2; axis < sizes.size(); ++axis)
      sizes[axis] = (sizes[axis] + layer.low + layer.high - reach - 1) / layer.stride + 1;
    return sizes;
  }

  int threads_;
  const Weights& weights_;
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  dnnl::memory current_;
  std::vector<std::pair<dnnl::primitive, Arguments>> steps_;
};

inline std::string onednn_version() {
  const dnnl_version_t* version = dnnl_version();
  return std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
         std::to_string(version->patch);
}

}  // namespace weir::bench
#endif
