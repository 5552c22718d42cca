// Training steps - forward, backward and update - against PyTorch's eager ones: perceptrons with
// SGD and Adam, the DCGAN discriminator, and the step of a WGAN-GP critic, whose loss has the
// critic's own gradient in it. PyTorch runs in a process of its own, in turns with ours.
//
// Both sides start from the same weights and train on one batch; their losses are compared first.
// `peak` is the part of a step that its multiply-adds would take at the peak of the units, which
// takes turns with the step, and `other` the share of our time outside contractions, on one thread,
// from samples (kernel_samples.h).
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <optional>

#include <nlohmann/json.hpp>

#include "benchmarks/goals.h"
#include "benchmarks/kernel_samples.h"
#include "benchmarks/networks.h"
#include "benchmarks/report.h"
#include "benchmarks/subject.h"
#include "benchmarks/torch_peer.h"
#include "compiler/autodiff/gradient.h"
#include "compiler/frontend/file.h"
#include "compiler/frontend/npz.h"
#include "compiler/trainer.h"
#include "tests/support/temporary_folder.h"

namespace weir::bench {
namespace {

constexpr double kRate = 1e-3;

struct Case {
  Network network;
  std::int64_t batch;
  std::string loss;  // cross_entropy, binary_cross_entropy or critic
  std::string optimizer;
  double goals[2];  // times as fast as PyTorch, on one thread and on two

  std::string name() const {
    return fmt::format("{}{} x {}, {}", network.name, loss == "critic" ? " critic" : "", batch,
                       optimizer);
  }
  // What the model says of itself: labels are integers, everything else is f32.
  NamedTensors data() const {
    Numbers numbers;
    Tensor::Sizes sizes{batch};
    sizes.insert(sizes.end(), network.input.begin(), network.input.end());
    if (loss == "critic")
      return {{"real", numbers.tensor(sizes, 1)},
              {"fake", numbers.tensor(sizes, 1)},
              {"between", numbers.tensor(sizes, 1)}};
    NamedTensors data{{"x", numbers.tensor(sizes, 1)}};
    bool labels = loss == "cross_entropy";
    Tensor target(labels ? DType::i64 : DType::f32, {batch});
    for (std::int64_t i = 0; i < batch; ++i) {
      std::int64_t label = labels ? i * 7 % network.layers.back().outputs : i % 2;
      target.set_bits(i, scalar::bits_of(target.dtype(), label));
    }
    data.emplace("target", std::move(target));
    return data;
  }
};

// f(fake) - f(real) + 10 (|f'(between)| - 1)^2, all means: Gulrajani et al., Improved training of
// Wasserstein GANs (2017).
Model critic_model(const Network& network) {
  GraphBuilder inner("critic");
  NetworkParams critic(inner, network, true);
  Shape shape = shape_of_input(network, Dim::symbol("N"));
  auto input = [&](const char* name) { return inner.input(name, DType::f32, shape); };
  Var real = input("real"), fake = input("fake");
  inner.output("difference", reduce_mean(critic(fake)) - reduce_mean(critic(real)));
  inner.output("score", critic(input("between")));
  std::vector<std::string> wrt{"between"};
  GraphBuilder outer(gradient(inner.graph(), wrt, {{"score"}}));
  auto output = [&](std::size_t i) { return Var(outer, outer.graph().outputs()[i].value); };
  Var slope = output(2);
  std::vector<std::int64_t> axes;
  for (std::size_t i = 1; i < shape.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
  Var excess = sqrt(reduce_sum(slope * slope, axes)) - 1;
  outer.output("loss", output(0) + 10 * reduce_mean(excess * excess));
  return {std::move(outer.graph()), inner.finish().weights};
}

Model model_of(const Case& one) {
  if (one.loss == "critic") return critic_model(one.network);
  GraphBuilder builder("network");
  NetworkParams params(builder, one.network, true);
  Dim batch = Dim::symbol("N");
  Var result = params(builder.input("x", DType::f32, shape_of_input(one.network, batch)));
  if (one.loss == "cross_entropy") {
    builder.output("loss", cross_entropy(result, builder.input("target", DType::i64, {batch})));
  } else {
    Var target = builder.input("target", DType::f32, {batch});
    builder.output("loss", binary_cross_entropy(reshape(result, {batch}), target));
  }
  return builder.finish();
}

std::string description(const Case& one, int threads) {
  nlohmann::json layers;
  for (const Layer& layer : one.network.layers)
    layers.push_back({{"kind", layer.kind == Layer::Kind::dense ? "dense" : "conv"},
                      {"stride", layer.stride},
                      {"low", layer.low},
                      {"high", layer.high},
                      {"groups", layer.groups},
                      {"normalized", layer.normalized},
                      {"slope", layer.slope ? nlohmann::json(*layer.slope) : nlohmann::json()}});
  return nlohmann::json{{"layers", layers},
                        {"loss", one.loss},
                        {"optimizer", one.optimizer},
                        {"rate", kRate},
                        {"threads", threads}}
      .dump();
}

class Steps {
 public:
  explicit Steps(const Options& options)
      : options_(options),
        machine_(options, two_),
        times_("training", "One step: times as fast as PyTorch",
               {{"case", 30},
                {"thr", 3},
                {"peak", 5},
                {"other", 6},
                {"ours", 7},
                {"PyTorch", 7},
                {"times as fast", 16},
                {"goal", 0}},
               options) {}

  void add(const Case& one) {
    if (!options_.wants(one.name())) return;
    Model model = model_of(one);
    NamedTensors data = one.data();
    test::TemporaryFolder folder;  // where PyTorch reads the case
    write_npz(folder / "weights.npz", model.weights);
    Weights tensors(data.begin(), data.end());
    write_npz(folder / "data.npz", tensors);
    Memory memory{one.name()};
    const Work work = work_of(Trainer(model, {one.optimizer}).step_graph(), {{"N", one.batch}});
    for (int threads : {1, 2}) {
      Trainer trainer(model, {one.optimizer});
      std::vector<Tensor> inputs;
      for (const Signature& input : trainer.inputs()) inputs.push_back(data.at(input.name));
      const weir_executor* executor = threads == 1 ? nullptr : &two_.executor();
      std::vector<Side> sides{repeated([&, executor] { trainer.step(inputs, kRate, executor); })};
      std::optional<TorchPeer> torch;
      write_file(folder / "case.json", {description(one, threads)});
      if (torch_works_) start(torch, folder.path());
      if (torch) compare(one, trainer, inputs, *torch);
      // This runs steps, so it follows the comparison.
      const LimitSides limits = machine_.add_limits(sides, {work.flops, 0}, threads);
      const std::size_t torch_side = sides.size();
      if (torch)
        sides.push_back(
            [&torch](std::int64_t repeats) { torch->ask(fmt::format("steps {}", repeats)); });
      Effort effort = options_.effort();
      effort.sample_seconds =
          options_.quick ? 2e-3 : 20e-3;  // a command through a pipe is nothing then
      if (!options_.quick) effort.total_seconds = 2;
      effort.fewest_rounds = 5;
      if (threads > 1) effort.rest_seconds = kRestOfOthers;
      Samples samples = interleave(sides, effort);
      const double peak = machine_.part_of_peak(samples, limits, work, threads);
      std::optional<double> other;
      if (threads == 1)
        other = share_outside_contractions(trainer, model.weights, inputs, kRate,
                                           options_.quick ? 1 : 4);
      std::vector<Cell> row{one.name(),
                            {fmt::format("{}", threads), static_cast<double>(threads)},
                            {fmt::format("{:.0f} %", peak * 100), peak},
                            other ? Cell(fmt::format("{:.1f} %", *other * 100), *other) : Cell(""),
                            {duration(samples.seconds(0).median), samples.seconds(0)}};
      if (torch) {
        row.emplace_back(duration(samples.seconds(torch_side).median), samples.seconds(torch_side));
        Spread ratio = samples.ratio(torch_side, 0);
        double goal = one.goals[threads - 1];
        row.emplace_back(times(ratio), ratio);
        row.emplace_back(fmt::format("{}{}", goal, ratio.median < goal ? "  BEHIND" : ""), goal);
      } else {
        row.insert(row.end(), {"-", "-", ""});
      }
      times_.row(row);
      if (threads == 1) {
        memory.ours = step_bytes(trainer, one.batch);
        if (torch) {
          std::optional<TorchPeer> fresh;
          start(fresh, folder.path());
          if (fresh) memory.theirs = fresh->ask("memory");
        }
      }
    }
    memory_.push_back(memory);
  }

  void print_memory() const {
    Table table("training", "Memory of a step, beside its inputs and what it trains",
                {{"case", 31}, {"ours", 9}, {"PyTorch", 9}, {"", 0}}, options_);
    auto bytes = [](double count) { return fmt::format("{:.2f} MB", count / 1e6); };
    for (const Memory& one : memory_)
      table.row({one.name,
                 {bytes(one.ours), one.ours},
                 one.theirs > 0 ? Cell(bytes(one.theirs), one.theirs) : Cell("-"),
                 one.theirs > 0 && one.ours > one.theirs ? "BEHIND" : ""});
  }

 private:
  struct Memory {
    std::string name;
    double ours = 0, theirs = 0;
  };

  void start(std::optional<TorchPeer>& torch, const std::string& folder) {
    try {
      torch.emplace("training_peer.py", folder);
    } catch (const Error&) {
      std::printf(
          "PyTorch is left out: set WEIR_PYTHON to a Python that has it "
          "(Debian: python3-torch).\n");
      torch_works_ = false;
    }
  }

  // Both make the same steps from the same weights.
  static void compare(const Case& one, Trainer& trainer, std::span<const Tensor> inputs,
                      TorchPeer& torch) {
    Weights start = trainer.read_state();
    for (int step = 0; step < 3; ++step) {
      double ours = trainer.step(inputs, kRate), theirs = torch.ask("steps 1");
      if (!(std::abs(ours - theirs) <= 1e-3 * std::max(1.0, std::abs(theirs))))
        throw Error(fmt::format("{}: the loss of step {} is {} here and {} in PyTorch", one.name(),
                                step, ours, theirs));
    }
    trainer.write_state(start);
  }

  static double step_bytes(const Trainer& trainer, std::int64_t batch) {
    std::vector<std::ptrdiff_t> dims(trainer.step_executable().symbols().size(), batch);
    return static_cast<double>(trainer.step_executable().workspace_bytes(dims));
  }

  const Options& options_;
  ThreadPool two_{2};
  Machine machine_;
  Table times_;
  bool torch_works_ = true;
  std::vector<Memory> memory_;
};

void measure(const Options& options) {
  Network mlp = perceptron("MLP 784-512-256-10", {784, 512, 256, 10});
  Network small = perceptron("MLP 64-64-64-64", {64, 64, 64, 64});
  Network critic = dcgan_discriminator();
  critic.name = "DCGAN";
  for (Layer& layer : critic.layers)
    layer.normalized = false;  // a critic has no statistics of the batch
  Steps steps(options);
  steps.add({mlp, 64, "cross_entropy", "sgd", {1.45, 2.3}});
  steps.add({mlp, 64, "cross_entropy", "adam", {1.9, 2.5}});
  steps.add({mlp, 512, "cross_entropy", "sgd", {1.3, 1.7}});
  steps.add({mlp, 512, "cross_entropy", "adam", {1.3, 1.7}});
  steps.add({small, 32, "cross_entropy", "sgd", {4.6, 4.3}});
  steps.add({small, 32, "cross_entropy", "adam", {6.9, 3.4}});
  Network discriminator = dcgan_discriminator();
  discriminator.name = "DCGAN discr.";
  if (!options.quick) {
    steps.add({discriminator, 16, "binary_cross_entropy", "sgd", {1.3, 1.3}});
    steps.add({critic, 16, "critic", "sgd", {1.3, 1.3}});
  }
  steps.print_memory();
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  using namespace weir::bench;
  std::signal(SIGPIPE, SIG_IGN);  // PyTorch's process may end before ours
  return run_benchmark(argc, argv, "Times training steps against PyTorch's.", measure);
}
