#include "compiler/lowering/find_levels.h"

#include <algorithm>

namespace weir {

using scalar::Id;
using scalar::Primitive;

Level level_of(const Kernel& kernel, std::uint32_t axis) {
  for (const Stage& stage : kernel.stages) {
    if (stage.axis == axis) return Level::stage;
    auto digit = std::find(stage.digits.begin(), stage.digits.end(), axis);
    if (digit != stage.digits.end())
      return digit + 1 == stage.digits.end() ? Level::stage : Level::window;
  }
  return Level::row;
}

bool is_vector_axis(const Schedule& schedule, bool along_stages, std::uint32_t axis) {
  if (schedule.vector_row) return axis == schedule.vector_row->number;
  if (!along_stages) return false;
  return std::any_of(schedule.kernel.stages.begin(), schedule.kernel.stages.end(),
                     [&](const Stage& stage) { return stage.axis == axis; });
}

void find_levels(Schedule& schedule, bool along_stages) {
  const scalar::Arena& arena = schedule.kernel.arena;
  const std::size_t size = arena.size();
  schedule.levels.assign(size, Level::call);
  schedule.varies.assign(size, false);
  schedule.varies_by_row.assign(size, false);
  schedule.kernel.locations.resize(size);
  // An address may have been made after the load that uses it, so one ascending sweep is not
  // enough; levels only grow, and each sweep settles one more depth of loads in addresses of
  // loads.
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t i = 0; i < size; ++i) {
      const Id id{static_cast<std::uint32_t>(i)};
      const scalar::Node& node = arena[id];
      Level level = Level::call;
      bool varies = false, by_row = false;
      auto join = [&](Id other) {
        level = std::max(level, schedule.levels[other.index]);
        varies = varies || schedule.varies[other.index];
        by_row = by_row || schedule.varies_by_row[other.index];
      };
      if (node.primitive == Primitive::axis) {
        const std::uint32_t axis = static_cast<std::uint32_t>(node.payload);
        varies = is_vector_axis(schedule, along_stages, axis);
        by_row = schedule.tile_axis(axis).has_value();
        level = schedule.vector_row && axis == schedule.vector_row->number
                    ? Level::vector
                    : level_of(schedule.kernel, axis);
      } else if (node.primitive == Primitive::local) {
        level = schedule.vector_row ? Level::vector : Level::row;
        varies = schedule.vector_row.has_value();
        by_row = !schedule.rows.empty();
      } else if (scalar::is_load(node.primitive)) {
        for (Id operand : arena.value_operands(id)) join(operand);
        auto access = schedule.loads.find(id.index);
        if (access != schedule.loads.end()) {
          join(access->second.offset);
          // What a stage writes it reads anew at every step.
          if (schedule.kernel.parameters[node.payload].written)
            level = std::max(level, Level::stage);
          if (access->second.kind != Access::Kind::uniform) {
            level = std::max(level, schedule.vector_row ? Level::vector : Level::stage);
            varies = true;
          }
        }
      } else {
        for (Id operand : arena.operands(id)) join(operand);
      }
      changed = changed || schedule.levels[i] != level || schedule.varies[i] != varies ||
                schedule.varies_by_row[i] != by_row;
      schedule.levels[i] = level;
      schedule.varies[i] = varies;
      schedule.varies_by_row[i] = by_row;
    }
  }
}

}  // namespace weir
