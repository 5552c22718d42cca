// The part of the kernel emitter that deals with register tiles: units of several rows (see
// Schedule).
//
// The fold runs over all rows of the tile at once. What follows it is written out for all rows
// where it is little, and otherwise runs row by row, or for as many rows as are stored together, on
// results that the fold leaves in memory, so that its code is there once; without a fold all is
// done for all rows at once.
//
// Where the number of rows is known only at the call, tiles have one of two heights, and the last
// one may reach beyond the last row: it works on that row again instead, and leaves it the same
// values. Without a fold, rows that do not fill a tile go one by one. Where the number is known,
// they are a tile of their own, or share one's rows with it.

#include <algorithm>
#include <numeric>

#include "compiler/codegen/kernel_emitter.h"
#include "compiler/codegen/prefetch.h"
#include "compiler/codegen/repeat_columns.h"
#include "compiler/lowering/cache_line.h"

namespace weir {

namespace {

// Steps that take as long as the third cache, about.
constexpr std::int64_t kStepsOfPrefetch = 32;

// Not if all terms have a factor in common.
bool may_be_one(const Dim& size) {
  std::int64_t common = 0;
  for (const Dim::Term& term : size.terms()) common = std::gcd(common, term.coefficient);
  return common == 1;
}

}  // namespace

// A unit is (outer rows, block of the vector axis, group of rows), the last varying fastest: the
// groups of a block are a loop of their own, and what the block is is worked out once. A tile of
// several axes has all of their points, as one group. Where these rows are folded across, a chunk of
// them stands in the place of the group.
void KernelEmitter::emit_tiles(llvm::Value* begin, llvm::Value* end) {
  auto in_parts_of = [&](const Dim& extent, std::int64_t size) {
    return b_.CreateUDiv(b_.CreateAdd(dimension(extent), i64(size - 1)), i64(size));
  };
  llvm::LLVMContext& context = module_.getContext();
  const bool in_chunks = kernel_.across && !schedule_.folds_outside();
  const std::int64_t unit_rows = in_chunks ? kernel_.across->chunk : schedule_.rows_at_once;
  llvm::Value* groups =
      schedule_.tile_axes > 1 ? i64(1) : in_parts_of(schedule_.rows.back().extent, unit_rows);
  llvm::AllocaInst* next = slot(b_.getInt64Ty(), "unit");
  auto* test = llvm::BasicBlock::Create(context, "test", function_);
  auto* inside = llvm::BasicBlock::Create(context, "block", function_);
  auto* after = llvm::BasicBlock::Create(context, "done", function_);
  b_.CreateStore(begin, next);
  b_.CreateBr(test);
  b_.SetInsertPoint(test);
  llvm::Value* unit = b_.CreateLoad(b_.getInt64Ty(), next);
  b_.CreateCondBr(b_.CreateICmpSLT(unit, end), inside, after);
  b_.SetInsertPoint(inside);
  {
    Scope scope(*this);
    llvm::Value* rest = quotient_mostly_0(unit, groups);
    llvm::Value* first = b_.CreateSub(unit, b_.CreateMul(rest, groups));
    llvm::Value* last = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, groups,
                                                 b_.CreateAdd(first, b_.CreateSub(end, unit)));
    const Dim& extent = schedule_.vector_row->extent;
    std::optional<std::int64_t> count = extent.constant();
    llvm::Value* from = i64(0);
    llvm::Value* to = dimension(extent);
    if (!count || *count > schedule_.block) {
      llvm::Value* blocks = in_parts_of(extent, schedule_.block);
      llvm::Value* outer = quotient_mostly_0(rest, blocks);
      from = b_.CreateMul(b_.CreateSub(rest, b_.CreateMul(outer, blocks)), i64(schedule_.block));
      bool whole = count && *count % schedule_.block == 0;
      // A block that is one tile may begin early.
      if (count && schedule_.block == std::int64_t{schedule_.width} * schedule_.tile_unroll &&
          repeats_columns(schedule_, *count, schedule_.rows_at_once)) {
        from = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, from, i64(*count - schedule_.block));
        whole = true;
      }
      llvm::Value* block_end = b_.CreateAdd(from, i64(schedule_.block));
      if (!whole) block_end = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, block_end, to);
      to = block_end;
      count = whole ? std::optional(schedule_.block) : std::nullopt;
      rest = outer;
    }
    emit_row(rest, schedule_.rows.size() - static_cast<std::size_t>(schedule_.tile_axes));
    const Dim& rows = schedule_.rows.back().extent;
    llvm::Value* row =
        b_.CreateMul(rest, schedule_.tile_axes > 1 ? i64(schedule_.rows_at_once) : dimension(rows));
    auto tiles = [&](llvm::Value* begin_group, llvm::Value* end_group, const TileRows& of) {
      loop(begin_group, end_group, 1, [&](llvm::Value* group) {
        Scope one(*this);
        emit_tile(row, group, of, from, to, count);
      });
    };
    if (in_chunks && schedule_.tile_axes == 1) {
      if (schedule_.panel) copy_panel(groups_of_chunks(first, last), from, to, count);
      for_chunks(first, last, [&](llvm::Value* begin_row, llvm::Value* end_row) {
        llvm::Value* here = b_.CreateSub(end_row, begin_row);
        llvm::Value* parts = in_groups(here);
        tiles(i64(0), parts,
              {begin_row, here, parts, schedule_.rows_at_once, schedule_.rows_fewer});
      });
    } else {
      auto all_columns = [&] {
        if (schedule_.panel) copy_panel(b_.CreateSub(last, first), from, to, count);
        tiles(first, last,
              {nullptr, dimension(rows), groups, schedule_.rows_at_once, schedule_.rows_fewer});
      };
      chunk_row_ = i64(0);
      if (rows_in_narrow() == 0 || count) {
        all_columns();
      } else {
        // One of several tasks has a part of the groups.
        llvm::Value* has_all = b_.CreateICmpEQ(b_.CreateSub(last, first), groups);
        either(
            b_.CreateAnd(has_all, are_narrow(from, to)), [&] { narrow_tiles(row, from, to); },
            all_columns);
      }
      chunk_row_ = nullptr;
    }
    has_panel_ = nullptr;
    b_.CreateStore(b_.CreateAdd(unit, b_.CreateSub(last, first)), next);
  }
  b_.CreateBr(test);
  b_.SetInsertPoint(after);
}

// A quotient that is 0 in many a call: what is known before is not waited for.
llvm::Value* KernelEmitter::quotient_mostly_0(llvm::Value* dividend, llvm::Value* divisor) {
  if (llvm::isa<llvm::ConstantInt>(divisor)) return primitives_.quotient(dividend, divisor);
  auto* divides = llvm::BasicBlock::Create(module_.getContext(), "divides", function_);
  auto* after = llvm::BasicBlock::Create(module_.getContext(), "divided", function_);
  llvm::BasicBlock* before = b_.GetInsertBlock();
  b_.CreateCondBr(b_.CreateICmpULT(dividend, divisor), after, divides);
  b_.SetInsertPoint(divides);
  llvm::Value* quotient = primitives_.quotient(dividend, divisor);
  b_.CreateBr(after);
  auto* last = b_.GetInsertBlock();
  b_.SetInsertPoint(after);
  llvm::PHINode* result = b_.CreatePHI(b_.getInt64Ty(), 2);
  result->addIncoming(i64(0), before);
  result->addIncoming(quotient, last);
  return result;
}

// One group of rows in a block of columns, of all those that begin with `first_row`.
void KernelEmitter::emit_tile(llvm::Value* first_row, llvm::Value* group, const TileRows& of,
                              llvm::Value* begin, llvm::Value* end,
                              std::optional<std::int64_t> count) {
  const LoopAxis& axis = schedule_.rows.back();
  const int most = of.most;
  llvm::Value* first = b_.CreateMul(group, i64(most));
  llvm::Value* limit = of.count;
  auto rows_from = [&](llvm::Value* row, int rows) {
    if (of.begin != nullptr) row = b_.CreateAdd(of.begin, row);
    axes_[axis.number] = row;
    row_ = b_.CreateAdd(first_row, row);
    rows_ = rows;
    unroll_ = rows == 1 ? schedule_.unroll : schedule_.tile_unroll;
    emit_tile_rows(begin, end, count);
    rows_ = 1;
  };
  if (schedule_.tile_axes > 1) return rows_from(i64(0), most);
  if (const std::optional<std::int64_t> known = schedule_.known_rows()) {
    const auto left = static_cast<int>(*known % most);
    if (left == 0) return rows_from(first, most);
    // A sum waits for the one before it: a tile of few fields takes as long as one of twice as
    // many. So the last whole tile shares its rows with it.
    const bool waits =
        left * schedule_.tile_unroll < kFieldsInTime && !schedule_.overlap && of.begin == nullptr &&
        std::ranges::any_of(
            kernel_.stages, [](const Stage& stage) { return stage.fold.has_value(); });
    const std::int64_t whole = *known / most;
    if (whole > 0 && repeats_rows(schedule_))
      return rows_from(b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, first, i64(*known - most)),
                       most);
    if (whole > 0 && waits && (most + left) % 2 == 0) {
      const int half = (most + left) / 2;
      return either(
          b_.CreateICmpSLT(group, i64(whole - 1)), [&] { rows_from(first, most); },
          [&] {
            llvm::Value* before =
                b_.CreateMul(b_.CreateSub(group, i64(whole - 1)), i64(most - half));
            rows_from(b_.CreateSub(first, before), half);
          });
    }
    return either(
        b_.CreateICmpSLE(b_.CreateAdd(first, i64(most)), limit), [&] { rows_from(first, most); },
        [&] { rows_from(first, left); });
  }
  const int fewer = of.fewer;
  if (fewer == 0)
    return either(
        b_.CreateICmpSLE(b_.CreateAdd(first, i64(most)), limit), [&] { rows_from(first, most); },
        [&] { loop(first, limit, 1, [&](llvm::Value* row) { rows_from(row, 1); }); });
  // As many low tiles as that takes, behind the others.
  llvm::Value* missing = b_.CreateSub(b_.CreateMul(of.groups, i64(most)), limit);
  llvm::Value* low = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, of.groups,
                                              b_.CreateUDiv(missing, i64(fewer)));
  llvm::Value* high = b_.CreateSub(of.groups, low);
  last_row_ = b_.CreateSub(limit, i64(1));
  if (of.begin != nullptr) last_row_ = b_.CreateAdd(of.begin, last_row_);
  either(
      b_.CreateICmpSLT(group, high), [&] { rows_from(first, most); },
      [&] {
        auto low_tile = [&] {
          llvm::Value* before = b_.CreateMul(b_.CreateSub(group, high), i64(fewer));
          rows_from(b_.CreateSub(first, before), most - fewer);
        };
        if (narrow_ || (of.begin == nullptr && !may_be_one(axis.extent))) return low_tile();
        either(b_.CreateICmpEQ(limit, i64(1)), [&] { rows_from(i64(0), 1); }, low_tile);
      });
  last_row_ = nullptr;
}

void KernelEmitter::emit_tile_rows(llvm::Value* begin, llvm::Value* end,
                                   std::optional<std::int64_t> count) {
  Scope scope(*this);
  Lanes none;
  none.start = begin;
  for (auto& local : locals_) local.clear();
  for (const Stage& stage : kernel_.stages)
    if (stage.fold) hoist(stage, {}, Level::vector, none);
  columns(begin, end, count, [&](const Lanes& lanes) {
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
      emit_map(kernel_.stages[i], schedule_.stores[i], lanes);
    emit_sums(lanes);
    return;
  }
  prefetch_behind_folds(lanes);
  if (schedule_.rows_together) return emit_stages(lanes);
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
  for_rows_of_tile([&] {
    llvm::Value* count = i64(rows);
    if (last_row_ != nullptr)
      count = b_.CreateBinaryIntrinsic(
          llvm::Intrinsic::smin, count,
          b_.CreateAdd(b_.CreateSub(last_row_, axes_.at(schedule_.rows.back().number)), i64(1)));
    rows_ = rows_stored_together(lanes);
    loop(i64(0), count, rows_, [&](llvm::Value* row) {
      Scope one(*this);
      set_tile_row(row);
      for (std::size_t local = 0; local < kept.size(); ++local) {
        for (int next = 0; next < rows_; ++next) {
          for (llvm::AllocaInst* array : kept[local]) {
            llvm::Type* type = array->getAllocatedType();
            llvm::Value* here = b_.CreateGEP(type, array, b_.CreateAdd(row, i64(next)));
            locals_[local].push_back(b_.CreateLoad(type, here));
          }
        }
      }
      for (std::size_t i = 0; i < kernel_.stages.size(); ++i)
        if (!kernel_.stages[i].fold) emit_map(kernel_.stages[i], schedule_.stores[i], lanes);
      emit_sums(lanes);
    });
  });
}

// Asks for what the tile's fields read when its folds are done: a line of each row, each on a page
// of its own perhaps, that nothing else reads, such as the weights that a gradient updates. The
// folds take as long as the third cache.
void KernelEmitter::prefetch_behind_folds(const Lanes& lanes) {
  if (lanes.width == 1) return;
  std::vector<scalar::Id> roots;
  for (const Stage& stage : kernel_.stages) {
    if (stage.fold) {
      const std::optional<std::int64_t> steps = kernel_.arena.axis_extent(*stage.axis).constant();
      if (steps && *steps < kStepsOfPrefetch) return;
    }
    // What is read along an axis of its own is read in order.
    if (!stage.axis)
      for (const Store& store : stage.stores) roots.push_back(store.value);
  }
  auto reads_local = [&](scalar::Id offset) {
    for (scalar::Id id : scalar::reachable(kernel_.arena, std::span(&offset, 1)))
      if (kernel_.arena[id].primitive == scalar::Primitive::local) return true;
    return false;
  };
  Scope scope(*this);
  for (scalar::Id id : scalar::reachable(kernel_.arena, roots)) {
    auto found = schedule_.loads.find(id.index);
    if (found == schedule_.loads.end() || found->second.kind != Access::Kind::contiguous ||
        kernel_.arena[id].primitive != scalar::Primitive::load ||
        !schedule_.varies_by_row[id.index] || reads_local(found->second.offset))
      continue;
    const KernelParameter& parameter = kernel_.parameters[kernel_.arena[id].payload];
    const std::int64_t vector_bytes = lanes.width * byte_size(parameter.type.dtype);
    for (int row = 0; row < rows_; ++row)
      for (std::int64_t byte = 0; byte < lanes.slots * vector_bytes; byte += kLineBytes)
        emit_prefetch(
            b_,
            element_address(id, found->second, lanes, static_cast<int>(byte / vector_bytes), row),
            PrefetchTo::read);
  }
}

// Where not all rows of a tile are worked on at once.
void KernelEmitter::for_rows_of_tile(const std::function<void()>& body) {
  // What has been computed for all rows is not the value of one.
  std::unordered_map<std::uint32_t, Values> for_all;
  for (auto entry = values_.begin(); entry != values_.end();) {
    auto here = entry++;
    if (schedule_.varies_by_row[here->first]) for_all.insert(values_.extract(here));
  }
  const std::unordered_map<std::uint32_t, llvm::Value*> of_tile = axes_;
  const int rows = rows_;
  body();
  rows_ = rows;
  axes_ = of_tile;
  values_.merge(for_all);
}

// How many rows of a tile, which are all points of its innermost axis, some store puts between one
// another; 1 if there is none.
int KernelEmitter::rows_stored_together(const Lanes& lanes) const {
  if (lanes.width == 1) return 1;
  for (const auto& stage : schedule_.stores)
    for (const Access& access : stage)
      if (access.interleaves) return static_cast<int>(access.stride.value());
  return 1;
}

// Stores the results of as many rows as a store has elements from one of a row's to the next: lane
// l of vector v is that of row (v * width + l) mod rows.
void KernelEmitter::emit_interleaved(const Store& store, const Access& access, const Lanes& lanes,
                                     int first_row) {
  const DType dtype = kernel_.parameters[store.parameter].type.dtype;
  llvm::Align align(static_cast<std::uint64_t>(byte_size(dtype)));
  const int width = lanes.width;
  const int rows = rows_stored_together(lanes);
  for (int slot = 0; slot < lanes.slots; ++slot) {
    llvm::Value* position = b_.CreateAdd(lanes.start, i64(lanes.position(slot)));
    llvm::Value* first =
        address(store.parameter, b_.CreateAdd(scalar_index(access.offset, lanes, first_row),
                                              b_.CreateMul(position, i64(rows))));
    for (int vector = 0; vector < rows; ++vector) {
      std::vector<int> lane_of, row_of;
      for (int lane = 0; lane < width; ++lane) {
        lane_of.push_back((vector * width + lane) / rows);
        row_of.push_back((vector * width + lane) % rows);
      }
      llvm::Value* merged = value(store.value, lanes, slot, first_row);
      for (int row = 1; row < rows; ++row) {
        std::vector<int> order = lane_of;
        for (std::size_t lane = 0; lane < order.size(); ++lane) {
          if (row_of[lane] == row)
            order[lane] += width;
          else if (row > 1)
            order[lane] = static_cast<int>(lane);
        }
        merged =
            b_.CreateShuffleVector(merged, value(store.value, lanes, slot, first_row + row), order);
      }
      if (dtype == DType::boolean) merged = b_.CreateZExt(merged, memory_type(dtype, width));
      llvm::Value* where = b_.CreateConstGEP1_64(memory_type(dtype, width), first,
                                                 static_cast<std::uint64_t>(vector));
      if (lanes.mask)
        b_.CreateMaskedStore(merged, where, align, b_.CreateShuffleVector(lanes.mask, lane_of));
      else
        b_.CreateAlignedStore(merged, where, align);
    }
  }
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
