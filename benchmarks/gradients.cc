// Gradients of single layers, f32, on one and two threads, for the layer's input and for its
// weights: the multiply-adds a second beside those of the layer itself, which needs as many, and
// beside the gradients of oneDNN, PyTorch, and OpenBLAS where they are products. PyTorch runs in a
// process of its own, in turns with ours.
//
// All operands vary, as in training, and ours lie in plain layouts; oneDNN's in whatever layouts it
// likes. The weights of a layer lie as [outputs, inputs], and the second operand of a product of two
// inputs as [inputs, outputs]. Goal: 93 % of the layer's own. Multiply-adds with a convolution's
// frame are not counted.
#include <csignal>
#include <exception>
#include <optional>

#include <nlohmann/json.hpp>

#include "benchmarks/goals.h"
#include "benchmarks/networks.h"
#include "benchmarks/onednn_gradient.h"
#include "benchmarks/openblas.h"
#include "benchmarks/report.h"
#include "benchmarks/subject.h"
#include "benchmarks/torch_peer.h"
#include "compiler/autodiff/gradient.h"
#include "compiler/passes/only_outputs.h"

namespace weir::bench {
namespace {

// Of the layer itself, which is as near to the machine's limits as it is.
constexpr Goal kOfLayer{0.93, kUnreachable, kUnreachable};

// A program on inputs of its own.
class Program {
 public:
  Program(const Graph& graph, const CompileOptions& options)
      : executable_(compile(Model{graph, {}}, options)) {
    Numbers numbers;
    for (const Signature& input : executable_.inputs()) {
      Tensor::Sizes sizes;
      for (const Dim& dim : input.type.shape) sizes.push_back(dim.value());
      inputs_.push_back(numbers.tensor(std::move(sizes), 1));
    }
    outputs_ = executable_.run(inputs_);
  }

  void run(const weir_executor* executor) { executable_.run_into(inputs_, outputs_, executor); }
  const float* input(std::string_view name) const {
    for (std::size_t i = 0; i < inputs_.size(); ++i)
      if (executable_.inputs()[i].name == name) return inputs_[i].elements<float>().data();
    throw Error(fmt::format("a gradient's program has no input {}", name));
  }
  float* result() { return static_cast<float*>(outputs_[0].mutable_data()); }

 private:
  Executable executable_;
  std::vector<Tensor> inputs_, outputs_;
};

// A network of one layer for so many rows or images; or a product of two inputs, the second of which
// lies as [inputs, outputs].
struct Case {
  const Network& network;
  std::int64_t batch;
  bool is_product = false;

  const Layer& layer() const { return network.layers[0]; }
  bool is_dense() const { return layer().kind == Layer::Kind::dense; }
};

// A layer of x and w, without bias and activation; or the sum of its result times g, whose
// gradients are those of the layer with g coming from above.
Graph layer_graph(const Case& of, bool weighed) {
  const auto& [network, batch, is_product] = of;
  const Layer& layer = of.layer();
  GraphBuilder builder("layer");
  Var x = builder.input("x", DType::f32, shape_of_input(network, batch));
  Shape filters{layer.outputs, network.input[0] / layer.groups};
  if (is_product) std::swap(filters[0], filters[1]);
  const bool is_dense = of.is_dense();
  const std::size_t axes = network.spatial_axes();
  if (!is_dense) filters.insert(filters.end(), axes, Dim(layer.kernel));
  Var w = builder.input("w", DType::f32, filters);
  std::vector<std::int64_t> strides(axes, layer.stride), dilations(axes, layer.dilation),
      low(axes, layer.low), high(axes, layer.high);
  Var y = is_product ? matmul(x, w)
          : is_dense ? linear(x, w)
                     : conv(x, w, Var(), strides, dilations, low, high, layer.groups);
  builder.output("y", weighed ? y * builder.input("g", DType::f32, y.shape()) : y);
  return builder.finish().graph;
}

Graph gradient_of(const Case& of, const std::string& operand) {
  std::vector<std::string> wrt{operand};
  Graph graph = gradient(layer_graph(of, true), wrt);
  return only_outputs(
      graph, [&](const Graph::Output& output) { return output.name == "grad_" + operand; });
}

// The layer, as PyTorch's process is told of it.
std::string description(const Case& of) {
  const auto& [network, batch, is_product] = of;
  const Layer& layer = of.layer();
  std::vector<std::int64_t> x{batch}, w{layer.outputs, network.input[0] / layer.groups};
  x.insert(x.end(), network.input.begin(), network.input.end());
  if (is_product) std::swap(w[0], w[1]);
  if (!of.is_dense()) w.insert(w.end(), network.spatial_axes(), layer.kernel);
  return nlohmann::json{{"kind", is_product      ? "product"
                                 : of.is_dense() ? "dense"
                                                 : "conv"},
                        {"x", x},
                        {"w", w},
                        {"stride", layer.stride},
                        {"dilation", layer.dilation},
                        {"frame", layer.low},
                        {"groups", layer.groups}}
      .dump();
}

class Gradients {
 public:
  explicit Gradients(const Options& options)
      : options_(options),
        machine_(options, two_),
        table_("gradients", "Gradients of layers, GFLOP/s",
               {{"layer", 22},
                {"of", 2},
                {"thr", 3},
                {"forward", 7},
                {"ours", 6},
                {"peak", 5},
                {"BLAS", 6},
                {"oneDNN", 6},
                {"PyTorch", 7},
                {"of the best", 17},
                {"of forward", 10},
                {"goal", 0}},
               options) {
    try {
      torch_.emplace("gradient_peer.py", "2");
    } catch (const Error&) {
      std::printf(
          "PyTorch is left out: set WEIR_PYTHON to a Python that has it "
          "(Debian: python3-torch).\n");
    }
  }

  void add(const Case& of) {
    const auto& [network, batch, is_product] = of;
    if (!options_.wants(network.name)) return;
    const Graph graph = layer_graph(of, false);
    const Work work{work_of(graph, {}).flops, 0};
    Program forward(graph, compile_options(options_));
    if (torch_) torch_->ask("layer " + description(of));
    for (const char* operand : {"x", "w"}) {
      Program ours(gradient_of(of, operand), compile_options(options_));
      for (int threads : {1, 2}) {
        const weir_executor* executor = threads == 1 ? nullptr : &two_.executor();
        std::vector<Side> sides{repeated([&, executor] { forward.run(executor); }),
                                repeated([&, executor] { ours.run(executor); })};
        Places places;
        if (blas_.present() && of.is_dense()) {
          places.blas = sides.size();
          sides.push_back(product(ours, *operand == 'w', of, threads));
        }
#if defined(WEIR_BENCHMARK_ONEDNN)
        OneDnnGradient onednn(network, batch, *operand == 'w', threads);
        places.onednn = sides.size();
        sides.push_back(repeated([&] { onednn.run(); }));
#endif
        if (torch_) {
          torch_->ask(fmt::format("threads {}", threads));
          places.torch = sides.size();
          sides.push_back([this, operand](std::int64_t repeats) {
            torch_->ask(fmt::format("{} {}", operand, repeats));
          });
        }
        report(network.name, operand, threads, work, sides, places);
      }
    }
  }

 private:
  // Where a peer stands among the sides; 0 if it does not take part.
  struct Places {
    std::size_t blas = 0, onednn = 0, torch = 0;
  };

  // OpenBLAS: of x [batch, inputs], g w, or g w^T; of w [outputs, inputs] g^T x, or of w [inputs,
  // outputs] x^T g.
  Side product(Program& ours, bool of_weights, const Case& of, int threads) {
    const std::int64_t batch = of.batch, inputs = of.network.input[0], outputs = of.layer().outputs;
    return repeated([=, this, &ours, is_product = of.is_product] {
      blas_.set_threads(threads);
      const float *g = ours.input("g"), *other = ours.input(of_weights ? "x" : "w");
      if (!of_weights)
        blas_.multiply(batch, inputs, outputs, g, false, other, is_product, ours.result());
      else if (is_product)
        blas_.multiply(inputs, outputs, batch, other, true, g, false, ours.result());
      else
        blas_.multiply(outputs, inputs, batch, g, true, other, false, ours.result());
    });
  }

  void report(const std::string& name, const char* operand, int threads, const Work& work,
              std::vector<Side>& sides, const Places& places) {
    Effort effort = options_.effort();
    effort.total_seconds /= 4;
    effort.fewest_rounds = 5;
    // A command through a pipe is little then.
    if (torch_) effort.sample_seconds = options_.quick ? 2e-3 : 5e-3;
    if (threads > 1) {
      effort.rest_seconds = kRestOfOthers;
      effort.most_rounds = 31;
    }
    const std::size_t peers_end = sides.size();
    std::swap(sides[0], sides[1]);  // what is judged stands first
    const LimitSides limits = machine_.add_limits(sides, work, threads);
    Samples samples = interleave(sides, effort);
    auto rate = [&](std::size_t side) {
      double value = work.flops / samples.seconds(side).median;
      return Cell(fmt::format("{:.1f}", value * 1e-9), value);
    };
    const double peak = machine_.part_of_peak(samples, limits, work, threads);
    Spread part = samples.ratio(1, 0);
    std::vector<Cell> row{name,
                          operand,
                          {fmt::format("{}", threads), static_cast<double>(threads)},
                          rate(1),
                          rate(0),
                          {fmt::format("{:.0f} %", peak * 100), peak},
                          places.blas == 0 ? Cell("-") : rate(places.blas),
                          places.onednn == 0 ? Cell("-") : rate(places.onednn),
                          places.torch == 0 ? Cell("-") : rate(places.torch)};
    if (peers_end == 2) {
      row.emplace_back("-");
    } else {
      Spread ratio = samples.ratio(samples.fastest(2, peers_end), 0);
      row.emplace_back(times(ratio), ratio);
    }
    row.emplace_back(fmt::format("{:.2f}", part.median), part);
    add_verdict(row, machine_.judge(kOfLayer, part.median, samples, limits, work, threads));
    table_.row(row);
  }

  const Options& options_;
  ThreadPool two_{2};
  Machine machine_;
  Table table_;
  OpenBlas blas_;
  std::optional<TorchPeer> torch_;
};

void measure(const Options& options) {
  tell_peers(options);
  Gradients gradients(options);
  for (std::int64_t size : {64, 256, 512, 1024, 2048}) {
    if (options.quick && size > 256) break;
    gradients.add({perceptron(fmt::format("{0} x {0} x {0}", size), {size, size}), size, true});
  }
  for (std::int64_t size : {256, 512, 1024, 2048}) {
    if (options.quick && (size == 512 || size > 1024)) continue;
    gradients.add({perceptron(fmt::format("{0} x {0} -> {0}", size), {size, size}), size});
  }
  for (std::int64_t batch : {1, 8, 32}) {
    if (options.quick && batch == 8) continue;
    gradients.add({perceptron(fmt::format("{} x 1024 -> 1024", batch), {1024, 1024}), batch});
  }
  for (const Network& network : single_convolutions()) gradients.add({network, 1});
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  using namespace weir::bench;
  std::signal(SIGPIPE, SIG_IGN);  // PyTorch's process may end before ours
  return run_benchmark(argc, argv,
                       "Times the gradients of layers against the layers, oneDNN and PyTorch.",
                       measure, Options::Cpu::option);
}
