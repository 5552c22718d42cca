// Maps that are done in squares: where the results of neighbours along another axis share a line,
// these follow one another for a part of the turned axis. On both sides of the sizes from which
// that is done, for types of every size, against the interpreter, bit for bit.
#include <algorithm>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compiler/codegen/object.h"
#include "compiler/lowering/schedule.h"
#include "tests/support/graphs.h"
#include "tests/unit/pipeline/compiled.h"

namespace weir::test {
namespace {

// Images that lie beside one another become ones that follow one another.
Graph turned(std::int64_t channels, std::int64_t images, const std::string& type) {
  return parse(fmt::format(
      "graph @turned(%x: {2}[{0}, 3, 5, {1}], %b: {2}[{0}]) -> ({2}[{1}, 3, 5, {0}]) {{ "
      "%t = transpose(%x) {{permutation = [3, 1, 2, 0]}} %s = add(%t, %b) "
      "%y = leaky_relu(%s) return %y }}",
      channels, images, type));
}

// The axes that the only kernel's rows are, outermost first, without that of the vectors.
std::vector<Dim> rows(const Graph& graph) {
  CompileOptions options;
  options.target.cpu = "x86-64-v3";
  const weir::Program program = lower_graph(graph, options);
  const Schedule schedule =
      make_schedule(program.kernels.at(0), resolve_target(options.target).processor());
  std::vector<Dim> extents;
  for (const LoopAxis& row : schedule.rows) extents.push_back(row.extent);
  return extents;
}

void expect_equal(const Graph& graph) {
  Generator generator(5);
  const std::vector<Inputs> runs{random_values(graph, graph.inputs(), generator, false, {})};
  EXPECT_EQ(difference_on_levels(graph, {}, runs), std::nullopt) << print(graph);
}

TEST(TurnedMaps, InParts) {
#ifdef __x86_64__
  const std::vector<Dim> parts{4, 15, 16}, whole{15, 64};
  EXPECT_EQ(rows(turned(8, 64, "f32")), parts);
  // Each result has lines of its own; no whole parts.
  EXPECT_EQ(rows(turned(16, 64, "f32")), whole);
  EXPECT_EQ(rows(turned(8, 40, "f32")), (std::vector<Dim>{15, 40}));
#endif
  for (const char* type : {"f32", "f64", "f16"})
    for (std::int64_t channels : {2, 5, 8, 9, 16})
      for (std::int64_t images : {16, 32, 40, 64}) expect_equal(turned(channels, images, type));
}

}  // namespace
}  // namespace weir::test
