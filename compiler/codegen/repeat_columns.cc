#include "compiler/codegen/repeat_columns.h"

#include <algorithm>
#include <vector>

#include "compiler/lowering/memory_plan.h"
#include "compiler/lowering/reads_axis.h"

namespace weir {
namespace {

using scalar::Id;

bool reads_along_steps(const Schedule& schedule) {
  return std::ranges::any_of(schedule.loads,
                             [](const auto& load) { return load.second.along_steps; });
}

std::vector<Id> results_of(const Kernel& kernel) {
  std::vector<Id> results;
  for (const Stage& stage : kernel.stages)
    for (const Store& store : stage.stores) results.push_back(store.value);
  return results;
}

// Whether a fold reads anything of a column's own: what does not depend on its steps.
bool folds_own(const Schedule& schedule, const Stage& stage) {
  const scalar::Arena& arena = schedule.kernel.arena;
  std::vector<std::uint32_t> axes = stage.digits;
  axes.push_back(*stage.axis);
  return std::ranges::any_of(scalar::reachable(arena, stage.fold->elements), [&](Id id) {
    return scalar::is_load(arena[id].primitive) && schedule.varies[id.index] &&
           std::ranges::none_of(axes,
                                [&](std::uint32_t axis) { return reads_axis(arena, id, axis); });
  });
}

// Whether a result may lie where a load reads.
bool may_be_overwritten(const Kernel& kernel, Id load) {
  const auto source = static_cast<std::uint32_t>(kernel.arena[load].payload);
  for (std::uint32_t target = 0; target < kernel.parameters.size(); ++target)
    if (kernel.parameters[target].written && can_overwrite(kernel, source, target)) return true;
  return false;
}

// No stage reads what the kernel writes, nor anything of a column's own that may lie where its
// result goes, which is there already when it is worked out once more. A bias does not.
bool may_repeat(const Schedule& schedule) {
  const Kernel& kernel = schedule.kernel;
  if (kernel.across || schedule.panel || !kernel.stages.front().fold) return false;
  for (const Stage& stage : kernel.stages) {
    if (stage.fold ? stage.fold->order != Reduction::Order::chain || !stage.fold->partials.empty()
                   : stage.axis.has_value())
      return false;
    if (stage.fold && folds_own(schedule, stage)) return false;
  }
  auto is_load = [&](Id id) { return scalar::is_load(kernel.arena[id].primitive); };
  return std::ranges::none_of(scalar::reachable(kernel.arena, roots_of(kernel)),
                              [&](Id id) {
                                return is_load(id) &&
                                       kernel.parameters[kernel.arena[id].payload].written;
                              }) &&
         std::ranges::none_of(scalar::reachable(kernel.arena, results_of(kernel)), [&](Id id) {
           return is_load(id) && schedule.varies[id.index] && may_be_overwritten(kernel, id);
         });
}

}  // namespace

bool repeats_columns(const Schedule& schedule, std::int64_t columns, std::int64_t rows) {
  const std::int64_t vectors = schedule.tile_unroll;
  const std::int64_t left = columns % (schedule.width * vectors);
  if (schedule.width == 1 || left == 0 || columns < schedule.width * vectors) return false;
  const std::int64_t singles = (left + schedule.width - 1) / schedule.width;
  const bool is_sooner =
      singles * std::max(rows, kFieldsInTime) > std::max(rows * vectors, kFieldsInTime);
  // Of a row in blocks of a vector each the last one takes no longer without a mask; nor does a
  // vector of a tile that slides, beside narrower ones, which have fewer units on some cores while
  // whole ones are under way.
  const bool is_block = vectors == 1 && (schedule.block == schedule.width || schedule.slides);
  const bool needs_mask = left % schedule.width != 0;
  return (is_sooner || (needs_mask && (is_block || reads_along_steps(schedule)))) &&
         may_repeat(schedule);
}

bool shares_columns(const Schedule& schedule, std::int64_t columns) {
  return columns > schedule.width && columns % schedule.width != 0 &&
         std::ranges::none_of(schedule.loads,
                              [](const auto& load) { return is_near(load.second); }) &&
         may_repeat(schedule);
}

bool repeats_rows(const Schedule& schedule) {
  const Kernel& kernel = schedule.kernel;
  if (kernel.across || schedule.rows_at_once != schedule.width) return false;
  if (std::ranges::any_of(kernel.stages, [](const Stage& stage) { return stage.fold.has_value(); }))
    return false;
  bool any = false;
  for (Id id : scalar::reachable(kernel.arena, results_of(kernel))) {
    if (!scalar::is_load(kernel.arena[id].primitive)) continue;
    const bool is_turned = schedule.loads.at(id.index).along_rows;
    any = any || is_turned;
    // What is a result's own may lie where that goes.
    if (kernel.parameters[kernel.arena[id].payload].written ||
        (schedule.varies[id.index] && !is_turned))
      return false;
  }
  return any;
}

}  // namespace weir
