// The part of the kernel emitter that deals with register tiles: units of several rows (see
// Schedule).
//
// The fold runs over all rows of the tile at once and leaves its results in memory; what follows it
// runs row by row, so that its code is there once; without a fold all is done for all rows at once.
// Rows that do not fill a tile are one of their own where their number is known, and otherwise go
// in pairs.

#include <algorithm>

#include "compiler/codegen/kernel_emitter.h"

namespace weir {

// A unit is (outer rows, block of the vector axis, group of rows), the last varying fastest. A tile
// of several axes has no groups: it has all of their points.
void KernelEmitter::emit_tile(llvm::Value* unit) {
  const LoopAxis& axis = schedule_.rows.back();
  const bool has_all = schedule_.tile_axes > 1;
  auto in_parts_of = [&](const Dim& extent, std::int64_t size) {
    return b_.CreateUDiv(b_.CreateAdd(dimension(extent), i64(size - 1)), i64(size));
  };
  const int most = schedule_.rows_at_once;
  llvm::Value *rest = unit, *first = i64(0);
  if (!has_all) {
    llvm::Value* groups = in_parts_of(axis.extent, most);
    rest = primitives_.quotient(unit, groups);
    first = b_.CreateMul(b_.CreateSub(unit, b_.CreateMul(rest, groups)), i64(most));
  }
  const Dim& extent = schedule_.vector_row->extent;
  std::optional<std::int64_t> count = extent.constant();
  llvm::Value* begin = i64(0);
  llvm::Value* end = dimension(extent);
  if (!count || *count > schedule_.block) {
    llvm::Value* blocks = in_parts_of(extent, schedule_.block);
    llvm::Value* outer = primitives_.quotient(rest, blocks);
    begin = b_.CreateMul(b_.CreateSub(rest, b_.CreateMul(outer, blocks)), i64(schedule_.block));
    llvm::Value* block_end = b_.CreateAdd(begin, i64(schedule_.block));
    bool whole = count && *count % schedule_.block == 0;
    if (!whole) block_end = b_.CreateSelect(b_.CreateICmpSLT(block_end, end), block_end, end);
    end = block_end;
    count = whole ? std::optional(schedule_.block) : std::nullopt;
    rest = outer;
  }
  emit_row(rest, schedule_.rows.size() - static_cast<std::size_t>(schedule_.tile_axes));

  auto rows_from = [&](llvm::Value* row, int rows) {
    axes_[axis.number] = row;
    row_ = b_.CreateAdd(b_.CreateMul(rest, has_all ? i64(most) : dimension(axis.extent)), row);
    rows_ = rows;
    unroll_ = rows == 1 ? schedule_.unroll : schedule_.tile_unroll;
    emit_tile_rows(begin, end, count);
    rows_ = 1;
  };
  if (has_all || (axis.extent.is_constant() && axis.extent.value() % most == 0))
    return rows_from(first, most);
  llvm::LLVMContext& context = module_.getContext();
  auto* full = llvm::BasicBlock::Create(context, "full", function_);
  auto* part = llvm::BasicBlock::Create(context, "part", function_);
  auto* after = llvm::BasicBlock::Create(context, "tiled", function_);
  llvm::Value* limit = dimension(axis.extent);
  b_.CreateCondBr(b_.CreateICmpSLE(b_.CreateAdd(first, i64(most)), limit), full, part);
  b_.SetInsertPoint(full);
  rows_from(first, most);
  b_.CreateBr(after);
  b_.SetInsertPoint(part);
  if (axis.extent.is_constant()) {
    rows_from(first, static_cast<int>(axis.extent.value() % most));
  } else {
    llvm::Value* even = b_.CreateAnd(b_.CreateSub(limit, first), i64(-2));
    llvm::Value* last = b_.CreateAdd(first, even);
    loop(first, last, 2, [&](llvm::Value* row) { rows_from(row, 2); });
    loop(last, limit, 1, [&](llvm::Value* row) { rows_from(row, 1); });
  }
  b_.CreateBr(after);
  b_.SetInsertPoint(after);
}

void KernelEmitter::emit_tile_rows(llvm::Value* begin, llvm::Value* end,
                                   std::optional<std::int64_t> count) {
  Scope scope(*this);
  Lanes none;
  none.start = begin;
  for (auto& local : locals_) local.clear();
  for (const Stage& stage : kernel_.stages)
    if (stage.fold) hoist(stage, {}, Level::vector, none);
  vector_loop(begin, end, count, [&](const Lanes& lanes) {
    Scope inner(*this);
    for (auto& local : locals_) local.clear();
    if (rows_ == 1)
      emit_stages(lanes);
    else
      emit_tile_stages(lanes);
    for (auto& local : locals_) local.clear();
  });
}

void KernelEmitter::emit_tile_stages(const Lanes& lanes) {
  if (split_) return emit_partial(*split_, lanes);
  if (std::none_of(kernel_.stages.begin(), kernel_.stages.end(),
                   [](const Stage& stage) { return stage.fold.has_value(); })) {
    for (std::size_t i = 0; i < kernel_.stages.size(); ++i)
      emit_stores(kernel_.stages[i], schedule_.stores[i], lanes);
    return;
  }
  const int rows = rows_;
  // By local and slot: its value for each row.
  std::vector<std::vector<llvm::AllocaInst*>> kept(kernel_.locals.size());
  {
    Scope folds(*this);
    for (const Stage& stage : kernel_.stages) {
      if (!stage.fold) continue;
      Values results = emit_fold(stage, lanes);
      std::uint32_t local = stage.fold->locals[0];
      llvm::Type* type = primitives_.type(kernel_.locals[local], lanes.width);
      for (int k = 0; k < lanes.slots; ++k) {
        kept[local].push_back(slot(type, "row", rows));
        for (int row = 0; row < rows; ++row)
          b_.CreateStore(
              results[static_cast<std::size_t>(row * lanes.slots + k)],
              b_.CreateConstGEP1_64(type, kept[local].back(), static_cast<std::uint64_t>(row)));
      }
    }
  }
  // What has been computed for all rows is not the value of one.
  std::unordered_map<std::uint32_t, Values> for_all;
  for (auto entry = values_.begin(); entry != values_.end();) {
    auto here = entry++;
    if (schedule_.varies_by_row[here->first]) for_all.insert(values_.extract(here));
  }
  const std::unordered_map<std::uint32_t, llvm::Value*> of_tile = axes_;
  rows_ = 1;
  loop(i64(0), i64(rows), 1, [&](llvm::Value* row) {
    Scope one(*this);
    set_tile_row(row);
    for (std::size_t local = 0; local < kept.size(); ++local) {
      for (llvm::AllocaInst* array : kept[local]) {
        llvm::Type* type = array->getAllocatedType();
        locals_[local].push_back(b_.CreateLoad(type, b_.CreateGEP(type, array, row)));
      }
    }
    for (std::size_t i = 0; i < kernel_.stages.size(); ++i)
      if (!kernel_.stages[i].fold) emit_map(kernel_.stages[i], schedule_.stores[i], lanes);
  });
  rows_ = rows;
  axes_ = of_tile;
  values_.merge(for_all);
}

// Goes from the first row of a tile to one of its rows.
void KernelEmitter::set_tile_row(llvm::Value* row) {
  if (schedule_.tile_axes == 1) {
    llvm::Value*& position = axes_.at(schedule_.rows.back().number);
    position = b_.CreateAdd(position, row);
    return;
  }
  for (std::size_t i = schedule_.rows.size();
       i-- > schedule_.rows.size() - static_cast<std::size_t>(schedule_.tile_axes);) {
    const LoopAxis& axis = schedule_.rows[i];
    llvm::Value* above = b_.CreateUDiv(row, dimension(axis.extent));
    axes_[axis.number] = b_.CreateSub(row, b_.CreateMul(above, dimension(axis.extent)));
    row = above;
  }
}

}  // namespace weir
