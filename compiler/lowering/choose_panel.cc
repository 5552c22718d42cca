#include "compiler/lowering/choose_panel.h"

#include <algorithm>
#include <bit>

#include "compiler/lowering/band_calls.h"
#include "compiler/lowering/choose_tile.h"
#include "ir/scalar/affine.h"

namespace weir {
namespace {

using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// Groups of rows that share a panel, at least: of an operand that the second cache may keep as it
// lies, and of one that it does not keep.
constexpr std::int64_t kPanelGroups = 8, kPanelGroupsAfar = 4;
constexpr std::int64_t kAnySize = INT64_MAX;
// An operand of fewer bytes stays in the second cache as it lies.
std::int64_t far_bytes(const Core& core) { return core.second.bytes; }
// Whether the second cache does not keep a tile's columns from group to group, for their steps are
// so far apart that they share too few sets.
bool shares_sets(const Cache& cache, const Dim& steps, const Dim& bytes_apart) {
  if (!steps.is_constant() || !bytes_apart.is_constant() || bytes_apart.value() == 0) return false;
  return steps.value() > cache.lines_kept(bytes_apart.value());
}
// What a panel may take: of more than twice the second cache every group would read most from
// memory again.
std::int64_t most_panel_bytes(const Core& core) { return 2 * core.second.bytes; }
// A transposed copy of fewer bytes, a quarter of the second cache, stays in the near caches.
std::int64_t copied_bytes(const Core& core) { return core.second.bytes / 4; }
// What a panel that turns its operand may take, whose columns are those of kTurnedVectors vectors:
// half of the second cache; and the rows that read it, at least, so that they are a tile's.
std::int64_t most_turned_bytes(const Core& core) { return core.second.bytes / 2; }
constexpr std::int64_t kTurnedVectors = 4;
constexpr std::int64_t kTurnedRows = 32;

// The one fold of a kernel, if its steps are a loop that all of them have part in.
const Stage* only_fold(const Schedule& schedule) {
  const Stage* found = nullptr;
  for (const Stage& stage : schedule.kernel.stages) {
    if (!stage.fold) continue;
    if (found != nullptr) return nullptr;
    found = &stage;
  }
  if (found == nullptr || !found->digits.empty() || !found->fold->partials.empty() ||
      found->fold->order != Reduction::Order::chain ||
      step_condition(schedule.kernel, *found->fold))
    return nullptr;
  return found;
}

// The value of a step that changes from column to column and is the same for all rows, if there is
// one such value.
std::optional<Id> shared_operand(const Schedule& schedule, const Fold& fold) {
  const Arena& arena = schedule.kernel.arena;
  std::vector<Id> open(fold.elements), found;
  std::vector<bool> seen(arena.size());
  while (!open.empty()) {
    Id id = open.back();
    open.pop_back();
    if (seen[id.index]) continue;
    seen[id.index] = true;
    if (!schedule.varies[id.index] || schedule.levels[id.index] != Level::stage) continue;
    if (!schedule.varies_by_row[id.index]) {
      found.push_back(id);
      continue;
    }
    for (Id operand : arena.value_operands(id)) open.push_back(operand);
  }
  if (found.size() != 1) return std::nullopt;
  return found.front();
}

// Of a load along the steps: at the places that its vectors have, all of which are whole.
bool is_turned(const Schedule& schedule, const Access& access) {
  const std::optional<std::int64_t> columns = schedule.vector_row->extent.constant();
  return access.along_steps && columns && *columns % schedule.width == 0;
}

// Whether steps of so many bytes for each column are turned by the kernel, as far as the caches
// tell: a block of columns that each worker has in its first cache, and one of several that it has
// in the second, where a transposed copy of all of them would not stay near.
bool turns_so_many(const Core& core, std::int64_t bytes, std::int64_t columns, std::int64_t block) {
  if (bytes * block <= core.first.bytes) return true;
  return columns > block && bytes * block <= most_turned_bytes(core) &&
         bytes * columns >= copied_bytes(core);
}

}  // namespace

bool turns_in_panel(const Kernel& kernel, Id load, const Processor& processor) {
  const Arena& arena = kernel.arena;
  const DType dtype = arena[load].type;
  const std::int64_t lanes = processor.vectors.lanes(dtype);
  if (arena[load].primitive != Primitive::load || !is_float(dtype) || byte_size(dtype) < 4 ||
      lanes == 1 || kernel.rows.size() < 2 || kernel.stages.empty() || !kernel.stages[0].fold)
    return false;
  const Stage& stage = kernel.stages[0];
  const auto column = static_cast<std::uint32_t>(kernel.rows.size() - 1), row = column - 1;
  const std::optional<std::int64_t> columns = kernel.rows[column].constant(),
                                    steps = arena.axis_extent(*stage.axis).constant();
  const std::int64_t block = kTurnedVectors * lanes;
  if (stage.fold->order != Reduction::Order::chain || stage.fold->locals.size() != 1 ||
      !stage.digits.empty() || step_condition(kernel, *stage.fold) || !columns || !steps ||
      *columns % block != 0 || *steps < lanes ||
      !turns_so_many(processor.core, *steps * byte_size(dtype), *columns, block) ||
      kernel.rows[row].constant().value_or(kTurnedRows) < kTurnedRows)
    return false;
  for (std::size_t i = 1; i < kernel.stages.size(); ++i)
    if (kernel.stages[i].fold) return false;
  // Each of the outer rows has its own, and the rows of a tile share it.
  std::vector<bool> read(kernel.rows.size());
  std::optional<std::uint32_t> innermost;
  for (Id index : arena.load_indices(load)) {
    const scalar::Node& node = arena[index];
    if (arena.is_constant(index)) continue;
    if (node.primitive != Primitive::axis) return false;
    innermost = static_cast<std::uint32_t>(node.payload);
    if (*innermost < read.size()) read[*innermost] = true;
  }
  for (std::uint32_t axis = 0; axis < read.size(); ++axis)
    if (read[axis] == (axis == row)) return false;
  if (innermost != *stage.axis) return false;
  // It is a factor itself, and no other changes from column to column.
  bool is_element = false;
  for (const Id& element : stage.fold->elements) {
    is_element = is_element || element == load;
    if (element == load) continue;
    for (Id id : scalar::reachable(arena, std::span(&element, 1)))
      if (arena[id].primitive == Primitive::axis && arena[id].payload == column) return false;
  }
  return is_element;
}

void choose_panel(Schedule& schedule, const Core& core) {
  if (schedule.rows_at_once < 2 || schedule.tile_axes != 1 || schedule.overlap) return;
  const Kernel& kernel = schedule.kernel;
  const Stage* stage = only_fold(schedule);
  if (stage == nullptr) return;
  std::optional<Id> operand = shared_operand(schedule, *stage->fold);
  if (!operand || kernel.arena[*operand].primitive != Primitive::load) return;
  const KernelParameter& parameter = kernel.parameters[kernel.arena[*operand].payload];
  const Access& access = schedule.loads.at(operand->index);
  const bool turned = is_turned(schedule, access);
  if (parameter.written || parameter.type.dtype == DType::boolean ||
      (access.kind != Access::Kind::contiguous && !turned) || !access.inside.valid())
    return;
  const scalar::Affine inside = scalar::decompose(kernel.arena, access.inside);
  if (inside.terms.size() != 1 || inside.constant != Dim(0)) return;
  const auto& [atom, stride] = inside.terms.front();
  if (kernel.arena[atom].primitive != Primitive::axis || kernel.arena[atom].payload != *stage->axis)
    return;

  Panel panel;
  panel.operand = *operand;
  panel.axis = *stage->axis;
  panel.stride = stride;
  panel.columns = std::int64_t{schedule.width} * schedule.tile_unroll;
  const std::int64_t size = byte_size(parameter.type.dtype);
  if (!std::has_single_bit(static_cast<std::uint64_t>(panel.columns)) ||
      schedule.block % panel.columns != 0 || schedule.block * size % WEIR_ALIGNMENT != 0)
    return;
  const Dim& steps = kernel.arena.axis_extent(*stage->axis);
  panel.bytes = steps * Dim(schedule.block * size);
  panel.turned = turned;
  if (turned) {
    // A single row turns what it reads in registers.
    panel.pays = {{schedule.rows.back().extent, 2, kAnySize}};
    if (panel.bytes.constant().value_or(kAnySize) > most_turned_bytes(core)) return;
  } else {
    const bool afar = shares_sets(core.second, steps, stride * Dim(size));
    panel.groups = afar ? kPanelGroupsAfar : kPanelGroups;
    panel.pays = {
        {schedule.rows.back().extent, panel.groups * schedule.rows_at_once, kAnySize},
        {stride, schedule.block + 1, kAnySize},
        {steps * stride * Dim(size), afar ? 0 : far_bytes(core), kAnySize},
        {panel.bytes, 0, most_panel_bytes(core)},
    };
  }
  auto never = [](const SizeWithin& within) {
    std::optional<std::int64_t> known = within.size.constant();
    return known && (*known < within.least || *known > within.most);
  };
  if (std::any_of(panel.pays.begin(), panel.pays.end(), never)) return;
  std::erase_if(panel.pays, [](const SizeWithin& within) { return within.size.is_constant(); });
  schedule.panel = std::move(panel);
}

std::uint64_t panel_bytes(const Schedule& schedule, const Dim::Bindings& bindings) {
  if (!schedule.panel) return 0;
  for (const SizeWithin& within : schedule.panel->pays) {
    std::optional<std::int64_t> size = within.size.evaluate(bindings);
    if (!size || *size < within.least || *size > within.most) return 0;
  }
  return static_cast<std::uint64_t>(schedule.panel->bytes.evaluate(bindings).value_or(0));
}

std::uint64_t bytes_per_worker(const Program& program, const Target& target,
                               const Dim::Bindings& bindings) {
  std::uint64_t most = 0;
  for (const Bands& bands : program.bands) most = std::max(most, bytes_of_band(bands, bindings));
  for (const Kernel& kernel : program.kernels) {
    const bool folds = std::any_of(kernel.stages.begin(), kernel.stages.end(),
                                   [](const Stage& stage) { return stage.fold.has_value(); });
    if (folds)
      most = std::max(most, panel_bytes(make_schedule(kernel, target.processor()), bindings));
  }
  return most;
}

bool may_need_workspace(const Program& program) {
  auto may_have_panel = [](const Stage& stage) {
    return stage.fold && stage.fold->order == Reduction::Order::chain;
  };
  return !program.slots.empty() || !program.bands.empty() ||
         std::ranges::any_of(program.kernels, [&](const Kernel& kernel) {
           return std::ranges::any_of(kernel.stages, may_have_panel);
         });
}

}  // namespace weir
