#include "compiler/lowering/prepare_kernels.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "compiler/lowering/apply_panels.h"
#include "compiler/lowering/cut_copies.h"
#include "compiler/lowering/frame_windows.h"
#include "compiler/lowering/order_rows.h"
#include "compiler/lowering/part_results.h"
#include "compiler/lowering/place_panels.h"
#include "compiler/lowering/split_groups.h"
#include "compiler/lowering/split_residues.h"

namespace weir {

namespace {

// The copies that framed parameters are, with their dimensions in the order in which the kernel reads them.
std::vector<PackedCopy> framed_copies(BuiltKernel& built, const std::vector<FramedWindow>& framed) {
  std::vector<PackedCopy> copies;
  std::vector<std::vector<std::uint32_t>> orders(built.kernel.parameters.size());
  for (const FramedWindow& window : framed)
    orders[window.parameter] = order_of_framed(built.kernel, window.parameter);
  reorder_dimensions(built.kernel, orders);
  for (const FramedWindow& window : framed) {
    PackedCopy copy{built.values[window.source], window.parameter,
                    built.kernel.parameters[window.parameter].type, orders[window.parameter]};
    for (std::uint32_t i = 0; copy.order.size() < window.low.size(); ++i) copy.order.push_back(i);
    for (std::uint32_t dimension : copy.order) copy.low.push_back(window.low[dimension]);
    copies.push_back(std::move(copy));
  }
  return copies;
}

}  // namespace

PreparedKernels prepare_kernels(BuiltKernel built, const Layouts& layouts,
                                const std::function<bool(ValueId)>& is_weight,
                                const Processor& processor) {
  const bool moved = apply_layouts(built, layouts);
  const std::vector<FramedWindow> framed = frame_windows(
      built.kernel, [&](std::uint32_t parameter) { return !is_weight(built.values[parameter]); });
  auto may_copy_in = [&](const BuiltKernel& one) {
    return [&](std::uint32_t parameter) {
      return is_weight(one.values[parameter]) ||
             std::ranges::any_of(
                 framed, [&](const FramedWindow& window) { return window.parameter == parameter; });
    };
  };
  built.values.resize(built.kernel.parameters.size());
  PreparedKernels prepared;
  auto add = [&](BuiltKernel one, const std::vector<FramedWindow>& windows) {
    split_groups(one.kernel);
    split_residues(one.kernel);
    order_rows(one.kernel, may_copy_in(one), moved, processor);
    std::vector<PackedCopy> copies =
        pack_operands(one, is_weight, processor, framed_copies(one, windows));
    if (std::any_of(copies.begin(), copies.end(),
                    [](const PackedCopy& copy) { return copy.panel != 0; }))
      place_panels(one.kernel, processor.core);
    copies = cut_copies(one, is_weight, processor, std::move(copies));
    std::vector<std::int64_t> panels;
    for (ValueId value : one.values) {
      auto layout = layouts.find(value);
      panels.push_back(layout == layouts.end() ? 0 : layout->second.panel);
    }
    apply_panels(one.kernel, panels);
    prepared.kernels.push_back({std::move(one), std::move(copies)});
  };
  std::optional<BuiltKernel> results = part_results(built, may_copy_in(built), moved, processor);
  if (results) prepared.sums = built.kernel.parameters.back().type;
  add(std::move(built), framed);
  if (results) add(std::move(*results), {});
  return prepared;
}

}  // namespace weir
