// The part of the kernel emitter that has the loops: over vectors, several at once, and over what
// these leave, under a mask or element by element. And the branches.

#include <bit>

#include "compiler/codegen/kernel_emitter.h"
#include "compiler/codegen/repeat_columns.h"

namespace weir {

void KernelEmitter::loop(llvm::Value* begin, llvm::Value* end, std::int64_t step,
                         const Body& body) {
  llvm::LLVMContext& context = module_.getContext();
  auto* counter = slot(b_.getInt64Ty(), "counter");
  auto* test = llvm::BasicBlock::Create(context, "test", function_);
  auto* inside = llvm::BasicBlock::Create(context, "loop", function_);
  auto* after = llvm::BasicBlock::Create(context, "done", function_);
  b_.CreateStore(begin, counter);
  b_.CreateBr(test);
  b_.SetInsertPoint(test);
  llvm::Value* index = b_.CreateLoad(b_.getInt64Ty(), counter);
  b_.CreateCondBr(b_.CreateICmpSLT(index, end), inside, after);
  b_.SetInsertPoint(inside);
  body(index);
  b_.CreateStore(b_.CreateAdd(index, i64(step)), counter);
  b_.CreateBr(test);
  b_.SetInsertPoint(after);
}

void KernelEmitter::either(llvm::Value* condition, const std::function<void()>& then,
                           const std::function<void()>& otherwise) {
  auto within = [&](const std::function<void()>& body) {
    Scope scope(*this);
    body();
  };
  if (auto* known = llvm::dyn_cast<llvm::ConstantInt>(condition))
    return within(known->isOne() ? then : otherwise);
  llvm::LLVMContext& context = module_.getContext();
  auto* holds = llvm::BasicBlock::Create(context, "holds", function_);
  auto* fails = llvm::BasicBlock::Create(context, "fails", function_);
  auto* after = llvm::BasicBlock::Create(context, "after", function_);
  b_.CreateCondBr(condition, holds, fails);
  b_.SetInsertPoint(holds);
  within(then);
  b_.CreateBr(after);
  b_.SetInsertPoint(fails);
  within(otherwise);
  b_.CreateBr(after);
  b_.SetInsertPoint(after);
}

std::optional<std::int64_t> KernelEmitter::known_distance(llvm::Value* begin, llvm::Value* end) {
  auto *from = llvm::dyn_cast<llvm::ConstantInt>(begin),
       *to = llvm::dyn_cast<llvm::ConstantInt>(end);
  if (!from || !to) return std::nullopt;
  return to->getSExtValue() - from->getSExtValue();
}

// Vector by vector: a processor that waits for its second cache takes 10% longer where loads come
// four at a time, and stores after them, than where each vector is stored before the next is
// loaded, unless there are many operands (docs/decisions/streams.md). Streams keep their lines.
void KernelEmitter::in_turn(const Lanes& lanes, const LaneBody& body) {
  if (together_ || lanes.slots == 1) return body(lanes);
  for (int slot = 0; slot < lanes.slots; ++slot)
    body({lanes.width, 1, b_.CreateAdd(lanes.start, i64(std::int64_t{lanes.width} * slot)),
          nullptr});
}

// As many whole steps of `slots` vectors as fit; returns where they end.
llvm::Value* KernelEmitter::whole_vectors(llvm::Value* begin, llvm::Value* end, int slots,
                                          const LaneBody& body) {
  std::int64_t size = static_cast<std::int64_t>(schedule_.width) * slots;
  llvm::Value* distance = b_.CreateSub(end, begin);
  // A tile may be three vectors wide.
  llvm::Value* whole = (size & (size - 1)) == 0
                           ? b_.CreateAnd(distance, i64(-size))
                           : b_.CreateSub(distance, b_.CreateURem(distance, i64(size)));
  llvm::Value* limit = b_.CreateAdd(begin, whole);
  if (known_distance(begin, limit) == 0) return limit;
  // A single step is no loop: where it is, is known ahead.
  if (known_distance(begin, limit) == size) {
    body({schedule_.width, slots, begin, nullptr});
    return limit;
  }
  loop(begin, limit, size,
       [&](llvm::Value* index) { body({schedule_.width, slots, index, nullptr}); });
  return limit;
}

// Whole steps of several vectors, then of one where no mask takes those; returns where they end. A
// tile of one vector waits for its sums, so what is left of columns goes two vectors at a time where
// it can: of columns whose number is known if rows are too few to fill that time.
llvm::Value* KernelEmitter::whole_steps(llvm::Value* begin, llvm::Value* end,
                                        std::optional<std::int64_t> count, const LaneBody& body) {
  std::int64_t step = static_cast<std::int64_t>(schedule_.width) * unroll_;
  if (!count || *count >= step) begin = whole_vectors(begin, end, unroll_, body);
  const bool leaves_two =
      !count || (rows_ < kFieldsInTime && !schedule_.overlap && *count % schedule_.width == 0 &&
                 *count % step >= 2 * schedule_.width);
  if (rows_ > 1 && unroll_ == 4 && leaves_two) begin = whole_vectors(begin, end, 2, body);
  if (unroll_ == 1 || (masks_ && schedule_.width > 1)) return begin;
  if (!count || *count % step >= schedule_.width) begin = whole_vectors(begin, end, 1, body);
  return begin;
}

// What whole_steps left: `count` is the length of the whole, where it is known.
void KernelEmitter::remainder(llvm::Value* begin, llvm::Value* end,
                              std::optional<std::int64_t> count, const LaneBody& body) {
  int width = schedule_.width;
  if (width == 1) return;
  std::int64_t step = masks_ ? static_cast<std::int64_t>(width) * unroll_ : width;
  if (count && *count % step == 0) return;
  if (!masks_) {
    loop(begin, end, 1, [&](llvm::Value* index) { body({1, 1, index, nullptr}); });
    return;
  }
  // Of a tile's rows, a few columns take vectors no wider than they need, which are done sooner.
  if (count && rows_ > 1 && narrows_) {
    const std::int64_t left = *count % step, tail = left % width;
    const auto narrow = static_cast<int>(std::bit_ceil(static_cast<std::uint64_t>(tail)));
    if (tail > 0 && narrow > 1 && narrow < width) {
      llvm::Value* whole = b_.CreateAdd(begin, i64(left - tail));
      if (left > tail) whole_vectors(begin, whole, 1, body);
      llvm::Value* mask = tail == narrow ? nullptr : first_lanes(narrow, i64(tail));
      return body({narrow, 1, whole, mask, i64(tail - 1)});
    }
  }
  auto rest_at = [&](llvm::Value* index) {
    llvm::Value* left = b_.CreateSub(end, index);
    body({width, 1, index, first_lanes(width, left), b_.CreateSub(left, i64(1))});
  };
  // Where it is known ahead, it is no loop, of which a second step would be more code only where
  // whole steps come before.
  if (std::optional<std::int64_t> left = known_distance(begin, end);
      left && (*left <= width || (*left <= 2 * width && *left == count))) {
    for (std::int64_t at = 0; at < *left; at += width) {
      llvm::Value* index = b_.CreateAdd(begin, i64(at));
      if (at + width <= *left)
        body({width, 1, index, nullptr});
      else
        rest_at(index);
    }
    return;
  }
  // The guard keeps the mask's constants out of the way of a length that leaves nothing.
  auto* some = llvm::BasicBlock::Create(module_.getContext(), "remainder", function_);
  auto* none = llvm::BasicBlock::Create(module_.getContext(), "whole", function_);
  b_.CreateCondBr(b_.CreateICmpSLT(begin, end), some, none);
  b_.SetInsertPoint(some);
  loop(begin, end, width, rest_at);
  b_.CreateBr(none);
  b_.SetInsertPoint(none);
}

void KernelEmitter::vector_loop(llvm::Value* begin, llvm::Value* end,
                                std::optional<std::int64_t> count, const LaneBody& body) {
  const std::int64_t step = std::int64_t{schedule_.width} * unroll_;
  if (rows_ > 1 && unroll_ == schedule_.tile_unroll && count &&
      repeats_columns(schedule_, *count, rows_)) {
    llvm::Value* last = b_.CreateSub(end, i64(step));
    return loop(begin, end, step, [&](llvm::Value* index) {
      llvm::Value* from = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, index, last);
      body({schedule_.width, unroll_, from, nullptr});
    });
  }
  if (rows_ > 1 && unroll_ == schedule_.tile_unroll && count && *count < step &&
      shares_columns(schedule_, *count)) {
    const std::int64_t slots = (*count + schedule_.width - 1) / schedule_.width;
    return body({schedule_.width, static_cast<int>(slots), begin, nullptr, nullptr,
                 slots * schedule_.width - *count});
  }
  if (narrow_) return narrow_columns(begin, end, body);
  llvm::Value* from = whole_steps(begin, end, count, body);
  // What fills vectors needs no masks, though it is known at the call only how many of them are
  // left.
  const std::optional<std::int64_t> left = known_distance(from, end);
  const bool are_few = left && left == count && *left <= 2 * std::int64_t{schedule_.width};
  if (!masks_ || schedule_.width == 1 || are_few || !fills_vectors(count))
    return remainder(from, end, count, body);
  if (!count || *count % step != 0) whole_vectors(from, end, 1, body);
}

// Whether a piece of the vector axis is whole vectors: one of so many elements, or a part that
// begins and ends with blocks, or with the axis.
bool KernelEmitter::fills_vectors(std::optional<std::int64_t> count) const {
  if (!count && schedule_.vector_row) count = schedule_.vector_row->extent.constant();
  return count && *count % schedule_.width == 0;
}

}  // namespace weir
