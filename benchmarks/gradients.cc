// Gradients of single layers, f32, on one and two threads, for the layer's input and for its
// weights: the multiply-adds a second beside those of the layer itself, which needs as many, and
// beside oneDNN's gradients.
//
// All operands vary, as in training, and ours lie in plain layouts; oneDNN's in whatever layouts it
// likes. Goal: 93 % of the layer's own.
#include <exception>

#include "benchmarks/networks.h"
#include "benchmarks/onednn_gradient.h"
#include "benchmarks/report.h"
#include "benchmarks/subject.h"
#include "compiler/autodiff/gradient.h"
#include "compiler/passes/only_outputs.h"

namespace weir::bench {
namespace {

constexpr double kGoal = 0.93;

// A program on inputs of its own.
class Program {
 public:
  explicit Program(const Graph& graph) : executable_(compile(Model{graph, {}})) {
    Numbers numbers;
    for (const Signature& input : executable_.inputs()) {
      Tensor::Sizes sizes;
      for (const Dim& dim : input.type.shape) sizes.push_back(dim.value());
      inputs_.push_back(numbers.tensor(std::move(sizes), 1));
    }
    outputs_ = executable_.run(inputs_);
  }

  void run(const weir_executor* executor) { executable_.run_into(inputs_, outputs_, executor); }
  std::int64_t result_count() const { return outputs_[0].element_count(); }

 private:
  Executable executable_;
  std::vector<Tensor> inputs_, outputs_;
};

// A layer of x and w, without bias and activation; or the sum of its result times g, whose
// gradients are those of the layer with g coming from above.
Graph layer_graph(const Network& network, std::int64_t batch, bool weighed) {
  const Layer& layer = network.layers[0];
  GraphBuilder builder("layer");
  Var x = builder.input("x", DType::f32, shape_of_input(network, batch));
  Shape filters{layer.outputs, network.input[0] / layer.groups};
  bool is_dense = layer.kind == Layer::Kind::dense;
  if (!is_dense) filters.insert(filters.end(), 2, Dim(layer.kernel));
  Var w = builder.input("w", DType::f32, filters);
  std::vector<std::int64_t> strides(2, layer.stride), low(2, layer.low), high(2, layer.high);
  Var y = is_dense ? linear(x, w) : conv(x, w, Var(), strides, {}, low, high, layer.groups);
  builder.output("y", weighed ? y * builder.input("g", DType::f32, y.shape()) : y);
  return builder.finish().graph;
}

Program gradient_of(const Network& network, std::int64_t batch, const std::string& operand) {
  std::vector<std::string> wrt{operand};
  Graph graph = gradient(layer_graph(network, batch, true), wrt);
  return Program(only_outputs(
      graph, [&](const Graph::Output& output) { return output.name == "grad_" + operand; }));
}

class Gradients {
 public:
  explicit Gradients(const Options& options)
      : options_(options),
        table_("gradients", "Gradients of layers, GFLOP/s",
               {{"layer", 22},
                {"of", 2},
                {"thr", 3},
                {"forward", 7},
                {"ours", 6},
                {"part", 5},
                {"oneDNN", 6},
                {"of oneDNN", 0}},
               options) {}

  void add(const Network& network, std::int64_t batch) {
    if (!options_.wants(network.name)) return;
    Program forward(layer_graph(network, batch, false));
    const Layer& layer = network.layers[0];
    std::int64_t window = layer.kind == Layer::Kind::dense ? 1 : layer.kernel * layer.kernel;
    double flops = 2.0 * static_cast<double>(forward.result_count() * window *
                                             (network.input[0] / layer.groups));
    for (const char* operand : {"x", "w"}) {
      Program ours = gradient_of(network, batch, operand);
      for (int threads : {1, 2}) {
        const weir_executor* executor = threads == 1 ? nullptr : &two_.executor();
        std::vector<Side> sides{repeated([&, executor] { forward.run(executor); }),
                                repeated([&, executor] { ours.run(executor); })};
#if defined(WEIR_BENCHMARK_ONEDNN)
        OneDnnGradient onednn(network, batch, *operand == 'w', threads);
        sides.push_back(repeated([&] { onednn.run(); }));
#endif
        report(network.name, operand, threads, flops, sides);
      }
    }
  }

 private:
  void report(const std::string& name, const char* operand, int threads, double flops,
              const std::vector<Side>& sides) {
    Effort effort = options_.effort();
    effort.total_seconds /= 4;
    effort.fewest_rounds = 5;
    if (threads > 1) {
      effort.rest_seconds = 10e-3;
      effort.most_rounds = 31;
    }
    Samples samples = interleave(sides, effort);
    auto rate = [&](std::size_t side) {
      double value = flops / samples.seconds(side).median;
      return Cell(fmt::format("{:.1f}", value * 1e-9), value);
    };
    double part = samples.ratio(0, 1).median;
    std::vector<Cell> row{
        name,    operand, {fmt::format("{}", threads), static_cast<double>(threads)},
        rate(0), rate(1), {fmt::format("{:.2f}", part), part}};
    std::string below = part < kGoal ? "  BELOW 0.93" : "";
    if (sides.size() == 2) {
      row.emplace_back("-");
      row.emplace_back(below);
    } else {
      Spread ratio = samples.ratio(2, 1);
      row.push_back(rate(2));
      row.emplace_back(fmt::format("{:.2f}{}", ratio.median, below), ratio);
    }
    table_.row(row);
  }

  const Options& options_;
  Table table_;
  ThreadPool two_{2};
};

void measure(const Options& options) {
  Gradients gradients(options);
  for (std::int64_t size : {256, 1024}) {
    if (options.quick && size > 256) break;
    gradients.add(perceptron(fmt::format("{0} x {0} -> {0}", size), {size, size}), size);
  }
  gradients.add(perceptron("32 x 1024 -> 1024", {1024, 1024}), 32);
  for (const Network& network : single_convolutions()) gradients.add(network, 1);
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) try {
  using namespace weir::bench;
  Options options =
      Options::parse(argc, argv, "Times the gradients of layers against the layers and oneDNN.");
  TimingLock lock;
  print_machine();
  measure(options);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
