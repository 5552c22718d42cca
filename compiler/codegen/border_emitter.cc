// The part of the kernel emitter that deals with the borders of images, which the columns of a tile
// cross: there a guard is a mask for each vector.
//
// Where masks have no registers of their own, they take those of sums, and a masked load is more
// than an operand. So columns are told apart: those that lie within the image under all taps of a
// window, for which nothing is asked, and those at its borders. Where they are is known ahead if a
// unit has the whole row, and otherwise a unit's columns are all within or treated as if none were.
// Where masks have registers, a load under one still takes a turn of a unit that multiplies on some
// cores: there columns are told apart where a unit has the whole row. So they are for taps that are
// picked from vectors they have in common (tap_emitter.cc), for which masks have to be known.

#include <algorithm>

#include "compiler/codegen/kernel_emitter.h"
#include "compiler/codegen/repeat_columns.h"

namespace weir {

namespace {

struct Range {
  std::int64_t begin = 0, end = INT64_MAX;
};

// The lanes in which all bounds hold whose greatest offset is known, if there are such bounds.
std::optional<Range> lanes_within(const Schedule& schedule) {
  Range range;
  bool any = false;
  for (const auto& [id, bound] : schedule.bounds) {
    if (!bound.most) continue;
    any = true;
    const std::int64_t step = std::abs(bound.stride);
    if (bound.stride > 0)
      range.end = std::min(range.end, *bound.most < 0 ? (-*bound.most + step - 1) / step : 0);
    else if (*bound.most >= 0)
      range.begin = std::max(range.begin, *bound.most / step + 1);
  }
  return any ? std::optional(range) : std::nullopt;
}

}  // namespace

// Covers [begin, end), of `count` lanes if that is known, with vectors.
void KernelEmitter::columns(llvm::Value* begin, llvm::Value* end, std::optional<std::int64_t> count,
                            const LaneBody& body) {
  const bool picks =
      std::ranges::any_of(schedule_.loads, [](const auto& load) { return is_near(load.second); });
  // Written-out steps of rows that overlap have masks that are known.
  const bool asks = target_.vector_bytes != 64 ||
                    ((picks || schedule_.slides || (rows_ > 1 && !schedule_.overlap)) &&
                     known_distance(begin, end));
  const std::optional<Range> within = asks ? lanes_within(schedule_) : std::nullopt;
  if (!within || schedule_.width == 1) return vector_loop(begin, end, count, body);
  auto free_columns = [&](llvm::Value* from, llvm::Value* to, std::optional<std::int64_t> lanes) {
    within_ = true;
    vector_loop(from, to, lanes, body);
    within_ = false;
  };
  if (known_distance(begin, end)) {
    const std::int64_t first = llvm::cast<llvm::ConstantInt>(begin)->getSExtValue();
    const std::int64_t last = llvm::cast<llvm::ConstantInt>(end)->getSExtValue();
    // At borders at least a step, of one vector where steps of several would leave none within.
    const std::int64_t several = std::int64_t{schedule_.width} * unroll_;
    const std::int64_t step = picks && last - first < 2 * several ? schedule_.width : several;
    const std::int64_t before = std::max<std::int64_t>(within->begin - first, 0);
    const std::int64_t from = first + (before + step - 1) / step * step;
    const std::int64_t to =
        from + std::max<std::int64_t>(std::min(within->end, last) - from, 0) / step * step;
    // Borders as wide as the row leave nothing within.
    if (from > last) return vector_loop(begin, end, count, body);
    // What is left behind whole steps may begin early, in a row that has a step.
    const bool repeats = schedule_.slides && rows_ > 1 && unroll_ == schedule_.tile_unroll &&
                         repeats_columns(schedule_, last - first, rows_);
    if (to == from && !repeats) return vector_loop(begin, end, count, body);
    if (first < from) vector_loop(begin, i64(from), from - first, body);
    if (from < to) free_columns(i64(from), i64(to), to - from);
    if (to == last) return;
    // So it may be within, all of it.
    const std::int64_t rest = repeats ? std::min(to, last - step) : to;
    if (repeats && rest >= within->begin && last <= within->end)
      free_columns(i64(rest), end, last - rest);
    else
      vector_loop(i64(rest), end, last - rest, body);
    return;
  }
  llvm::LLVMContext& context = module_.getContext();
  auto* inside = llvm::BasicBlock::Create(context, "within", function_);
  auto* border = llvm::BasicBlock::Create(context, "border", function_);
  auto* after = llvm::BasicBlock::Create(context, "columns", function_);
  llvm::Value* is_within = b_.CreateAnd(b_.CreateICmpSGE(begin, i64(within->begin)),
                                        b_.CreateICmpSLE(end, i64(within->end)));
  b_.CreateCondBr(is_within, inside, border);
  b_.SetInsertPoint(inside);
  free_columns(begin, end, count);
  b_.CreateBr(after);
  b_.SetInsertPoint(border);
  vector_loop(begin, end, count, body);
  b_.CreateBr(after);
  b_.SetInsertPoint(after);
}

}  // namespace weir
