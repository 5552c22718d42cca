// A graph of a hundred thousand nodes goes through the graph passes within two seconds, whatever
// its form, and no stage up to the kernels grows faster than n log n: eight times the graph must
// not take the square of that.

#include <algorithm>
#include <ctime>
#include <iterator>
#include <limits>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compiler/autodiff/gradient.h"
#include "compiler/lowering/lower.h"
#include "compiler/passes/pass_manager.h"
#include "ir/text.h"
#include "ir/verifier.h"
#include "tests/support/growth.h"

namespace weir {
namespace {

constexpr int kNodes = 100000;
constexpr double kSeconds = 2;

class Text {
 public:
  template <class... Arguments>
  void line(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Arguments>(arguments)...);
    text_ += '\n';
  }
  std::string graph(const std::string& result) const {
    return "graph @g(%x: f32[N, 4]) -> (f32[N, 4]) {\n" + text_ + "return %" + result + " }\n";
  }

 private:
  std::string text_;
};

// Each value is computed from the one before.
std::string chain(int nodes) {
  Text text;
  text.line("%v0 = neg(%x)");
  for (int i = 1; i < nodes; ++i)
    text.line("%v{} = {}(%v{})", i, i % 2 ? "leaky_relu" : "tanh", i - 1);
  return text.graph(fmt::format("v{}", nodes - 1));
}

// As many as possible independent of each other, added up in pairs.
std::string wide(int nodes) {
  Text text;
  int leaves = (nodes + 1) / 3, made = 0;
  for (int i = 0; i < leaves; ++i)
    text.line("%l{0} = leaky_relu(%x) {{negative_slope = {0}.5}}", i);
  std::vector<std::string> level;
  for (int i = 0; i < leaves; ++i) {
    text.line("%v{} = tanh(%l{})", made, i);
    level.push_back(fmt::format("v{}", made++));
  }
  while (level.size() > 1) {
    std::vector<std::string> next;
    for (std::size_t i = 0; i + 1 < level.size(); i += 2) {
      text.line("%v{} = add(%{}, %{})", made, level[i], level[i + 1]);
      next.push_back(fmt::format("v{}", made++));
    }
    if (level.size() % 2) next.push_back(level.back());
    level = std::move(next);
  }
  return text.graph(level[0]);
}

// Every value is used twice, and both meet again.
std::string diamonds(int nodes) {
  Text text;
  text.line("%v0 = neg(%x)");
  int last = 0;
  for (int i = 1; i + 2 < nodes; i += 3) {
    text.line("%v{} = tanh(%v{})", i, last);
    text.line("%v{} = leaky_relu(%v{})", i + 1, last);
    text.line("%v{} = mul(%v{}, %v{})", i + 2, i, i + 1);
    last = i + 2;
  }
  return text.graph(fmt::format("v{}", last));
}

// One value is used by every other node.
std::string shared(int nodes) {
  Text text;
  text.line("%s = tanh(%x)");
  text.line("%v0 = neg(%x)");
  for (int i = 1; i + 1 < nodes; i += 2) {
    text.line("%w{} = leaky_relu(%v{})", i, (i - 1) / 2);
    text.line("%v{} = mul(%w{}, %s)", (i + 1) / 2, i);
  }
  return text.graph(fmt::format("v{}", (nodes - 2) / 2));
}

// Rows are normalized again and again: bodies of many nodes, and reductions, which end kernels.
std::string composites(int nodes) {
  Text text;
  text.line("%v0 = neg(%x)");
  int count = nodes / 8;
  for (int i = 1; i < count; ++i) text.line("%v{} = softmax(%v{}) {{axis = -1}}", i, i - 1);
  return text.graph(fmt::format("v{}", count - 1));
}

// Rows are shifted and reversed again and again: nothing is computed that would end a kernel.
std::string moves(int nodes) {
  Text text;
  text.line("%v0 = neg(%x)");
  int last = 0;
  for (int i = 1; i + 2 < nodes; i += 3) {
    text.line("%v{} = pad(%v{}) {{low = [0, 1], high = [0, 0]}}", i, last);
    text.line("%v{} = slice(%v{}) {{starts = [0, 0], limits = [N, 4]}}", i + 1, i);
    text.line("%v{} = reverse(%v{}) {{axes = [1]}}", i + 2, i + 1);
    last = i + 2;
  }
  return text.graph(fmt::format("v{}", last));
}

struct Form {
  const char* name;
  std::string (*text)(int nodes);
};
std::ostream& operator<<(std::ostream& stream, const Form& form) { return stream << form.name; }

class GraphGrowth : public testing::TestWithParam<Form> {};

// Processor time since the last lap, which becomes a property of the test.
class Laps {
 public:
  double lap(const char* stage) {
    double seconds = static_cast<double>(std::clock() - begin_) / CLOCKS_PER_SEC;
    testing::Test::RecordProperty(stage, std::to_string(seconds));
    begin_ = std::clock();
    return seconds;
  }

 private:
  std::clock_t begin_ = std::clock();
};

// The least of a few tries counts: what else a machine does only adds to the time of one.
TEST_P(GraphGrowth, a_hundred_thousand_nodes_take_less_than_two_seconds) {
  constexpr int kTries = 3;
  test::keep_memory();
  std::string text = GetParam().text(kNodes);
  Graph optimized;
  double whole = std::numeric_limits<double>::infinity(), lowering = whole;
  for (int i = 0; i < kTries && whole >= kSeconds; ++i) {
    Laps laps;
    Graph graph = parse_graph(text, "g.weir");
    double seconds = laps.lap("parse");
    check_graph(graph);
    seconds += laps.lap("verify");
    optimized = run_passes(std::move(graph), default_passes());
    whole = std::min(whole, seconds + laps.lap("passes"));
    if (is_checked_build()) break;
  }
  if (!is_checked_build()) {
    EXPECT_LT(whole, kSeconds);
  }
  for (int i = 0; i < kTries && lowering >= 5 * kSeconds; ++i) {
    Laps laps;
    lower(optimized);
    lowering = std::min(lowering, laps.lap("lowering"));
  }
  EXPECT_LT(lowering, 5 * kSeconds);
}

INSTANTIATE_TEST_SUITE_P(Forms, GraphGrowth,
                         testing::Values(Form{"chain", chain}, Form{"wide", wide},
                                         Form{"diamonds", diamonds}, Form{"shared", shared},
                                         Form{"composites", composites}, Form{"moves", moves}),
                         [](const auto& form) { return std::string(form.param.name); });

constexpr int kSmall = 1000;

template <class Action>
double growth(Action action) {
  return test::growth(action, kSmall);
}

TEST_P(GraphGrowth, of_parsing) {
  EXPECT_LT(growth([](int n) { check_graph(parse_graph(GetParam().text(n), "g.weir")); }),
            test::kLinearGrowth);
}

TEST_P(GraphGrowth, of_every_pass) {
  Graph small = parse_graph(GetParam().text(kSmall), "g.weir");
  Graph large = parse_graph(GetParam().text(8 * kSmall), "g.weir");
  for (const std::string& name : default_passes()) {
    EXPECT_LT(growth([&](int n) { run_passes(n == kSmall ? small : large, std::span(&name, 1)); }),
              test::kLinearGrowth)
        << name;
    small = run_passes(small, std::span(&name, 1));
    large = run_passes(large, std::span(&name, 1));
  }
}

TEST_P(GraphGrowth, of_the_gradient) {
  Graph small = parse_graph(GetParam().text(kSmall), "g.weir");
  Graph large = parse_graph(GetParam().text(8 * kSmall), "g.weir");
  std::vector<std::string> wrt{"x"};
  EXPECT_LT(growth([&](int n) { gradient(n == kSmall ? small : large, wrt); }),
            test::kLinearGrowth);
}

TEST_P(GraphGrowth, of_lowering) {
  Graph small = run_passes(parse_graph(GetParam().text(kSmall), "g.weir"), default_passes());
  Graph large = run_passes(parse_graph(GetParam().text(8 * kSmall), "g.weir"), default_passes());
  for (bool fuse : {true, false})
    EXPECT_LT(growth([&](int n) { lower(n == kSmall ? small : large, {.fuse = fuse}); }),
              test::kLinearGrowth)
        << (fuse ? "fused" : "a kernel a node");
}

// The time that code of a kernel takes is a square of what is in it, so that is bounded.
TEST_P(GraphGrowth, of_no_kernel) {
  constexpr std::size_t kMost = 6000;  // expressions
  const Graph graph = parse_graph(GetParam().text(4 * kSmall), "g.weir");
  for (const Graph& each : {graph, gradient(graph, std::vector<std::string>{"x"})}) {
    std::size_t largest = 0;
    const Program program = lower(run_passes(each, default_passes()));
    for (const Kernel& kernel : program.kernels) largest = std::max(largest, kernel.arena.size());
    EXPECT_LT(largest, kMost);
  }
}

// Steps of a recurrence read and make their own parts of what all have, and share their weights.
std::string steps(int count) {
  return fmt::format(
      "graph @g(%x: f32[{0}, 2, 4]) -> (f32[{0}, 1, 2, 8]) {{ param %w: f32[1, 32, 4] "
      "param %r: f32[1, 32, 8] param %b: f32[1, 64] "
      "%y, %h, %c = lstm(%x, %w, %r, %b) return %y }}",
      count);
}

TEST(RecurrenceGrowth, of_every_stage) {
  constexpr int kSteps = 32;
  const std::vector<std::string> wrt{"x", "w", "r", "b"};
  auto optimized = [&](int count) {
    return run_passes(gradient(parse_graph(steps(count), "g.weir"), wrt), default_passes());
  };
  EXPECT_LT(test::growth([&](int n) { optimized(n); }, kSteps), test::kLinearGrowth);
  const Graph small = optimized(kSteps), large = optimized(8 * kSteps);
  EXPECT_LT(test::growth([&](int n) { lower(n == kSteps ? small : large); }, kSteps),
            test::kLinearGrowth);
  EXPECT_EQ(lower(small).kernels.size(), lower(large).kernels.size());
}

}  // namespace
}  // namespace weir
