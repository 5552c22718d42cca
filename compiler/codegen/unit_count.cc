#include "compiler/codegen/unit_count.h"

namespace weir {

llvm::Value* unit_count(llvm::IRBuilder<>& b, SizeArithmetic& sizes, const Schedule& schedule) {
  llvm::Value* units = sizes.i64(1);
  for (const LoopAxis& axis : schedule.rows) {
    const bool is_tiled = schedule.rows_at_once > 1 && schedule.tile_axis(axis.number).has_value();
    if (is_tiled && schedule.tile_axes > 1) continue;
    llvm::Value* count = sizes.dimension(axis.extent);
    if (const std::optional<RowFolds>& across = schedule.kernel.across;
        across && axis.number == across->axis)
      count = quotient_up(b, count, across->chunk);
    else if (is_tiled)
      count = quotient_up(b, count, schedule.rows_at_once);
    units = b.CreateMul(units, count);
  }
  if (!schedule.vector_row) return units;
  const Dim& extent = schedule.vector_row->extent;
  if (extent.is_constant() && extent.value() <= schedule.block)
    return extent.value() == 0 ? sizes.i64(0) : units;
  return b.CreateMul(units, quotient_up(b, sizes.dimension(extent), schedule.block));
}

llvm::Value* quotient_up(llvm::IRBuilder<>& b, llvm::Value* value, std::int64_t divisor) {
  return b.CreateUDiv(b.CreateAdd(value, b.getInt64(static_cast<std::uint64_t>(divisor - 1))),
                      b.getInt64(static_cast<std::uint64_t>(divisor)));
}

}  // namespace weir
