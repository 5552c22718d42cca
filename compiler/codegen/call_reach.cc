#include "compiler/codegen/call_reach.h"

#include <algorithm>

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

// From the nearest on, of those loops that the schedule has.
llvm::Value* reach_from(Reach nearest, llvm::IRBuilder<>& b, SizeArithmetic& sizes,
                        const Schedule& schedule, const Sharing& sharing) {
  llvm::Value* reach = reach_value(b, nearest);
  auto beyond = [&](const BytesFrom& from, Reach next) {
    if (next <= nearest) return;
    reach = b.CreateSelect(is_past(b, sizes, schedule, from, sharing), reach_value(b, next), reach);
  };
  if (schedule.has_far_loop()) beyond(schedule.far, Reach::far);
  beyond(schedule.past_caches, Reach::memory);
  const auto [first, end] = schedule.leaves_alone;
  if (first == end) return reach;
  llvm::Value* bytes = sizes.dimension(schedule.bytes);
  llvm::Value* within =
      b.CreateAnd(b.CreateICmpSGE(bytes, sizes.i64(first)), b.CreateICmpSLT(bytes, sizes.i64(end)));
  llvm::Value* leaves = b.CreateAnd(within, b.CreateNot(sharing.shared));
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
