// The part of the kernel emitter that deals with narrow columns: of a contraction whose columns are
// counted at the call, those that are found there to be less than a tile has.
//
// One by one the vectors that they take, and the few rows that a wide tile has, would each wait for
// their own multiply-adds. So they are one tile, of which the last vector has a mask, and has as many
// rows as multiply-adds are under way. It is for small calls, of which what surrounds the
// multiply-adds is much: a fold has a single chunk there, and the block no panel.

#include <algorithm>

#include "compiler/codegen/kernel_emitter.h"

namespace weir {

// How many rows a tile has there. 0: narrow columns are done as others are.
int KernelEmitter::rows_in_narrow() const {
  // A mask is a register of its own, and what lanes read and write lies side by side.
  auto is_plain = [](const Access& access) {
    return access.kind <= Access::Kind::contiguous && !access.interleaves;
  };
  const int rows = target_.core.fmas_under_way(target_.vector_bytes);
  const bool has_fold = !kernel_.stages.empty() && kernel_.stages.front().fold.has_value();
  if (!has_fold || split_ || kernel_.across || schedule_.overlap || !masks_ ||
      target_.vector_bytes != 64 || schedule_.width < kLeastMaskBits ||
      schedule_.tile_unroll <= kNarrowVectors || schedule_.rows_fewer == 0 ||
      schedule_.vector_row->extent.is_constant() || rows <= schedule_.rows_at_once)
    return 0;
  const bool all_plain =
      std::ranges::all_of(schedule_.loads,
                          [&](const auto& load) { return is_plain(load.second); }) &&
      std::ranges::all_of(schedule_.stores, [&](const std::vector<Access>& stage) {
        return std::ranges::all_of(stage, is_plain);
      });
  return all_plain ? rows : 0;
}

// Whether columns are narrow. A single row has a tile of its own.
llvm::Value* KernelEmitter::are_narrow(llvm::Value* begin, llvm::Value* end) {
  llvm::Value* are = b_.CreateAnd(
      b_.CreateICmpSLE(b_.CreateSub(end, begin), i64(kNarrowVectors * schedule_.width)),
      b_.CreateICmpSGT(dimension(schedule_.rows.back().extent), i64(1)));
  for (const Stage& stage : kernel_.stages)
    if (stage.fold)
      are = b_.CreateAnd(are, b_.CreateICmpSLE(dimension(kernel_.arena.axis_extent(*stage.axis)),
                                               i64(stage.fold->chunk)));
  return are;
}

void KernelEmitter::narrow_tiles(llvm::Value* row, llvm::Value* begin, llvm::Value* end) {
  const int most = rows_in_narrow(), fewer = most / 3;
  llvm::Value* rows = dimension(schedule_.rows.back().extent);
  llvm::Value* groups = b_.CreateUDiv(b_.CreateAdd(rows, i64(most - 1)), i64(most));
  narrow_ = true;
  loop(i64(0), groups, 1, [&](llvm::Value* group) {
    Scope one(*this);
    emit_tile(row, group, {nullptr, rows, groups, most, fewer}, begin, end, std::nullopt);
  });
  narrow_ = false;
}

// All columns as one tile of as many vectors as they take, which is known at the call, the last of
// them under a mask.
void KernelEmitter::narrow_columns(llvm::Value* begin, llvm::Value* end, const LaneBody& body) {
  const std::int64_t width = schedule_.width;
  const std::function<void(int)> with = [&](int slots) {
    llvm::Value* left = b_.CreateSub(end, b_.CreateAdd(begin, i64((slots - 1) * width)));
    auto tile = [&] {
      // From bits: LLVM puts a comparison where its result is used, here into the loop over steps,
      // where it takes the place of a multiply-add.
      llvm::Value* lanes = b_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, left, i64(width));
      llvm::Value* bits = b_.CreateSub(b_.CreateShl(i64(1), lanes), i64(1));
      body({schedule_.width, slots, begin, lanes_of_bits(bits, 0, schedule_.width),
            b_.CreateSub(left, i64(1))});
    };
    if (slots == 1) return tile();
    either(b_.CreateICmpSGT(left, i64(0)), tile, [&] { with(slots - 1); });
  };
  with(kNarrowVectors);
}

}  // namespace weir
