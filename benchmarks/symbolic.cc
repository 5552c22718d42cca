// What it costs that a program serves every batch: programs whose batch is known only at the call
// against programs that were compiled for it, f32, on one and two threads. Goal: 97 % of the
// specialised one's speed.
//
// Both read the same inputs, and their results are compared before anything is timed.
#include <exception>

#include "benchmarks/goals.h"
#include "benchmarks/networks.h"
#include "benchmarks/onnxruntime_model.h"
#include "benchmarks/report.h"
#include "benchmarks/subject.h"

namespace weir::bench {
namespace {

constexpr double kGoal = 0.97;

Model matmul_model(const Dim& size) {
  GraphBuilder builder("matmul");
  Var a = builder.input("a", DType::f32, {size, size}),
      b = builder.input("b", DType::f32, {size, size});
  builder.output("c", matmul(a, b));
  return builder.finish();
}

class Symbolic {
 public:
  explicit Symbolic(const Options& options)
      : options_(options),
        table_("symbolic", "One program for every batch: speed of the one for this batch",
               {{"model", 26}, {"thr", 3}, {"every", 7}, {"this", 7}, {"speed", 16}, {"goal", 0}},
               options) {}

  // `model` of its N.
  void add(const std::string& name, const std::function<Model(const Dim&)>& model,
           std::initializer_list<std::int64_t> sizes) {
    std::optional<Executable> every;
    for (std::int64_t size : sizes) {
      std::string row = fmt::format("{} x {}", name, size);
      if (!options_.wants(row)) continue;
      if (!every) every = compile(model(Dim::symbol("N")));
      Executable one = compile(model(Dim(size)));
      std::vector<Tensor> inputs;
      Numbers numbers;
      for (const Signature& input : one.inputs()) {
        Tensor::Sizes of_input;
        for (const Dim& dim : input.type.shape) of_input.push_back(dim.value());
        inputs.push_back(numbers.tensor(std::move(of_input), 1));
      }
      Subject subject = subject_of(row, *every, std::move(inputs));
      std::vector<Tensor> results = one.run(subject.inputs);
      check_results(subject, "the specialised program", results);
      for (int threads : {1, 2}) {
        const weir_executor* executor = threads == 1 ? nullptr : &two_.executor();
        std::vector<Side> sides{
            repeated([&, executor] { every->run_into(subject.inputs, subject.outputs, executor); }),
            repeated([&, executor] { one.run_into(subject.inputs, results, executor); })};
        Effort effort = options_.effort();
        effort.fewest_rounds = 11;
        report(row, threads, interleave(sides, effort));
      }
    }
  }

 private:
  void report(const std::string& name, int threads, const Samples& samples) {
    Spread ratio = samples.ratio(1, 0);
    std::vector<Cell> row{name,
                          {fmt::format("{}", threads), static_cast<double>(threads)},
                          {duration(samples.seconds(0).median), samples.seconds(0).median},
                          {duration(samples.seconds(1).median), samples.seconds(1).median},
                          {times(ratio), ratio}};
    const bool met = ratio.median >= kGoal;
    add_verdict(row,
                {fmt::format("{}: {}", kGoal, met ? "met" : "BEHIND"), kGoal, ratio.median, met});
    table_.row(row);
  }

  const Options& options_;
  ThreadPool two_{2};
  Table table_;
};

void measure(const Options& options) {
  Symbolic symbolic(options);
  auto add = [&](const Network& network, std::initializer_list<std::int64_t> batches) {
    symbolic.add(
        network.name, [&](const Dim& batch) { return build_model(network, batch); }, batches);
  };
  symbolic.add("matmul", matmul_model, {64, 256, 512});
  add(perceptron("1024 -> 1024", {1024, 1024}), {1, 8, 32, 256});
  add(perceptron("MLP 784-512-256-10", {784, 512, 256, 10}), {1, 8, 32, 256});
  add(perceptron("MLP 8 of 1024", std::vector<std::int64_t>(9, 1024)), {1, 32});
  add(dcgan_discriminator(), {1, 16});
  if (!options.quick) add(tiny_yolo(), {1});
  for (const Network& network : single_convolutions()) add(network, {1, 4});
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  using namespace weir::bench;
  return run_benchmark(argc, argv, "Times programs for every batch against programs for one.",
                       measure);
}
