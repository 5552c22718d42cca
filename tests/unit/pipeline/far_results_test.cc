// Products whose results are more than the second cache holds beside few steps: units are whole rows
// of them, and results those of the product whose rows are known only at the call, which goes block
// by block of the columns.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compiler/codegen/object.h"
#include "compiler/lowering/schedule.h"
#include "tests/support/graphs.h"
#include "tests/unit/pipeline/compiled.h"

namespace weir::test {
namespace {

// As a gradient of weights and their update. Columns leave a part of a tile, and rows a part of a
// group.
Graph update(const char* rows, int columns, int steps) {
  return parse(fmt::format(
      "graph @u(%x: f32[{2}, {1}], %g: f32[{2}, {0}], %w: f32[{0}, {1}]) -> (f32[{0}, {1}]) {{ "
      "%d = matmul(%g, %x) {{transpose_a = true}} %y = sub(%w, %d) return %y }}",
      rows, columns, steps));
}

TEST(FarResults, AreWrittenRowByRow) {
  for (int steps : {1, 3, 20}) {
    Graph known = update("605", 1030, steps);
    Generator generator(7);
    Inputs inputs = random_values(known, known.inputs(), generator, false, {});
    for (const VectorLevel& level : vector_levels()) {
      Executable whole = compile(Program{update("M", 1030, steps), {}, {}}, {level});
      std::vector<Tensor> operands;
      for (const auto& [name, type] : whole.inputs()) operands.push_back(inputs.at(name));
      EXPECT_EQ(difference_compiled(Program{known, {}, inputs}, {level}, whole.run(operands),
                                    test_executors()),
                std::nullopt)
          << level.name() << ", " << steps;
    }
  }
}

// Not of results that stay near, nor beside columns that do not.
TEST(FarResults, BesideNearColumns) {
  struct Case {
    const char* rows;
    int columns, steps;
    bool are_whole;
  };
  for (const auto& [rows, columns, steps, are_whole] : {Case{"1024", 1024, 8, true},
                                                        {"1024", 1024, 1, true},
                                                        {"256", 256, 8, false},
                                                        {"1024", 1024, 1024, false},
                                                        {"16", 65536, 1, false},
                                                        {"M", 1024, 8, false}}) {
    CompileOptions options;
    options.target = {"x86_64-linux-gnu", "x86-64-v4", ""};
    const weir::Program program = lower_graph(update(rows, columns, steps), options);
    const Schedule schedule =
        make_schedule(program.kernels.back(), resolve_target(options.target).processor());
    EXPECT_EQ(schedule.block >= columns, are_whole) << rows << ", " << columns << ", " << steps;
  }
}

}  // namespace
}  // namespace weir::test
