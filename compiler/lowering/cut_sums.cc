#include "compiler/lowering/cut_sums.h"

#include <optional>
#include <vector>

#include "compiler/lowering/apply_panels.h"
#include "compiler/lowering/estimated_size.h"

namespace weir {
namespace {

using scalar::Id;
using scalar::Primitive;

// Of how many columns the panels are: 0 where the sums stay as they are.
std::int64_t panel_of_sums(const Kernel& kernel, std::uint32_t sums, const Core& core) {
  if (kernel.rows.empty()) return 0;
  const TensorType& type = kernel.parameters[sums].type;
  const std::int64_t panel = kernel.rows.back().constant().value_or(0),
                     columns = type.shape.back().constant().value_or(0);
  if (panel <= 0 || panel >= columns || columns % panel != 0 ||
      !runs_along_panels(kernel, sums, panel))
    return 0;
  const double bytes = estimated_elements(type.shape) * byte_size(type.dtype);
  return bytes > static_cast<double>(core.second.bytes) / 2 ? panel : 0;
}

// The row axis that is the last index of all that a kernel reads of a parameter.
std::optional<std::uint32_t> axis_along(const Kernel& kernel, std::uint32_t parameter) {
  std::optional<std::uint32_t> along;
  for (Id id : scalar::reachable(kernel.arena, roots_of(kernel))) {
    if (!scalar::is_load(kernel.arena[id].primitive) || kernel.arena[id].payload != parameter)
      continue;
    const scalar::Node& last = kernel.arena[kernel.arena.load_indices(id).back()];
    if (last.primitive != Primitive::axis || last.payload >= kernel.rows.size()) return {};
    const auto axis = static_cast<std::uint32_t>(last.payload);
    if (along.value_or(axis) != axis) return {};
    along = axis;
  }
  return along;
}

void apply_panel(Kernel& kernel, std::uint32_t parameter, std::int64_t panel) {
  std::vector<std::int64_t> panels(parameter + 1);
  panels[parameter] = panel;
  apply_panels(kernel, panels);
}

}  // namespace

void cut_sums(Kernel& contraction, std::uint32_t written, Kernel& results, std::uint32_t read,
              const Core& core) {
  const std::int64_t panel = panel_of_sums(contraction, written, core);
  const std::optional<std::uint32_t> along = axis_along(results, read);
  if (panel == 0 || !along ||
      results.rows[*along] != contraction.parameters[written].type.shape.back())
    return;
  apply_panel(contraction, written, panel);
  const std::size_t rows = results.rows.size();
  apply_panel(results, read, panel);
  // What turns them has its vectors along another axis, or it is cut already.
  if (results.rows.size() == rows)
    cut_row(results, *along, {Dim(results.rows[*along].value() / panel), Dim(panel)},
            {Dim(panel), Dim(1)});
}

}  // namespace weir
