// Whole models, inputs to outputs, against ONNX Runtime (where WEIR_ONNXRUNTIME names its library)
// and, for networks of layers in a row, oneDNN: the models in ONNX's test folders below the folder
// that WEIR_MODELS names, those of the project's tests if it names none, and networks of published
// shapes with made-up weights, whose batch is known only at the call. ONNX Runtime runs the files
// as they are, and our export of the networks.
//
// Results are compared before anything is timed. Goals stand beside the models.
#include <cstdlib>
#include <exception>
#include <filesystem>

#include <fmt/ranges.h>

#include "benchmarks/goals.h"
#include "benchmarks/networks.h"
#include "benchmarks/onednn.h"
#include "benchmarks/onnxruntime_model.h"
#include "benchmarks/report.h"
#include "benchmarks/resident_memory.h"
#include "benchmarks/subject.h"
#include "compiler/frontend/onnx/export.h"
#include "compiler/frontend/onnx/onnx_file.h"
#include "compiler/frontend/onnx/test_folder.h"
#include "ir/bind_symbols.h"
#include "tests/support/onnxruntime.h"
#include "tests/support/temporary_folder.h"

namespace weir::bench {
namespace {

// A run that takes longer than this does not notice that threads have to be woken for it.
constexpr double kLongRun = 0.5e-3;
// Of ONNX Runtime, with the models of folders.
constexpr Goal kOfFolders{1.2};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

class Comparison {
 public:
  Comparison(const Options& options, const test::OnnxRuntime* runtime)
      : options_(options),
        runtime_(runtime),
        machine_(options, two_),
        table_(
            "models",
            fmt::format("Whole models: times as fast as the best of {}ours alone", peers(runtime)),
            {{"model", 26},
             {"thr", 3},
             {"ours", 7},
             {"ORT", 7},
             {"oneDNN", 7},
             {"peak", 5},
             {"reads", 5},
             {"times as fast", 17},
             {"goal", 0}},
            options) {}

  // `goals` are those with one thread and with two, `work` is what one call needs. `session` makes
  // ONNX Runtime's for a number of threads; `network`, if there is one, is what the model was built
  // from, and oneDNN gets it.
  void add(Subject& subject, const Executable& executable, const std::array<Goal, 2>& goals,
           const Work& work,
           const std::function<test::OnnxSession(int threads, bool rests)>& session,
           const Network* network, const Weights& weights) {
    for (int threads : {1, 2}) {
      const weir_executor* executor = threads == 1 ? nullptr : &two_.executor();
      std::vector<Side> sides{repeated(
          [&, executor] { executable.run_into(subject.inputs, subject.outputs, executor); })};
      sides[0](2);
      bool is_long = time_of(sides[0], 1) > kLongRun;
      std::vector<std::size_t> side_of(3, 0);
      std::optional<OnnxModel> onnx;
      if (runtime_ != nullptr) {
        // Threads that spin on after a run would hold the processor that ours need.
        onnx.emplace(*runtime_, session(threads, threads > 1 && is_long), subject);
        onnx->run();
        check_results(subject, "ONNX Runtime", onnx->results());
        side_of[1] = sides.size();
        sides.push_back(repeated([&] { onnx->run(); }));
      }
#if defined(WEIR_BENCHMARK_ONEDNN)
      std::optional<OneDnnNetwork> onednn;
      Tensor result(subject.outputs[0].dtype(), subject.outputs[0].sizes());
      if (network != nullptr) {
        onednn.emplace(*network, weights, subject.inputs[0].sizes()[0],
                       static_cast<float*>(subject.inputs[0].mutable_data()),
                       static_cast<float*>(result.mutable_data()), threads);
        onednn->run();
        check_results(subject, "oneDNN", {result});
        side_of[2] = sides.size();
        sides.push_back(repeated([&] { onednn->run(); }));
      }
#else
      (void)network, (void)weights;
#endif
      Effort effort = options_.effort();
      effort.fewest_rounds = 5;
      effort.most_rounds = 101;
      if (threads > 1) {
        effort.rest_seconds = kLeastRest;
        effort.most_rounds = 31;
      }
      const std::size_t peers_end = sides.size();
      const LimitSides limits = machine_.add_limits(sides, work, threads);
      report(subject.name, threads, interleave(sides, effort), side_of, peers_end, limits, work,
             goals[static_cast<std::size_t>(threads - 1)]);
    }
  }

  void print_summary() const {
    if (behind_.empty()) return;
    std::printf("\nBehind:");
    for (const std::string& line : behind_)
      std::printf("%s  %s", &line == &behind_[0] ? "" : ";", line.c_str());
    std::printf("\n");
  }

 private:
  static std::string peers(const test::OnnxRuntime* runtime) {
    std::string result;
    if (runtime != nullptr) result += "ONNX Runtime " + runtime->version() + " (ORT), ";
#if defined(WEIR_BENCHMARK_ONEDNN)
    result += "oneDNN " + onednn_version() + ", ";
#endif
    return result.empty() ? result : result.substr(0, result.size() - 2) + "; else ";
  }

  void report(const std::string& name, int threads, const Samples& samples,
              const std::vector<std::size_t>& side_of, std::size_t peers_end,
              const LimitSides& limits, const Work& work, const Goal& goal) {
    std::vector<Cell> row{name, {fmt::format("{}", threads), static_cast<double>(threads)}};
    for (std::size_t peer = 0; peer < side_of.size(); ++peer) {
      if (peer > 0 && side_of[peer] == 0) {
        row.emplace_back("-");
        continue;
      }
      double seconds = samples.seconds(side_of[peer]).median;
      row.emplace_back(duration(seconds), seconds);
    }
    for (double part : {machine_.part_of_peak(samples, limits, work, threads),
                        machine_.part_of_reads(samples, limits, work, threads)})
      row.emplace_back(fmt::format("{:.0f} %", part * 100), part);
    std::optional<double> ratio;
    if (peers_end == 1) {
      row.emplace_back("-");
    } else {
      Spread spread = samples.ratio(samples.fastest(1, peers_end), 0);
      ratio = spread.median;
      row.emplace_back(times(spread), spread);
    }
    const Verdict verdict = machine_.judge(goal, ratio, samples, limits, work, threads);
    if (!verdict.met)
      behind_.push_back(fmt::format("{} ({}): {:.2f}, {}", name, threads, ratio.value_or(0),
                                    verdict.text.substr(0, verdict.text.find(':'))));
    add_verdict(row, verdict);
    table_.row(row);
  }

  const Options& options_;
  const test::OnnxRuntime* runtime_;
  ThreadPool two_{2};
  Machine machine_;
  Table table_;
  std::vector<std::string> behind_;
};

// How long a model takes to be made ready, in seconds: without a cache but for what it takes to
// store the code in one, and with the code from it, on one thread and on two.
struct Readiness {
  std::string name;
  std::array<double, 2> cold{}, cached{};  // on one thread, on two
  double theirs = 0;                       // 0: not measured

  // What it is to take at most, cold and cached; 0: no matter.
  std::array<double, 2> goals() const {
    return name == "Tiny-YOLOv2" ? std::array{0.4, 0.06} : std::array{0.0, 0.0};
  }
};

struct Memory {
  std::string name;
  ProcessMemory ours, theirs;
};

class Models {
 public:
  Models(const Options& options, const test::OnnxRuntime* runtime)
      : options_(options), runtime_(runtime), comparison_(options, runtime) {}

  // A model whose images are of any height and width runs at more sizes than that of its data, all
  // from one program.
  void add_folder(const std::string& folder) {
    std::string name = std::filesystem::path(folder).filename().string();
    if (!options_.wants(name)) return;
    TestFolder test = read_test_folder(folder, false);
    OnnxOptions given;
    given.given = test.data.front().inputs;
    Model model = load_onnx(test.model, given);
    Executable executable = compile_timed(name, model);
    std::vector<Inputs> each{test.data.front().inputs};
    for (auto& more : images_of_sizes(model.graph)) each.push_back(std::move(more));
    for (const Inputs& given_inputs : each) {
      std::vector<Tensor> inputs;
      Inputs of_graph;
      for (ValueId input : model.graph.inputs()) {
        const std::string& input_name = model.graph.value(input).name;
        inputs.push_back(given_inputs.at(input_name));
        of_graph.emplace(input_name, inputs.back());
      }
      const Tensor::Sizes& sizes = inputs.front().sizes();
      const bool is_first = &given_inputs == &each.front();
      Subject subject =
          subject_of(is_first ? name : fmt::format("{} {}x{}", name, sizes[2], sizes[3]),
                     executable, std::move(inputs));
      comparison_.add(subject, executable, {kOfFolders, kOfFolders},
                      work_of(model.graph, bind_symbols(model.graph, of_graph, model.weights)),
                      [&](int threads, bool rests) {
                        auto before = std::chrono::steady_clock::now();
                        auto session =
                            test::OnnxSession::of_file(*runtime_, test.model, threads, rests);
                        if (threads == 1 && is_first) ready_.back().theirs = seconds_since(before);
                        return session;
                      },
                      nullptr, {});
      if (runtime_ != nullptr && is_first) add_memory(subject, model, executable, test.model);
    }
  }

  // `goals` are those of a batch, with one thread and with two.
  void add_network(const Network& network, std::initializer_list<std::int64_t> batches,
                   const std::function<std::array<Goal, 2>(std::int64_t batch)>& goals) {
    std::vector<std::int64_t> wanted;
    for (std::int64_t batch : batches)
      if (options_.wants(name_of(network, batch))) wanted.push_back(batch);
    if (wanted.empty()) return;
    Model model = build_model(network, Dim::symbol("N"));
    std::string exported = runtime_ == nullptr ? std::string() : export_onnx(model);
    Executable executable = compile_timed(network.name, model);
    for (std::int64_t batch : wanted) {
      Tensor::Sizes sizes{batch};
      sizes.insert(sizes.end(), network.input.begin(), network.input.end());
      Subject subject =
          subject_of(name_of(network, batch), executable, {Numbers().tensor(sizes, 1)});
      comparison_.add(
          subject, executable, goals(batch), work_of(model.graph, {{"N", batch}}),
          [&](int threads, bool rests) {
            auto before = std::chrono::steady_clock::now();
            test::OnnxSession session(*runtime_, exported, threads, rests);
            if (threads == 1 && batch == wanted.front())
              ready_.back().theirs = seconds_since(before);
            return session;
          },
          &network, model.weights);
      if (runtime_ != nullptr) {
        test::TemporaryFolder folder;
        write_file(folder / "model.onnx", {exported});
        add_memory(subject, model, executable, folder / "model.onnx");
      }
    }
  }

  void print_summary() {
    comparison_.print_summary();
    print_memory();
    print_readiness();
  }

 private:
  void add_memory(const Subject& subject, const Model& model, const Executable& executable,
                  const std::string& onnx_file) {
    memory_.push_back({subject.name, memory_of_compiled(subject, model, executable),
                       memory_of_session(subject, model, onnx_file)});
  }

  // Without the weights: what a process holds that runs the model and nothing else, and the part of
  // it that is for values between inputs and outputs.
  void print_memory() const {
    if (memory_.empty()) return;
    Table table("models", "Memory of inference, beside inputs, outputs and weights",
                {{"model", 26},
                 {"process", 9},
                 {"ORT", 9},
                 {"part", 5},
                 {"values", 9},
                 {"ORT", 9},
                 {"goal 0.5", 0}},
                options_);
    auto bytes = [](double count) { return Cell(fmt::format("{:.2f} MB", count / 1e6), count); };
    for (const auto& [name, ours, theirs] : memory_) {
      double part = ours.resident / theirs.resident;
      table.row({name, bytes(ours.resident), bytes(theirs.resident),
                 Cell(fmt::format("{:.2f}", part), part), bytes(ours.between),
                 bytes(theirs.between), part > 0.5 ? "ABOVE" : ""});
    }
  }

  // Compiles it several times, and keeps how long that takes.
  Executable compile_timed(const std::string& name, const Model& model) {
    constexpr int kTimes = 5;
    Readiness ready{name};
    test::TemporaryFolder folder;
    CompileOptions options = compile_options(options_);
    auto timed = [&](double& seconds) {
      auto start = std::chrono::steady_clock::now();
      Executable executable = compile(model, options);
      seconds = seconds_since(start);
      return executable;
    };
    // Two threads first: a process takes longer for what it compiles first.
    ThreadPool two(2);
    for (std::size_t threads : {2, 1}) {
      options.executor = threads == 1 ? nullptr : &two.executor();
      options.cache.folder = folder / fmt::format("cache-{}", threads);
      timed(ready.cold[threads - 1]);
      std::vector<double> times(kTimes);
      for (double& seconds : times) timed(seconds);
      ready.cached[threads - 1] = spread_of(std::move(times)).median;
    }
    ready_.push_back(std::move(ready));
    double seconds = 0;
    return timed(seconds);
  }

  void print_readiness() const {
    if (ready_.empty()) return;
    Table table("models", "From the model to what can run, on one thread and on two",
                {{"model", 26},
                 {"cold", 7},
                 {"2 thr", 7},
                 {"cached", 7},
                 {"2 thr", 7},
                 {"ORT", 7},
                 {"goals, 2 threads", 0}},
                options_);
    auto time = [](double seconds) {
      return seconds > 0 ? Cell(duration(seconds), seconds) : Cell("-");
    };
    for (const Readiness& model : ready_) {
      std::string text;
      const std::array reached{model.cold[1], model.cached[1]};
      for (std::size_t i = 0; i < reached.size(); ++i)
        if (const double goal = model.goals()[i]; goal > 0)
          text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", duration(goal),
                              reached[i] <= goal ? "met" : "ABOVE");
      table.row({model.name, time(model.cold[0]), time(model.cold[1]), time(model.cached[0]),
                 time(model.cached[1]), time(model.theirs), text});
    }
  }

  // Images of other sizes for a model whose one input is [1, channels, height, width], the last two
  // being symbols.
  static std::vector<Inputs> images_of_sizes(const Graph& graph) {
    if (graph.inputs().size() != 1) return {};
    const Value& input = graph.value(graph.inputs().front());
    const Shape& shape = input.type.shape;
    if (input.type.dtype != DType::f32 || shape.size() != 4 || !shape[1].is_constant() ||
        shape[2].is_constant() || shape[3].is_constant())
      return {};
    std::vector<Inputs> images;
    for (auto [height, width] : {std::pair{240, 320}, {480, 640}})
      images.push_back({{input.name, Numbers().tensor({1, shape[1].value(), height, width}, 1)}});
    return images;
  }

  static std::string name_of(const Network& network, std::int64_t batch) {
    return fmt::format("{} x {}", network.name, batch);
  }

  const Options& options_;
  const test::OnnxRuntime* runtime_;
  Comparison comparison_;
  std::vector<Readiness> ready_;
  std::vector<Memory> memory_;
};

void measure(const Options& options) {
  const char* folder = std::getenv("WEIR_MODELS");
  std::optional<test::OnnxRuntime> runtime;
  if (const char* path = test::onnxruntime_path()) runtime.emplace(path);
  if (!runtime)
    std::printf(
        "ONNX Runtime: set WEIR_ONNXRUNTIME to the path of libonnxruntime.so; ./dev setup "
        "--peers fetches it.\n");
  Models models(options, runtime ? &*runtime : nullptr);
  for (const std::string& each :
       find_test_folders(folder != nullptr ? folder : WEIR_SOURCE_DIR "/tests/data/models"))
    models.add_folder(each);
  using Goals = std::array<Goal, 2>;
  models.add_network(perceptron("MLP 784-512-256-10", {784, 512, 256, 10}), {1, 8, 32, 256},
                     [](std::int64_t batch) {
                       const Goal goal{batch <= 8 ? 1.1 : 1};
                       return Goals{goal, goal};
                     });
  models.add_network(perceptron("MLP 8 of 1024", std::vector<std::int64_t>(9, 1024)),
                     {1, 8, 32, 256}, [](std::int64_t batch) {
                       const Goal goal{batch == 8 || batch == 32 ? 1.15 : 1};
                       return Goals{goal, goal};
                     });
  models.add_network(dcgan_discriminator(), {1, 16},
                     [](std::int64_t batch) { return Goals{Goal{1}, Goal{batch == 1 ? 1.1 : 1}}; });
  if (!options.quick || !options.only.empty())
    models.add_network(tiny_yolo(), {1},
                       [](std::int64_t) { return Goals{Goal{1.05}, Goal{1.05}}; });
  models.print_summary();
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) try {
  using namespace weir::bench;
  if (argc == 3 && std::string_view(argv[1]) == kMeasureProcess) {
    measure_process(argv[2]);
    return 0;
  }
  Options options = Options::parse(
      argc, argv, "Times whole models against ONNX Runtime and oneDNN.", Options::Cpu::option);
  tell_peers(options);
  TimingLock lock;
  print_machine();
  measure(options);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
