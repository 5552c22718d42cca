// How long compiling takes: programs of 10 to 1,000 kernels that all differ, of 5 to 20 primitives
// each, one in five of them a softmax, on one thread and on two. Then where the time of the middle
// one goes.
//
// Goals, on two threads: ten kernels 60 ms, a hundred 300 ms, growing linearly to a thousand.
// Loading the library and LLVM's first steps are not in it: a small model is compiled before.
#include <exception>
#include <map>
#include <stdexcept>

#include "benchmarks/report.h"
#include "compiler/pipeline.h"
#include "ir/text.h"
#include "runtime/thread_pool.h"

namespace weir::bench {
namespace {

// Chains on inputs of their own, whose sizes and constants differ.
std::string chain(int number, int primitives) {
  std::string text;
  std::string last = fmt::format("x{}", number);
  int made = 0;
  auto node = [&](const std::string& call, int cost) {
    std::string name = fmt::format("n{}_{}", number, made++);
    text += fmt::format("  %{} = {}\n", name, call);
    last = name;
    primitives -= cost;
  };
  while (primitives > 0) {
    switch ((made + number) % 5) {
      case 0:
        node(fmt::format("leaky_relu(%{}) {{negative_slope = 0.{}1}}", last, number % 9 + 1), 3);
        break;
      case 1:
        node(fmt::format("mul(%{}, %x{})", last, number), 1);
        break;
      case 2:
        node(fmt::format("add(%{}, %x{})", last, number), 1);
        break;
      case 3:
        node(fmt::format("maximum(%{}, %x{})", last, number), 2);
        break;
      default:
        node(fmt::format("abs(%{})", last), 1);
        break;
    }
  }
  return text + fmt::format("  %y{} = neg(%{})\n", number, last);
}

Graph graph_of(int kernels) {
  std::string inputs, nodes, types, results;
  for (int i = 0; i < kernels; ++i) {
    const char* comma = i == 0 ? "" : ", ";
    inputs += fmt::format("{}%x{}: f32[N, {}]", comma, i, i + 2);
    types += fmt::format("{}f32[N, {}]", comma, i + 2);
    results += fmt::format("{}%y{}", comma, i);
    nodes += i % 5 == 4 ? fmt::format("  %y{0} = softmax(%x{0}) {{axis = -1}}\n", i)
                        : chain(i, 5 + i % 16);
  }
  return parse_graph(
      fmt::format("graph @many({}) -> ({}) {{\n{}  return {}\n}}\n", inputs, types, nodes, results),
      "many");
}

struct Size {
  int kernels;
  double goal;  // in seconds, on two threads
};
constexpr Size kSizes[] = {{10, 0.06}, {100, 0.3}, {300, 0.9}, {1000, 3}};

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) try {
  using namespace weir;
  using namespace weir::bench;
  Options options = Options::parse(argc, argv, "Times compiling programs of many kernels.");
  TimingLock lock;
  print_machine();
  ThreadPool pool(2);
  compile(Model{graph_of(1), {}});
  Table table("compile_time", "Kernels that all differ, compiled and loaded: median and quartiles",
              {{"kernels", 7},
               {"threads", 7},
               {"median", 7},
               {"quartiles", 17},
               {"a kernel", 8},
               {"goal", 7},
               {"", 0}},
              options);
  for (const Size& size : kSizes) {
    if (options.quick && size.kernels > 100) continue;
    Model model{graph_of(size.kernels), {}};
    CompileOptions one, two;
    two.executor = &pool.executor();
    std::size_t kernels = lower_graph(model.graph).kernels.size();
    if (kernels != static_cast<std::size_t>(size.kernels))
      throw std::runtime_error(fmt::format("{} kernels instead of {}", kernels, size.kernels));
    Effort effort = options.effort();
    effort.sample_seconds = 0;
    effort.fewest_rounds = effort.most_rounds = size.kernels > 100 ? 1 : options.quick ? 3 : 9;
    std::vector<Side> sides{repeated([&] { compile(model, one); }),
                            repeated([&] { compile(model, two); })};
    Samples samples = interleave(sides, effort);
    for (int threads : {1, 2}) {
      Spread seconds = samples.seconds(static_cast<std::size_t>(threads - 1));
      table.row({std::to_string(size.kernels),
                 std::to_string(threads),
                 {duration(seconds.median), seconds},
                 duration(seconds.low) + " - " + duration(seconds.high),
                 duration(seconds.median / size.kernels),
                 threads == 2 ? duration(size.goal) : "",
                 threads == 2 && seconds.median > size.goal ? "ABOVE" : ""});
    }
  }
  std::map<std::string, double, std::less<>> stages;
  CompileOptions timed;
  timed.timing = [&](std::string_view step, double milliseconds) {
    stages[std::string(step)] += milliseconds;
  };
  compile(Model{graph_of(100), {}}, timed);
  Table places("compile_time", "Where the time of 100 kernels goes, on one thread",
               {{"stage", 20}, {"time", 7}, {"", 0}}, options);
  for (const auto& [step, milliseconds] : stages)
    places.row({step, duration(milliseconds / 1e3), ""});
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
