#include "compiler/lowering/prepare_kernels.h"

#include <optional>
#include <utility>

#include "compiler/lowering/order_rows.h"
#include "compiler/lowering/part_results.h"
#include "compiler/lowering/split_residues.h"

namespace weir {

PreparedKernels prepare_kernels(BuiltKernel built, const Layouts& layouts,
                                const std::function<bool(ValueId)>& is_weight) {
  auto is_weight_in = [&](const BuiltKernel& one) {
    return [&](std::uint32_t parameter) { return is_weight(one.values[parameter]); };
  };
  const bool moved = apply_layouts(built, layouts);
  PreparedKernels prepared;
  auto add = [&](BuiltKernel one) {
    split_residues(one.kernel);
    order_rows(one.kernel, is_weight_in(one), moved);
    std::vector<PackedCopy> copies = pack_operands(one, is_weight);
    prepared.kernels.push_back({std::move(one), std::move(copies)});
  };
  std::optional<BuiltKernel> results = part_results(built, is_weight_in(built), moved);
  if (results) prepared.sums = built.kernel.parameters.back().type;
  add(std::move(built));
  if (results) add(std::move(*results));
  return prepared;
}

}  // namespace weir
