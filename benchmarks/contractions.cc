// Single contractions, f32, on one and two threads: matmul of two inputs, layers with constant
// weights, and convolutions, against OpenBLAS, oneDNN and the multiply-add units at their limit,
// which a loop in registers measures on the same threads.
//
// oneDNN gets the weights of a layer ahead of all runs, as we do, and a convolution's input and
// result in whatever layouts it likes; ours are plain.
#include <cmath>
#include <exception>
#include <limits>

#include "benchmarks/loops.h"
#include "benchmarks/networks.h"
#include "benchmarks/onednn.h"
#include "benchmarks/openblas.h"
#include "benchmarks/report.h"
#include "benchmarks/subject.h"

namespace weir::bench {
namespace {

constexpr std::string_view kMatmul =
    "graph @matmul(%a: f32[N, N], %b: f32[N, N]) -> (f32[N, N]) { %c = matmul(%a, %b) return %c }";

// Floating-point operations a second, one thread or all of the pool.
double measure_peak(const Options& options, ThreadPool* pool) {
  constexpr std::ptrdiff_t kRounds = 1 << 18;
  std::vector<Side> sides{repeated([=] {
    in_parts(kRounds, pool, [](std::ptrdiff_t from, std::ptrdiff_t to) {
      float sum = fma_rounds(to - from);
      benchmark::DoNotOptimize(sum);
    });
  })};
  Samples samples = interleave(sides, options.effort());
  return fma_flops_per_round() * static_cast<double>(kRounds) / samples.seconds(0).low;
}

class Contractions {
 public:
  explicit Contractions(const Options& options) : options_(options) {
    for (int threads : {1, 2}) peaks_.push_back(measure_peak(options, pool(threads)));
    if (!blas_.present())
      std::printf("OpenBLAS is not here to compare with (libopenblas0 has it).\n");
    std::printf("Peak of the multiply-add units: %.0f GFLOP/s on 1 thread, %.0f on 2.\n",
                peaks_[0] * 1e-9, peaks_[1] * 1e-9);
  }

  void matmul() {
    Table table = started("matmul of two inputs, GFLOP/s");
    Executable executable = compile_text(kMatmul);
    for (std::ptrdiff_t size : {8, 16, 32, 48, 64, 128, 256, 512, 1024, 2048}) {
      if (options_.quick && size > 256) break;
      std::string name = fmt::format("{0} x {0} x {0}", size);
      if (!options_.wants(name)) continue;
      std::ptrdiff_t count = size * size;
      Buffer a(count), b(count), c(count), expected(count);
      bool is_checked = size <= 512;
      if (is_checked) matmul_loop(a.data(), b.data(), expected.data(), size, size, size);
      float* inputs[] = {a.data(), b.data()};
      double flops = 2.0 * static_cast<double>(count) * static_cast<double>(size);
      for (int threads : {1, 2}) {
        Call call(executable, size, inputs, c.data(), pool(threads));
        call.run_into();
        if (is_checked) check(expected, c, count, size);
        std::vector<Side> sides{repeated([&] { call.run_into(); })};
        Places places;
        if (blas_.present()) {
          places.blas = sides.size();
          sides.push_back(repeated([&, threads] {
            blas_.set_threads(threads);
            blas_.multiply(size, size, size, a.data(), false, b.data(), false, c.data());
          }));
        }
#if defined(WEIR_BENCHMARK_ONEDNN)
        places.onednn = sides.size();
        sides.push_back(repeated([&, threads] {
          omp_set_num_threads(threads);
          dnnl_sgemm('N', 'N', size, size, size, 1, a.data(), size, b.data(), size, 0, c.data(),
                     size);
        }));
#endif
        report(table, name, threads, flops, sides, places);
      }
    }
  }

  void layers() {
    Table table = started("linear with constant weights, GFLOP/s");
    for (std::int64_t size : {64, 256, 512, 1024, 2048}) {
      if (options_.quick && size > 512) break;
      layer(table, perceptron(fmt::format("{0} x {0} -> {0}", size), {size, size}), size);
    }
    for (std::int64_t batch : {1, 8, 32})
      layer(table, perceptron(fmt::format("{} x 1024 -> 1024", batch), {1024, 1024}), batch);
  }

  void convolutions() {
    Table table = started("convolutions with constant weights, batch 1, GFLOP/s");
    for (const Network& network : single_convolutions()) layer(table, network, 1);
  }

 private:
  // Where a peer stands among the sides; 0 if it does not take part.
  struct Places {
    std::size_t blas = 0, onednn = 0;
  };

  ThreadPool* pool(int threads) { return threads == 1 ? nullptr : &two_; }

  Table started(std::string title) const {
    return Table("contractions", std::move(title),
                 {{"shape", 22},
                  {"thr", 3},
                  {"ours", 6},
                  {"peak", 5},
                  {"BLAS", 6},
                  {"oneDNN", 6},
                  {"of the best", 0}},
                 options_);
  }

  static void check(const Buffer& expected, const Buffer& given, std::ptrdiff_t count,
                    std::ptrdiff_t size) {
    for (std::ptrdiff_t i = 0; i < count; ++i)
      if (std::abs(expected.data()[i] - given.data()[i]) > 1e-6f * static_cast<float>(size))
        throw Error("matmul and the loops in C disagree");
  }

  // A network of one layer.
  void layer(Table& table, const Network& network, std::int64_t batch) {
    if (!options_.wants(network.name)) return;
    Model model = build_model(network, batch);
    Executable executable = compile(model);
    Tensor::Sizes sizes{batch};
    sizes.insert(sizes.end(), network.input.begin(), network.input.end());
    std::vector<Tensor> inputs{Numbers().tensor(sizes, 1)}, outputs = executable.run(inputs);
    const Tensor& w = model.weights.at("w0");
    double flops = 2.0 * static_cast<double>(outputs[0].element_count()) *
                   static_cast<double>(w.element_count() / w.sizes()[0]);
    for (int threads : {1, 2}) {
      const weir_executor* executor = threads == 1 ? nullptr : &two_.executor();
      std::vector<Side> sides{
          repeated([&, executor] { executable.run_into(inputs, outputs, executor); })};
      Places places;
      if (blas_.present() && network.layers[0].kind == Layer::Kind::dense) {
        places.blas = sides.size();
        sides.push_back(repeated([&, threads] {
          blas_.set_threads(threads);
          blas_.multiply(batch, w.sizes()[0], w.sizes()[1], inputs[0].elements<float>().data(),
                         false, w.elements<float>().data(), true,
                         static_cast<float*>(outputs[0].mutable_data()));
        }));
      }
#if defined(WEIR_BENCHMARK_ONEDNN)
      bool edges = network.layers[0].kind == Layer::Kind::dense;
      OneDnnNetwork onednn(network, model.weights, batch,
                           static_cast<float*>(inputs[0].mutable_data()),
                           static_cast<float*>(outputs[0].mutable_data()), threads, edges);
      places.onednn = sides.size();
      sides.push_back(repeated([&] { onednn.run(); }));
#endif
      report(table, network.name, threads, flops, sides, places);
    }
  }

  void report(Table& table, const std::string& name, int threads, double flops,
              const std::vector<Side>& sides, const Places& places) {
    Effort effort = options_.effort();
    effort.total_seconds /= 2;
    effort.fewest_rounds = 5;
    // The peers' threads spin on after a call, on the processor that our second thread needs.
    if (threads > 1) {
      effort.rest_seconds = 10e-3;
      effort.most_rounds = 31;
    }
    Samples samples = interleave(sides, effort);
    auto rate = [&](std::size_t side) { return flops / samples.seconds(side).median; };
    double peak = peaks_[static_cast<std::size_t>(threads - 1)];
    auto peer = [&](std::size_t place) {
      return place == 0 ? Cell("-") : Cell(fmt::format("{:.1f}", rate(place) * 1e-9), rate(place));
    };
    std::vector<Cell> row{name,
                          {fmt::format("{}", threads), static_cast<double>(threads)},
                          {fmt::format("{:.1f}", rate(0) * 1e-9), rate(0)},
                          {fmt::format("{:.0f} %", rate(0) / peak * 100), rate(0) / peak},
                          peer(places.blas),
                          peer(places.onednn)};
    if (sides.size() == 1) {
      row.emplace_back("-");
    } else {
      Spread ratio = samples.ratio(samples.fastest(1), 0);
      row.emplace_back(times(ratio) + (ratio.median < 1 ? " BEHIND" : ""), ratio);
    }
    table.row(row);
  }

  const Options& options_;
  ThreadPool two_{2};
  OpenBlas blas_;
  std::vector<double> peaks_;
};

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) try {
  using namespace weir::bench;
  Options options = Options::parse(
      argc, argv, "Times contractions against OpenBLAS, oneDNN and the multiply-add units.");
  TimingLock lock;
  print_machine();
  Contractions contractions(options);
  contractions.matmul();
  contractions.layers();
  contractions.convolutions();
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
