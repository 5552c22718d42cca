#include "compiler/lowering/prepare_kernels.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "compiler/lowering/apply_panels.h"
#include "compiler/lowering/cut_copies.h"
#include "compiler/lowering/cut_sums.h"
#include "compiler/lowering/fold_across.h"
#include "compiler/lowering/frame_windows.h"
#include "compiler/lowering/keep_guards.h"
#include "compiler/lowering/leave_out_frames.h"
#include "compiler/lowering/order_rows.h"
#include "compiler/lowering/pack_windows.h"
#include "compiler/lowering/part_results.h"
#include "compiler/lowering/place_panels.h"
#include "compiler/lowering/split_groups.h"
#include "compiler/lowering/split_parts.h"
#include "compiler/lowering/split_residues.h"
#include "compiler/lowering/spread_rows.h"

namespace weir {

namespace {

// The copies that framed parameters are, with their dimensions in the order in which the kernel
// reads them.
std::vector<PackedCopy> framed_copies(BuiltKernel& built, const std::vector<FramedWindow>& framed) {
  std::vector<PackedCopy> copies;
  std::vector<std::vector<std::uint32_t>> orders(built.kernel.parameters.size());
  for (const FramedWindow& window : framed)
    orders[window.parameter] = order_of_framed(built.kernel, window.parameter);
  reorder_dimensions(built.kernel, orders);
  for (const FramedWindow& window : framed)
    copies.push_back(framed_copy(built, window, orders[window.parameter]));
  return copies;
}

// Whether the kernel is a product of so many rows and columns that its operands may be cut.
bool may_be_cut(const Kernel& kernel) {
  if (kernel.rows.size() != 2) return false;
  bool folds = false, is_large = false;
  for (const Stage& stage : kernel.stages) folds = folds || (stage.fold && stage.digits.empty());
  for (const Dim& dim : kernel.rows)
    is_large = is_large || dim.constant().value_or(0) >= kFarColumns;
  return folds && is_large;
}

// The parameter of a kernel that is the value, read or written.
std::optional<std::uint32_t> parameter_of(const BuiltKernel& built, ValueId value, bool written) {
  for (std::uint32_t i = 0; i < built.values.size(); ++i)
    if (built.values[i] == value && built.kernel.parameters[i].written == written) return i;
  return std::nullopt;
}

// Of a kernel that reads values as they lie in memory, with frames around what may be copied, or
// without.
PreparedKernels prepare(BuiltKernel built, const Layouts& layouts, bool moved, bool may_frame,
                        const std::function<bool(ValueId)>& is_weight, const Processor& processor) {
  const std::vector<FramedWindow> framed = frame_windows(
      built.kernel,
      [&](std::uint32_t parameter) { return may_frame && !is_weight(built.values[parameter]); });
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
    split_parts(one.kernel, processor.vectors);
    std::vector<PackedCopy> copies =
        pack_operands(one, is_weight, processor, framed_copies(one, windows));
    if (std::any_of(copies.begin(), copies.end(),
                    [](const PackedCopy& copy) { return copy.panel != 0; }))
      place_panels(one.kernel, processor.core);
    copies = cut_copies(one, is_weight, processor, std::move(copies));
    for (PackedCopy& copy : copies) spread_rows(one.kernel, copy, processor);
    std::vector<std::int64_t> panels;
    for (ValueId value : one.values) {
      auto layout = layouts.find(value);
      panels.push_back(layout == layouts.end() ? 0 : layout->second.panel);
    }
    apply_panels(one.kernel, panels);
    leave_out_frames(one, copies, is_weight);
    prepared.kernels.push_back({std::move(one), std::move(copies)});
  };
  std::optional<BuiltKernel> results = part_results(built, may_copy_in(built), moved, processor);
  const auto read = static_cast<std::uint32_t>(built.kernel.parameters.size() - 1);
  add(std::move(built), framed);
  if (!results) return prepared;
  // It writes nothing but the sums.
  Kernel& contraction = prepared.kernels.front().built.kernel;
  const auto sums = static_cast<std::uint32_t>(
      std::ranges::find(contraction.parameters, true, &KernelParameter::written) -
      contraction.parameters.begin());
  cut_sums(contraction, sums, results->kernel, read, processor.core);
  prepared.sums = contraction.parameters[sums].type;
  add(std::move(*results), {});
  return prepared;
}

// Whether a frame is all that a kernel's copies change of how values lie.
bool only_frames(const PreparedKernels& prepared) {
  return prepared.kernels.size() == 1 &&
         std::ranges::any_of(prepared.kernels[0].copies, [](const PackedCopy& copy) {
           return !copy.low.empty() && copy.panel == 0 && std::ranges::is_sorted(copy.order);
         });
}

}  // namespace

Layouts choose_panels(const std::vector<const BuiltKernel*>& kernels, const Layouts& layouts,
                      const std::function<bool(ValueId)>& is_free,
                      const std::function<bool(ValueId)>& is_weight, const Processor& processor) {
  Layouts chosen;
  // A sum over the rows is one of the kernel that stores the value, as a rule (fold_across.h).
  auto others_read = [&](ValueId value, const BuiltKernel& reader) {
    return std::ranges::any_of(kernels, [&](const BuiltKernel* other) {
      return other != &reader && parameter_of(*other, value, false) && !find_row_sum(other->kernel);
    });
  };
  auto is_stored_along = [&](ValueId value, std::int64_t panel) {
    const auto writer = std::ranges::find_if(kernels, [&](const BuiltKernel* one) {
      return parameter_of(*one, value, true).has_value();
    });
    return writer != kernels.end() && (*writer)->kernel.rows.size() == 2 &&
           runs_along_panels((*writer)->kernel, *parameter_of(**writer, value, true), panel);
  };
  for (const BuiltKernel* reader : kernels) {
    if (!may_be_cut(reader->kernel)) continue;
    const PreparedKernels prepared = prepare_kernels(*reader, layouts, is_weight, processor);
    if (prepared.kernels.size() != 1) continue;
    const std::vector<PackedCopy>& copies = prepared.kernels[0].copies;
    for (const PackedCopy& copy : copies) {
      const bool is_only = std::ranges::count(copies, copy.source, &PackedCopy::source) == 1 &&
                           !parameter_of(prepared.kernels[0].built, copy.source, false);
      if (copy.panel == 0 || !copy.low.empty() || !std::ranges::is_sorted(copy.order) || !is_only ||
          layouts.contains(copy.source) || !is_free(copy.source) ||
          others_read(copy.source, *reader) || !is_stored_along(copy.source, copy.panel))
        continue;
      chosen.emplace(copy.source, MemoryLayout{copy.order, copy.panel});
    }
  }
  return chosen;
}

PreparedKernels prepare_kernels(BuiltKernel built, const Layouts& layouts,
                                const std::function<bool(ValueId)>& is_weight,
                                const Processor& processor) {
  const bool moved = apply_layouts(built, layouts);
  PreparedKernels framed = prepare(built, layouts, moved, true, is_weight, processor);
  if (!may_keep_guards(processor) || !only_frames(framed)) return framed;
  PreparedKernels guarded = prepare(std::move(built), layouts, moved, false, is_weight, processor);
  const bool keeps =
      guarded.kernels.size() == 1 && keeps_guards(guarded.kernels[0].built.kernel, processor);
  return keeps ? guarded : framed;
}

}  // namespace weir
