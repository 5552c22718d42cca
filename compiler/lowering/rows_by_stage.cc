#include "compiler/lowering/rows_by_stage.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>

namespace weir {
namespace {

constexpr int kRows = 8;
// With more vectors to a row there is enough to do in each stage: docs/decisions/short-rows.md.
constexpr int kMostVectors = 8;

}  // namespace

int rows_by_stage(const Schedule& schedule) {
  const Kernel& kernel = schedule.kernel;
  const bool in_vectors = schedule.width > 1 && !schedule.vector_row && schedule.rows_at_once == 1;
  if (!in_vectors || schedule.rows.empty() || schedule.panel || kernel.across) return 1;
  // A stage waits for the fold before it.
  const auto fold = std::ranges::find_if(kernel.stages,
                                         [](const Stage& stage) { return stage.fold.has_value(); });
  if (fold == kernel.stages.end() || std::next(fold) == kernel.stages.end()) return 1;
  for (const Stage& stage : kernel.stages) {
    if (stage.fold && !stage.fold->partials.empty()) return 1;
    if (!stage.axis) continue;
    const std::optional<std::int64_t> extent = kernel.arena.axis_extent(*stage.axis).constant();
    if (!extent || *extent > kMostVectors * schedule.width) return 1;
  }
  return kRows;
}

}  // namespace weir
