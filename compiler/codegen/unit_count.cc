#include "compiler/codegen/unit_count.h"

namespace weir {

namespace {

// Groups of rows of axes first ... last - 1.
llvm::Value* row_units(llvm::IRBuilder<>& b, const DimensionValue& dimension,
                       const Schedule& schedule, std::size_t first, std::size_t last) {
  llvm::Value* units = b.getInt64(1);
  for (std::size_t i = first; i < last; ++i) {
    const LoopAxis& axis = schedule.rows[i];
    const bool is_tiled = schedule.rows_at_once > 1 && schedule.tile_axis(axis.number).has_value();
    if (is_tiled && schedule.tile_axes > 1) continue;
    llvm::Value* count = dimension(axis.extent);
    if (const std::optional<RowFolds>& across = schedule.kernel.across;
        across && axis.number == across->axis && !schedule.folds_outside())
      count = quotient_up(b, count, across->chunk);
    else if (is_tiled)
      count = quotient_up(b, count, schedule.rows_at_once);
    units = b.CreateMul(units, count);
  }
  return units;
}

// `units` in each block of the vector axis.
llvm::Value* in_blocks(llvm::IRBuilder<>& b, const DimensionValue& dimension,
                       const Schedule& schedule, llvm::Value* units) {
  if (!schedule.vector_row) return units;
  const Dim& extent = schedule.vector_row->extent;
  if (extent.is_constant() && extent.value() <= schedule.block)
    return extent.value() == 0 ? b.getInt64(0) : units;
  return b.CreateMul(units, quotient_up(b, dimension(extent), schedule.block));
}

}  // namespace

llvm::Value* unit_count(llvm::IRBuilder<>& b, const DimensionValue& dimension,
                        const Schedule& schedule) {
  llvm::Value* units = row_units(b, dimension, schedule, 0, schedule.rows_of_units());
  return schedule.folds_outside() ? units : in_blocks(b, dimension, schedule, units);
}

llvm::Value* parts_of_unit(llvm::IRBuilder<>& b, const DimensionValue& dimension,
                           const Schedule& schedule) {
  return in_blocks(
      b, dimension, schedule,
      row_units(b, dimension, schedule, schedule.rows_of_units(), schedule.rows.size()));
}

llvm::Value* quotient_up(llvm::IRBuilder<>& b, llvm::Value* value, std::int64_t divisor) {
  return b.CreateUDiv(b.CreateAdd(value, b.getInt64(static_cast<std::uint64_t>(divisor - 1))),
                      b.getInt64(static_cast<std::uint64_t>(divisor)));
}

}  // namespace weir
