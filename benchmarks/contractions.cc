// Single contractions, f32, on one and two threads: matmul of two inputs, layers with constant
// weights, and convolutions, against OpenBLAS, oneDNN, ONNX Runtime (where WEIR_ONNXRUNTIME names
// its library) and the machine's limits. Multiply-adds with a convolution's frame are not counted.
//
// oneDNN gets the weights of a layer ahead of all runs, as we do. What all sides are given and give
// is plain. For convolutions a column more has what oneDNN reaches where input and result lie as it
// likes best, which is no peer: what that is worth between layers is seen in whole models.
#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <limits>

#include "benchmarks/goals.h"
#include "benchmarks/loops.h"
#include "benchmarks/networks.h"
#include "benchmarks/onednn.h"
#include "benchmarks/onnxruntime_model.h"
#include "benchmarks/openblas.h"
#include "benchmarks/report.h"
#include "benchmarks/subject.h"
#include "compiler/frontend/onnx/export.h"

namespace weir::bench {
namespace {

constexpr std::string_view kMatmul =
    "graph @matmul(%a: f32[N, N], %b: f32[N, N]) -> (f32[N, N]) { %c = matmul(%a, %b) return %c }";

class Contractions {
 public:
  Contractions(const Options& options, const test::OnnxRuntime* runtime)
      : options_(options), runtime_(runtime), machine_(options, two_) {
    if (!blas_.present())
      std::printf("OpenBLAS is not here to compare with (libopenblas0 has it).\n");
  }

  void matmul() {
    Table table = started("matmul of two inputs, GFLOP/s");
    Model model{parse_graph(kMatmul, "benchmark"), {}};
    Executable executable = compile(model, compile_options(options_));
    for (std::ptrdiff_t size : {8, 16, 32, 48, 64, 128, 256, 512, 1024, 2048}) {
      if (options_.quick && size > 256) break;
      std::string name = fmt::format("{0} x {0} x {0}", size);
      if (!options_.wants(name)) continue;
      std::ptrdiff_t count = size * size;
      Buffer a(count), b(count), c(count), expected(count);
      bool is_checked = size <= 512;
      if (is_checked) matmul_loop(a.data(), b.data(), expected.data(), size, size, size);
      float* inputs[] = {a.data(), b.data()};
      Work work = work_of(model.graph, {{"N", size}});
      // Of small ones OpenBLAS is to be reached; the others have a part of the machine's peak.
      Goal goal{kUnreachable, size == 64 ? 0.9 : 0.94};
      if (size < 64) goal = Goal{1};
      for (auto [threads, is_bare] : {std::pair{1, false}, {1, true}, {2, false}, {2, true}}) {
        // A call through the C ABI, as OpenBLAS and oneDNN have one.
        if (is_bare && size >= 64) continue;
        Call call(executable, size, inputs, c.data(), pool(threads));
        auto run = [&, is_bare = is_bare] { is_bare ? call.run_abi() : call.run_into(); };
        run();
        std::optional<OnnxModel> onnx;
        if (is_checked) check(expected, c, count, size);
        std::vector<Side> sides{repeated(run)};
        Places places;
        if (blas_.present()) {
          places.blas = sides.size();
          sides.push_back(repeated([&, threads = threads] {
            blas_.set_threads(threads);
            blas_.multiply(size, size, size, a.data(), false, b.data(), false, c.data());
          }));
        }
#if defined(WEIR_BENCHMARK_ONEDNN)
        places.onednn = sides.size();
        sides.push_back(repeated([&, threads = threads] {
          omp_set_num_threads(threads);
          dnnl_sgemm('N', 'N', size, size, size, 1, a.data(), size, b.data(), size, 0, c.data(),
                     size);
        }));
#endif
        if (runtime_ != nullptr) {
          Subject subject{name, {"a", "b"}, {"c"}, {}, {}};
          for (float* input : inputs)
            subject.inputs.push_back(Tensor::view(DType::f32, {size, size}, input));
          subject.outputs.push_back(Tensor::view(DType::f32, {size, size}, c.data()));
          places.onnx = sides.size();
          add_session(onnx, sides, subject, model, threads);
        }
        report(table, is_bare ? name + ", C ABI" : name, threads, work, goal, sides, places);
      }
    }
  }

  void layers() {
    Table table = started("linear with constant weights, GFLOP/s");
    for (std::int64_t size : {64, 256, 512, 1024, 2048}) {
      if (options_.quick && size > 512) break;
      const double part = size == 64 ? 0.9 : size == 2048 ? 0.93 : 0.96;
      layer(table, perceptron(fmt::format("{0} x {0} -> {0}", size), {size, size}), size,
            {kUnreachable, part});
    }
    for (std::int64_t batch : {1, 8, 32})
      layer(table, perceptron(fmt::format("{} x 1024 -> 1024", batch), {1024, 1024}), batch,
            {1.05});
    // Few results of many steps, which threads find in the steps.
    for (auto [batch, steps, columns] : {std::array{1, 8000, 16}, {6, 4000, 16}, {1, 8000, 256}})
      layer(table,
            perceptron(fmt::format("{} x {} -> {}", batch, steps, columns), {steps, columns}),
            batch, {1});
  }

  void convolutions() {
    Table table = started("convolutions with constant weights, batch 1, GFLOP/s", "own");
    for (const Network& network : single_convolutions()) layer(table, network, 1, {1});
  }

 private:
  // Where a peer stands among the sides; 0 if it does not take part. Behind the peers oneDNN in
  // layouts of its own.
  struct Places {
    std::size_t blas = 0, onednn = 0, onnx = 0, own = 0;
  };

  ThreadPool* pool(int threads) { return threads == 1 ? nullptr : &two_; }

  // `other`: the column beside that of oneDNN.
  Table started(std::string title, const char* other = "BLAS") const {
    return Table("contractions", std::move(title),
                 {{"shape", 24},
                  {"thr", 3},
                  {"ours", 5},
                  {"peak", 5},
                  {"reads", 5},
                  {other, 5},
                  {"oneDNN", 6},
                  {"ORT", 5},
                  {"of the best", 17},
                  {"goal", 0}},
                 options_);
  }

  static void check(const Buffer& expected, const Buffer& given, std::ptrdiff_t count,
                    std::ptrdiff_t size) {
    for (std::ptrdiff_t i = 0; i < count; ++i)
      if (std::abs(expected.data()[i] - given.data()[i]) > 1e-6f * static_cast<float>(size))
        throw Error("matmul and the loops in C disagree");
  }

  // ONNX Runtime on the subject, as a side; its result is compared with ours.
  void add_session(std::optional<OnnxModel>& onnx, std::vector<Side>& sides, const Subject& subject,
                   const Model& model, int threads) {
    onnx.emplace(*runtime_, test::OnnxSession(*runtime_, export_onnx(model), threads), subject);
    sides[0](1);
    onnx->run();
    check_results(subject, "ONNX Runtime", onnx->results());
    sides.push_back(repeated([&onnx] { onnx->run(); }));
  }

  // A network of one layer.
  void layer(Table& table, const Network& network, std::int64_t batch, const Goal& goal) {
    if (!options_.wants(network.name)) return;
    Model model = build_model(network, batch);
    Executable executable = compile(model, compile_options(options_));
    Tensor::Sizes sizes{batch};
    sizes.insert(sizes.end(), network.input.begin(), network.input.end());
    Subject subject = subject_of(network.name, executable, {Numbers().tensor(sizes, 1)});
    std::vector<Tensor>&inputs = subject.inputs, &outputs = subject.outputs;
    const Tensor& w = model.weights.at("w0");
    const Work work = work_of(model.graph, {});
    for (int threads : {1, 2}) {
      const weir_executor* executor = threads == 1 ? nullptr : &two_.executor();
      std::vector<Side> sides{
          repeated([&, executor] { executable.run_into(inputs, outputs, executor); })};
      Places places;
      std::optional<OnnxModel> onnx;
      if (runtime_ != nullptr) {
        places.onnx = sides.size();
        add_session(onnx, sides, subject, model, threads);
      }
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
      auto* given = static_cast<float*>(inputs[0].mutable_data());
      auto* result = static_cast<float*>(outputs[0].mutable_data());
      OneDnnNetwork onednn(network, model.weights, batch, given, result, threads);
      places.onednn = sides.size();
      sides.push_back(repeated([&] { onednn.run(); }));
      std::optional<OneDnnNetwork> own;
      if (network.layers[0].kind == Layer::Kind::conv) {
        own.emplace(network, model.weights, batch, given, result, threads, false);
        places.own = sides.size();
        sides.push_back(repeated([&] { own->run(); }));
      }
#endif
      report(table, network.name, threads, work, goal, sides, places);
    }
  }

  void report(Table& table, const std::string& name, int threads, const Work& work,
              const Goal& goal, std::vector<Side>& sides, const Places& places) {
    const std::size_t peers_end = places.own == 0 ? sides.size() : places.own;
    const LimitSides limits = machine_.add_limits(sides, work, threads);
    Effort effort = options_.effort();
    effort.total_seconds /= 2;
    effort.fewest_rounds = 5;
    // The peers' threads spin on after a call, on the processor that our second thread needs.
    if (threads > 1) {
      effort.rest_seconds = kLeastRest;
      effort.sample_seconds = 1e-3;
      effort.most_rounds = 31;
    }
    Samples samples = interleave(sides, effort);
    auto rate = [&](std::size_t side) { return work.flops / samples.seconds(side).median; };
    const double peak = machine_.part_of_peak(samples, limits, work, threads),
                 reads = machine_.part_of_reads(samples, limits, work, threads);
    auto peer = [&](std::size_t place) {
      return place == 0 ? Cell("-") : Cell(fmt::format("{:.1f}", rate(place) * 1e-9), rate(place));
    };
    std::vector<Cell> row{name,
                          {fmt::format("{}", threads), static_cast<double>(threads)},
                          {fmt::format("{:.1f}", rate(0) * 1e-9), rate(0)},
                          {fmt::format("{:.0f} %", peak * 100), peak},
                          {fmt::format("{:.0f} %", reads * 100), reads},
                          peer(std::max(places.blas, places.own)),
                          peer(places.onednn),
                          peer(places.onnx)};
    std::optional<double> ratio;
    if (peers_end == 1) {
      row.emplace_back("-");
    } else {
      Spread spread = samples.ratio(samples.fastest(1, peers_end), 0);
      ratio = spread.median;
      row.emplace_back(times(spread), spread);
    }
    add_verdict(row, machine_.judge(goal, ratio, samples, limits, work, threads));
    table.row(row);
  }

  const Options& options_;
  const test::OnnxRuntime* runtime_;
  ThreadPool two_{2};
  Machine machine_;
  OpenBlas blas_;
};

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) try {
  using namespace weir::bench;
  Options options = Options::parse(
      argc, argv, "Times contractions against OpenBLAS, oneDNN, ONNX Runtime and the machine.",
      Options::Cpu::option);
  tell_peers(options);
  TimingLock lock;
  print_machine();
  std::optional<weir::test::OnnxRuntime> runtime;
  if (const char* path = weir::test::onnxruntime_path()) runtime.emplace(path);
  Contractions contractions(options, runtime ? &*runtime : nullptr);
  contractions.matmul();
  contractions.layers();
  contractions.convolutions();
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
