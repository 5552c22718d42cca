// Sums that another kernel turns, in panels and as they lie: on both sides of half of the second
// cache, of the core that all have and of this machine's. Against the interpreter, bit for bit.
#include <array>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/graphs.h"
#include "tests/unit/pipeline/compiled.h"
#include "tests/unit/pipeline/random_program.h"

namespace weir::test {
namespace {

void expect_turned(const std::string& text, std::span<const Dim::Bindings> calls) {
  const Graph graph = parse(text);
  Generator generator(13);
  std::vector<Inputs> runs;
  for (const Dim::Bindings& bindings : calls)
    runs.push_back(random_values(graph, graph.inputs(), generator, false, bindings));
  const Weights weights = random_values(graph, graph.params(), generator, false, calls.front());
  EXPECT_EQ(difference_on_levels(graph, weights, runs), std::nullopt) << print(graph);
}

// The filters' gradient, and what updates them.
TEST(TurnedSums, OfFilters) {
  const Dim::Bindings none;
  for (const auto& [channels, filters] :
       {std::pair{30, 192}, {48, 192}, {64, 128}, {128, 256}, {96, 288}})
    for (int kernel : {2, 3})
      expect_turned(fmt::format("graph @w(%x: f32[1, {0}, 3, 4], %g: f32[1, {1}, {3}, {4}], %w: "
                                "f32[{1}, {0}, {2}, {2}]) -> (f32[{1}, {0}, {2}, {2}]) {{ "
                                "%d = conv_filter_gradient(%x, %g) {{kernel = [{2}, {2}]}} "
                                "%y = sub(%w, %d) return %y }}",
                                channels, filters, kernel, 4 - kernel, 5 - kernel),
                    std::span(&none, 1));
}

// Images, for a batch that is known and for every batch, with what follows, and with strides.
TEST(TurnedSums, OfImages) {
  const std::array<Dim::Bindings, 2> calls{{{{"N", 1}}, {{"N", 2}}}};
  for (int filters : {64, 144})
    for (const char* batch : {"1", "N"})
      for (const char* window : {"low = [1, 1], high = [1, 1]", "strides = [2, 2]"}) {
        const bool strides = window[0] == 's';
        const int out = strides ? 23 : 48;
        expect_turned(
            fmt::format("graph @c(%x: f32[{0}, 6, 48, 48], %w: f32[{1}, 6, 3, 3], %b: f32[{1}], "
                        "%r: f32[{0}, {1}, {2}, {2}]) -> (f32[{0}, {1}, {2}, {2}]) {{ "
                        "%c = conv(%x, %w, %b) {{{3}}} %s = add(%c, %r) "
                        "%y = leaky_relu(%s) return %y }}",
                        batch, filters, out, window),
            std::span(calls).first(batch[0] == 'N' ? 2 : 1));
      }
}

}  // namespace
}  // namespace weir::test
