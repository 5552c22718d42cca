#include "compiler/codegen/call_reach.h"

#include <algorithm>

#include "compiler/lowering/cache_line.h"

namespace weir {
namespace {

bool differs_apart(const BytesFrom& from) { return from.apart != from.several; }

llvm::Value* is_past(llvm::IRBuilder<>& b, SizeArithmetic& sizes, const Schedule& schedule,
                     const BytesFrom& from, const Sharing& sharing) {
  llvm::Value* least = sizes.i64(from.several);
  if (differs_apart(from)) least = b.CreateSelect(sharing.apart, sizes.i64(from.apart), least);
  if (differs_apart(from) || from.several != from.alone)
    least = b.CreateSelect(sharing.shared, least, sizes.i64(from.alone));
  return b.CreateICmpSGE(sizes.dimension(schedule.bytes), least);
}

// Whether rows are long enough to be stored past the caches.
llvm::Value* has_long_rows(llvm::IRBuilder<>& b, SizeArithmetic& sizes, const Schedule& schedule) {
  if (!schedule.row_bytes) return b.getTrue();
  llvm::Value* bytes = sizes.dimension(*schedule.row_bytes);
  llvm::Value* has_part = b.CreateIsNotNull(b.CreateAnd(bytes, sizes.i64(kLineBytes - 1)));
  return b.CreateICmpSGE(
      bytes, b.CreateSelect(has_part, sizes.i64(kLeastRow), sizes.i64(kLeastRowOfLines)));
}

// From the nearest on, of those loops that the schedule has.
llvm::Value* reach_from(Reach nearest, llvm::IRBuilder<>& b, SizeArithmetic& sizes,
                        const Schedule& schedule, const Sharing& sharing) {
  llvm::Value* reach = reach_value(b, nearest);
  llvm::Value* is_long = has_long_rows(b, sizes, schedule);
  auto beyond = [&](const BytesFrom& from, Reach next, bool of_any_rows) {
    if (next <= nearest) return;
    llvm::Value* holds = is_past(b, sizes, schedule, from, sharing);
    if (!of_any_rows) holds = b.CreateAnd(holds, is_long);
    reach = b.CreateSelect(holds, reach_value(b, next), reach);
  };
  if (schedule.has_far_loop()) beyond(schedule.far, Reach::far, schedule.lines_past_caches == 0);
  beyond(schedule.past_caches, Reach::memory, false);
  const auto [first, end] = schedule.leaves_alone;
  if (first == end) return reach;
  llvm::Value* bytes = sizes.dimension(schedule.bytes);
  llvm::Value* within =
      b.CreateAnd(b.CreateICmpSGE(bytes, sizes.i64(first)), b.CreateICmpSLT(bytes, sizes.i64(end)));
  llvm::Value* leaves = b.CreateAnd(b.CreateAnd(within, is_long), b.CreateNot(sharing.shared));
  return b.CreateSelect(leaves, reach_value(b, Reach::memory), reach);
}

}  // namespace

bool has_reach_apart(const Schedule& schedule) {
  return schedule.streams && (differs_apart(schedule.past_caches) ||
                              (schedule.has_far_loop() && differs_apart(schedule.far)));
}

llvm::Value* asks_apart(llvm::IRBuilder<>& b, SizeArithmetic& sizes, const Schedule& schedule) {
  if (!has_reach_apart(schedule)) return b.getFalse();
  std::int64_t least = schedule.past_caches.least();
  if (schedule.has_far_loop()) least = std::min(least, schedule.far.least());
  return b.CreateICmpSGE(sizes.dimension(schedule.bytes), sizes.i64(least));
}

llvm::ConstantInt* reach_value(llvm::IRBuilder<>& b, Reach reach) {
  return b.getInt64(static_cast<std::uint64_t>(reach));
}

llvm::Value* reach_of(llvm::IRBuilder<>& b, SizeArithmetic& sizes, const Schedule& schedule,
                      const Sharing& sharing) {
  if (!schedule.streams) return reach_value(b, Reach::near);
  return reach_from(Reach::near, b, sizes, schedule, sharing);
}

llvm::Value* far_reach_of(llvm::IRBuilder<>& b, SizeArithmetic& sizes, const Schedule& schedule,
                          const Sharing& sharing) {
  return reach_from(schedule.has_far_loop() ? Reach::far : Reach::memory, b, sizes, schedule,
                    sharing);
}

}  // namespace weir
