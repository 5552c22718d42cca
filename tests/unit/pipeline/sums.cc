#include "tests/unit/pipeline/sums.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "tests/support/graphs.h"

namespace weir::test {

std::ptrdiff_t row_folds(const Graph& graph, const std::string& cpu,
                         std::optional<std::size_t> sums) {
  CompileOptions options;
  if (!cpu.empty()) options.target = {"x86_64-linux-gnu", cpu, {}};
  const weir::Program program = lower_graph(graph, options);
  return std::ranges::count_if(program.kernels, [&](const Kernel& kernel) {
    return kernel.across && (!sums || kernel.across->sums.size() == *sums);
  });
}

void expect_equal(const Graph& graph, const std::vector<Dim::Bindings>& sizes, bool special) {
  Generator generator(11);
  std::vector<Inputs> runs;
  for (const Dim::Bindings& bindings : sizes)
    runs.push_back(random_values(graph, graph.inputs(), generator, special, bindings));
  EXPECT_EQ(difference_on_levels(graph, {}, runs), std::nullopt);
}

std::vector<Dim::Bindings> rows_of(std::initializer_list<std::int64_t> counts) {
  std::vector<Dim::Bindings> sizes;
  for (std::int64_t rows : counts) sizes.push_back({{"N", rows}});
  return sizes;
}

}  // namespace weir::test
