#include "compiler/lowering/choose_panel.h"

#include <algorithm>
#include <bit>

#include "compiler/lowering/choose_tile.h"
#include "ir/scalar/affine.h"

namespace weir {
namespace {

using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// Groups of rows that share a panel, at least.
constexpr std::int64_t kPanelGroups = 8;
// An operand of fewer bytes stays in the second cache as it lies.
constexpr std::int64_t kFarBytes = std::int64_t{1} << 19;
// What a panel may take: more would be read from memory again by every group.
constexpr std::int64_t kMostPanelBytes = std::int64_t{1} << 20;
constexpr std::int64_t kAnySize = INT64_MAX;

// The one fold of a kernel, if its steps are a loop that all of them have part in.
const Stage* only_fold(const Schedule& schedule) {
  const Stage* found = nullptr;
  for (const Stage& stage : schedule.kernel.stages) {
    if (!stage.fold) continue;
    if (found != nullptr) return nullptr;
    found = &stage;
  }
  if (found == nullptr || !found->digits.empty() || !found->fold->partials.empty() ||
      found->fold->order != Reduction::Order::chain || step_condition(schedule.kernel, *found->fold))
    return nullptr;
  return found;
}

// The value of a step that changes from column to column and is the same for all rows, if there is one such value.
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

}  // namespace

void choose_panel(Schedule& schedule) {
  if (schedule.rows_at_once < 2 || schedule.tile_axes != 1 || schedule.overlap) return;
  const Kernel& kernel = schedule.kernel;
  const Stage* stage = only_fold(schedule);
  if (stage == nullptr) return;
  std::optional<Id> operand = shared_operand(schedule, *stage->fold);
  if (!operand || kernel.arena[*operand].primitive != Primitive::load) return;
  const KernelParameter& parameter = kernel.parameters[kernel.arena[*operand].payload];
  const Access& access = schedule.loads.at(operand->index);
  if (parameter.written || parameter.type.dtype == DType::boolean ||
      access.kind != Access::Kind::contiguous || !access.inside.valid())
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
  panel.groups = kPanelGroups;
  panel.pays = {
      {schedule.rows.back().extent, kPanelGroups * schedule.rows_at_once, kAnySize},
      {stride, schedule.block + 1, kAnySize},
      {steps * stride * Dim(size), kFarBytes, kAnySize},
      {panel.bytes, 0, kMostPanelBytes},
  };
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
  for (const Kernel& kernel : program.kernels) {
    const bool folds = std::any_of(kernel.stages.begin(), kernel.stages.end(),
                                   [](const Stage& stage) { return stage.fold.has_value(); });
    if (folds) most = std::max(most, panel_bytes(make_schedule(kernel, target), bindings));
  }
  return most;
}

}  // namespace weir
