// The part of the kernel emitter that deals with folds across rows (see RowFolds): of what the
// points of a row axis store, for each column of the vector axis.
//
// A chunk's accumulators stay where its result goes, and are read and written again by each row or
// group of rows: that is a vector each beside all the steps of a tile. Rows of a tile are folded in
// their order; those that a tile computes again beyond the last row do not count. A tile of several
// axes has whole chunks, and leaves their results. Where an axis is folded across that lies outside
// the tile, or is that of the vectors, a unit goes through all of it, in order.

#include <algorithm>
#include <map>
#include <utility>

#include "compiler/codegen/kernel_emitter.h"

namespace weir {

using scalar::Id;
using scalar::Primitive;

llvm::Value* KernelEmitter::chunks_of(llvm::Value* rows) {
  const std::int64_t size = kernel_.across->chunk;
  return b_.CreateUDiv(b_.CreateAdd(rows, i64(size - 1)), i64(size));
}

llvm::Value* KernelEmitter::in_groups(llvm::Value* rows) {
  const int size = schedule_.rows_at_once;
  return b_.CreateUDiv(b_.CreateAdd(rows, i64(size - 1)), i64(size));
}

// About as many groups of rows as chunks first ... last - 1 have.
llvm::Value* KernelEmitter::groups_of_chunks(llvm::Value* first, llvm::Value* last) {
  llvm::Value* rows = dimension(schedule_.rows.back().extent);
  llvm::Value* size = i64(kernel_.across->chunk);
  llvm::Value* end =
      b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, b_.CreateMul(last, size), rows);
  return in_groups(b_.CreateSub(end, b_.CreateMul(first, size)));
}

// Chunks first ... last - 1, with the rows that each of them has.
void KernelEmitter::for_chunks(
    llvm::Value* first, llvm::Value* last,
    const std::function<void(llvm::Value* begin, llvm::Value* end)>& body) {
  llvm::Value* rows = dimension(schedule_.rows.back().extent);
  llvm::Value* size = i64(kernel_.across->chunk);
  loop(first, last, 1, [&](llvm::Value* chunk) {
    Scope scope(*this);
    chunk_row_ = b_.CreateMul(chunk, size);
    llvm::Value* end =
        b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, b_.CreateAdd(chunk_row_, size), rows);
    body(chunk_row_, end);
    chunk_row_ = nullptr;
  });
}

// Rows that go to one accumulator, one after the other, are folded in registers. Of a tile of
// several axes whose rows go one by one, each row is a group of its own; and so it is where the
// first row of a group may be beyond the last one: it has that one's accumulator then. The first
// two never are (Schedule::rows_fewer).
std::vector<std::vector<int>> KernelEmitter::rows_by_sum() const {
  const auto lanes = static_cast<int>(kernel_.across->lanes);
  const bool whole = schedule_.tile_axes > 1 && rows_ == schedule_.rows_at_once;
  const bool apart = schedule_.tile_axes > 1 ? !whole : lanes > 2 && last_row_ != nullptr;
  std::vector<std::vector<int>> groups;
  std::map<std::pair<int, int>, std::size_t> number;  // by the tile's other axes, and the lane
  for (int row = 0; row < rows_; ++row) {
    if (apart) {
      groups.push_back({row});
      continue;
    }
    const int position = whole ? static_cast<int>(schedule_.tile_position(0, row)) : row;
    const auto found = number.try_emplace({row - position, position % lanes}, groups.size()).first;
    groups.resize(std::max(groups.size(), found->second + 1));
    groups[found->second].push_back(row);
  }
  return groups;
}

// Whether a point is the first one of a sum: of its chunk, as far as there are lanes.
llvm::Value* KernelEmitter::begins_sum(llvm::Value* position) {
  return b_.CreateICmpULT(position, i64(kernel_.across->lanes));
}

void KernelEmitter::emit_sums(const Lanes& lanes) {
  if (!kernel_.across) return;
  if (schedule_.folds_outside()) return emit_sums_outside(lanes);
  llvm::Value* first_row = axes_.at(kernel_.across->axis);
  // A tile of several axes has all that there is to its sums.
  const bool is_all = schedule_.tile_axes > 1 && rows_ == schedule_.rows_at_once;
  const std::vector<std::vector<int>> groups = rows_by_sum();
  for (std::size_t i = 0; i < kernel_.across->sums.size(); ++i) {
    const RowFolds::Sum& sum = kernel_.across->sums[i];
    const Id element = sum.fold.elements[0];
    for (const std::vector<int>& rows : groups) {
      const int first = rows.front();
      llvm::Value* begins =
          begins_sum(b_.CreateSub(b_.CreateAdd(first_row, i64(first)), chunk_row_));
      llvm::Value* offset =
          b_.CreateAdd(scalar_index(schedule_.sums[i].offset, lanes, first), lanes.start);
      for (int slot = 0; slot < lanes.slots; ++slot) {
        const SumPlace place =
            place_of_sum(sum, b_.CreateAdd(offset, i64(lanes.position(slot))), lanes);
        llvm::Value* total = place.identity;
        if (!is_all) total = b_.CreateSelect(begins, total, load_sum(place, lanes));
        for (int row : rows) {
          llvm::Value* next =
              call(sum.fold.step, {total, value(element, lanes, slot, row)}, lanes.width)[0];
          if (row > 0 && last_row_ != nullptr)
            next = b_.CreateSelect(b_.CreateICmpSLE(b_.CreateAdd(first_row, i64(row)), last_row_),
                                   next, total);
          total = next;
        }
        store_sum(place, total, lanes);
      }
    }
  }
}

// Vectors that go to one sum, one after the other: with sums side by side those that lie as far
// apart as there are lanes, and otherwise each of them alone.
std::vector<std::vector<int>> KernelEmitter::slots_by_sum(const Lanes& lanes) const {
  const bool side_by_side = schedule_.vector_row->number == kernel_.across->axis;
  std::vector<std::vector<int>> groups;
  std::map<std::int64_t, std::size_t> number;
  for (int slot = 0; slot < lanes.slots; ++slot) {
    const std::int64_t position = lanes.position(slot);
    const auto found =
        number
            .try_emplace(side_by_side ? position % kernel_.across->lanes : position, groups.size())
            .first;
    groups.resize(std::max(groups.size(), found->second + 1));
    groups[found->second].push_back(slot);
  }
  return groups;
}

// Each row of a tile goes to a sum of its own. What is computed again beyond the last row of a tile
// leaves that one's sum as it is.
void KernelEmitter::emit_sums_outside(const Lanes& lanes) {
  const RowFolds& across = *kernel_.across;
  const bool side_by_side = schedule_.vector_row->number == across.axis;
  llvm::Value* begins =
      side_by_side ? nullptr : begins_sum(b_.CreateURem(axes_.at(across.axis), i64(across.chunk)));
  const std::vector<std::vector<int>> groups = slots_by_sum(lanes);
  for (std::size_t i = 0; i < across.sums.size(); ++i) {
    const RowFolds::Sum& sum = across.sums[i];
    for (int row = 0; row < rows_; ++row) {
      llvm::Value* offset = scalar_index(schedule_.sums[i].offset, lanes, row);
      llvm::Value* counts = nullptr;
      if (row > 0 && last_row_ != nullptr)
        counts = b_.CreateICmpSLE(b_.CreateAdd(axes_.at(schedule_.rows.back().number), i64(row)),
                                  last_row_);
      for (const std::vector<int>& slots : groups) {
        llvm::Value* position = b_.CreateAdd(lanes.start, i64(lanes.position(slots.front())));
        llvm::Value* lane = side_by_side ? b_.CreateURem(position, i64(across.lanes)) : position;
        const SumPlace place = place_of_sum(sum, b_.CreateAdd(offset, lane), lanes);
        llvm::Value* before = load_sum(place, lanes);
        llvm::Value* total =
            b_.CreateSelect(side_by_side ? begins_sum(position) : begins, place.identity, before);
        for (int slot : slots)
          total = call(sum.fold.step, {total, value(sum.fold.elements[0], lanes, slot, row)},
                       lanes.width)[0];
        if (counts != nullptr) total = b_.CreateSelect(counts, total, before);
        store_sum(place, total, lanes);
      }
    }
  }
}

KernelEmitter::SumPlace KernelEmitter::place_of_sum(const RowFolds::Sum& sum, llvm::Value* offset,
                                                    const Lanes& lanes) {
  const DType type = kernel_.parameters[sum.parameter].type.dtype;
  return {memory_type(type, lanes.width), address(sum.parameter, offset),
          llvm::Align(static_cast<std::uint64_t>(byte_size(type))),
          primitives_.constant(type, sum.fold.identity[0].value, lanes.width)};
}

llvm::Value* KernelEmitter::load_sum(const SumPlace& place, const Lanes& lanes) {
  if (!lanes.mask) return b_.CreateAlignedLoad(place.type, place.address, place.align);
  return b_.CreateMaskedLoad(place.type, place.address, place.align, lanes.mask, place.identity);
}

void KernelEmitter::store_sum(const SumPlace& place, llvm::Value* total, const Lanes& lanes) {
  if (lanes.mask)
    b_.CreateMaskedStore(total, place.address, place.align, lanes.mask);
  else
    b_.CreateAlignedStore(total, place.address, place.align);
}

}  // namespace weir
